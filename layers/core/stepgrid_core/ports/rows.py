"""A worker's way to the rows of its chunks."""

from typing import Protocol

from ..invocation import SessionFacts
from ..records import Chunk, Session, Shard
from .state_table import RowSwap, Swap


class Rows(Protocol):
    """Rows of one session. What a change means for the session is seen to behind it."""

    def read(self, session_id: str, number: int) -> Shard | None:
        """As it is now."""

    def swap(
        self,
        shard: Shard,
        slot: int,
        new: Chunk,
        inline: bytes | None = None,
        claimed_at: float | None = None,
    ) -> Swap:
        """See StateTable.swap_chunk."""

    def read_blob(self, session_id: str, blob_id: str) -> bytes:
        """See StateTable.read_blob."""

    def changed(self, facts: SessionFacts, shard: Shard) -> None:
        """Call after a write that may have ended the shard: the last one closes the session."""

    def committed(self, facts: SessionFacts, before: Chunk, shard: Shard, slot: int) -> None:
        """The same after a commit, `before` being the row that it replaced; tells of progress."""

    def commit_and_close(self, session: Session, commit: RowSwap) -> bool:
        """Write the row of a session's only chunk, and its end with it; False: do it one by one."""
