"""The claim of a worker on a chunk: how it is taken, written through, and found to be lost."""

from secrets import token_hex

from .. import records
from ..invocation import Invocation, SessionFacts
from ..names import CHUNKS_PER_SHARD, shard_of
from ..ports import RowSwap
from ..records import Chunk, Session, Shard
from .bench import Bench

#: A claim outlives its environment by this much, in case nobody reports the death.
LEASE_GRACE_SECONDS = 30.0


class ClaimLost(Exception):
    """Somebody else swapped the row: whatever this attempt does no longer counts."""


class Claim:
    """A row that is ours to write; other slots of its shard may change meanwhile."""

    def __init__(self, bench: Bench, shard: Shard, slot: int, seen_at: float) -> None:
        self._bench = bench
        self.shard = shard
        self.slot = slot
        self.seen_at = seen_at  #: monotonic, from before it was last found to stand
        self.published = self.chunk  #: the row as we last wrote it

    @property
    def chunk(self) -> Chunk:
        return self.shard.chunks[self.slot]

    def write(self, new: Chunk, inline: bytes | None = None) -> None:
        """Swap our row, which changes only by being lost. Raises ClaimLost then."""
        seen_at = self._bench.clock.monotonic()
        swap = self._bench.rows.swap(self.shard, self.slot, new, inline)
        self.shard = swap.shard
        if not swap.won:
            raise ClaimLost
        self.published, self.seen_at = new, seen_at

    def end(self, session: Session | None, new: Chunk, inline: bytes | None) -> bool:
        """Write our row and close the session with it, where it is the session's only one.

        False if that is not known to be done: it takes one write after the other. If it was done
        all the same, the first of them finds its own row.
        """
        commit = RowSwap(self.shard, self.slot, new, inline)
        if session is None or not self._bench.rows.commit_and_close(session, commit):
            return False
        self.shard, self.published = commit.after, new
        return True

    def look(self) -> None:
        """Read our row. Raises ClaimLost if it is ours no longer, and Unavailable."""
        looked_at = self._bench.clock.monotonic()
        shard = self._bench.rows.read(self.shard.session_id, self.shard.number)
        if shard is None or not shard.chunks[self.slot].held_by(self.chunk):
            raise ClaimLost
        self.shard, self.seen_at = shard, looked_at


def take_claim(bench: Bench, invocation: Invocation, seconds: float) -> Claim | None:
    """Our claim for so many seconds, or None if the chunk is over or somebody else's.

    The first try takes for granted that nobody was here before: mostly true, and one read less.
    """
    number, slot = shard_of(invocation.chunk)
    shard, nonce = _untouched(invocation.facts, number), token_hex(3)
    while True:
        seen_at, now = bench.clock.monotonic(), bench.clock.now()
        chunk = records.claim(
            shard.chunks[slot], invocation.token, nonce, now, now + seconds + LEASE_GRACE_SECONDS
        )
        if chunk is None:
            return None
        swap = bench.rows.swap(shard, slot, chunk, claimed_at=now)
        shard = swap.shard
        if swap.won:
            break
    bench.rows.changed(invocation.facts, shard)
    return None if chunk.terminal else Claim(bench, shard, slot, seen_at)


def _untouched(facts: SessionFacts, number: int) -> Shard:
    first = number * CHUNKS_PER_SHARD
    last = min(first + CHUNKS_PER_SHARD, facts.chunks)
    chunks = tuple(Chunk(facts.layout.tasks_in(chunk)) for chunk in range(first, last))
    return Shard(facts.session_id, number, chunks)
