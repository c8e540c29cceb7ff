"""Rows of a worker that may write the state table itself: who ends the last closes the session."""

from .closing import commit_and_close, shard_changed
from .invocation import SessionFacts
from .ports import RowSwap, Swap
from .progress import Commit, report_progress
from .records import Chunk, Session, Shard
from .wiring import Grid


class TableRows:
    """See ports.Rows."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid

    def read(self, session_id: str, number: int) -> Shard | None:
        return self._grid.table.read_shard(session_id, number)

    def swap(
        self,
        shard: Shard,
        slot: int,
        new: Chunk,
        inline: bytes | None = None,
        claimed_at: float | None = None,
    ) -> Swap:
        return self._grid.table.swap_chunk(shard, slot, new, inline, claimed_at)

    def read_blob(self, session_id: str, blob_id: str) -> bytes:
        return self._grid.table.read_blob(session_id, blob_id)

    def changed(self, facts: SessionFacts, shard: Shard) -> None:
        shard_changed(self._grid, shard, facts.shards)

    def committed(self, facts: SessionFacts, before: Chunk, shard: Shard, slot: int) -> None:
        ended = shard_changed(self._grid, shard, facts.shards)
        report_progress(self._grid, Commit(facts, before, shard, slot, ended))

    def commit_and_close(self, session: Session, commit: RowSwap) -> bool:
        return commit_and_close(self._grid, session, commit) is not None
