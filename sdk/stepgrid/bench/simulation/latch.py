"""How a session ends: the last commit of a shard tells the latch, the last shard closes.

    last chunk of a shard --> latch --> all shards ended --> close --> news
    the only chunk -------> commit and close, one transaction -----------^

As in stepgrid_core.closing.
"""

from __future__ import annotations

from math import ceil

from .plans import SessionPlan
from .resources import Process
from .rules import CHUNKS_PER_SHARD, PROGRESS_STEP, QUIET_SECONDS
from .services import SHARDS_PER_READ_UNIT, Services

#: The close is one transaction: session with its indexes, lane, two counters; each billed twice.
#: As `stepgrid bench cost` measured it. An only chunk's row is in it as well.
CLOSE_UNITS, ROW_UNITS = 14, 2
#: That the end was told is written into the session, and takes it out of one of its two indexes.
TOLD_UNITS = 3
#: A session that does not end quickly tells each tenth of its tasks.
TENTHS = 100 // PROGRESS_STEP - 1


class Latch:
    """Counts what was committed, and closes the session."""

    def __init__(self, services: Services, plan: SessionPlan) -> None:
        self._services = services
        self._chunks = len(plan.sizes)
        self._open_chunks = plan.shard_sizes()
        self._open_shards = plan.shards
        self._shards = plan.shards
        self.closed = services.clock.event()
        self.final: set[int] = set()  #: chunks that were committed
        self.first_claim_at: float | None = None
        self.last_commit_at = 0.0

    def claimed(self) -> None:
        """A worker has claimed a chunk."""
        if self.first_claim_at is None:
            self.first_claim_at = self._services.clock.now

    def commit(self, chunk: int) -> Process:
        """Write the row of a chunk, and what follows from it. Raises Throttled if it is not."""
        if self._chunks == 1:
            yield from self._commit_and_close(chunk)
            return
        yield from self._services.write("UpdateItem")
        self._note(chunk)
        yield from self._end(chunk // CHUNKS_PER_SHARD)

    def _note(self, chunk: int) -> None:
        self.final.add(chunk)
        self.last_commit_at = self._services.clock.now

    def _commit_and_close(self, chunk: int) -> Process:
        """The partition may refuse the row, and all else with it."""
        services = self._services
        yield from services.write("TransactWriteItems")
        services.tally.write(ROW_UNITS - 1 + CLOSE_UNITS)
        yield services.clock.timeout(services.profile.table_seconds)
        self._note(chunk)
        self._tell()

    def _end(self, shard: int) -> Process:
        """A chunk of this shard is final."""
        self._open_chunks[shard] -= 1
        if self._open_chunks[shard]:
            return
        if self._shards > 1:
            yield from self._services.persist("UpdateItem")
        self._open_shards -= 1
        if not self._open_shards:
            yield from self._close()

    def _close(self) -> Process:
        services = self._services
        if self._shards > 1:
            yield from services.read("Query", ceil(self._shards / SHARDS_PER_READ_UNIT))
        yield from services.read("GetItem")
        yield from services.transact(CLOSE_UNITS)
        self._tell()

    def _tell(self) -> None:
        """The session is closed. The events that it has told by now, for which nobody waits."""
        self.closed.succeed()
        tally = self._services.tally
        tally.events(1)
        tally.request("dynamodb.UpdateItem")
        tally.write(TOLD_UNITS)
        if self._services.clock.now - (self.first_claim_at or 0.0) > QUIET_SECONDS:
            for _ in range(min(TENTHS, self._chunks - 1)):
                tally.events(1)
                tally.request("dynamodb.UpdateItem")
                tally.write(1)
