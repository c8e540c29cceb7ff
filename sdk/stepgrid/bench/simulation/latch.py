"""How a session ends: the last commit of a shard tells the latch, the last shard closes."""

from __future__ import annotations

from math import ceil

from .plans import SessionPlan
from .resources import Process
from .rules import CHUNKS_PER_SHARD, PROGRESS_STEP, QUIET_SECONDS
from .services import SHARDS_PER_READ_UNIT, Services

#: The close is one transaction: session with its indexes, lane, two counters; each billed twice.
#: As `stepgrid bench cost` measured it.
CLOSE_UNITS = 14
#: A session that does not end quickly tells each tenth of its tasks.
TENTHS = 100 // PROGRESS_STEP - 1


class Latch:
    """Counts what was committed, and closes the session."""

    def __init__(self, services: Services, plan: SessionPlan) -> None:
        self._services = services
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

    def committed(self, chunk: int) -> Process:
        """A chunk is final; what else follows from it."""
        self.final.add(chunk)
        self.last_commit_at = self._services.clock.now
        shard = chunk // CHUNKS_PER_SHARD
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
        services.tally.write(CLOSE_UNITS)
        seconds = 2 * services.profile.table_seconds
        yield from services.request("dynamodb.TransactWriteItems", seconds)
        self.closed.succeed()
        self._count_news()

    def _count_news(self) -> None:
        """Events that the session has told by now; nobody waits for them."""
        tally = self._services.tally
        tally.events(1)
        if self._services.clock.now - (self.first_claim_at or 0.0) > QUIET_SECONDS:
            tally.events(TENTHS)
            tally.request("dynamodb.UpdateItem", TENTHS)
            tally.write(TENTHS)
