"""What is stored of a task's runs, read together: its session with their rows, and their records.

Two requests, however many runs there are: clients and nodes ask for it all the time.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ..names import CHUNKS_PER_SHARD, shard_of
from ..records import Chunk, Session, Shard
from ..states import ChunkState
from .records import FederatedTask, RunRecord, run_id
from .registry import Registry
from .service import Federation
from .statuses import has_ended, status_of, task_status


@dataclass(frozen=True, slots=True)
class RunState:
    """One run as it is now."""

    task: FederatedTask
    index: int
    chunk: Chunk
    record: RunRecord | None
    session: Session | None  #: None: it was deleted this moment
    shard: Shard | None  #: in which its row is; None: it is not written yet, or deleted

    @property
    def id(self) -> int:
        return run_id(self.task.id, self.index)

    @property
    def organization_id(self) -> int:
        return self.task.organization_ids[self.index]

    @property
    def status(self) -> str:
        return status_of(self.chunk, self.record)

    @property
    def current(self) -> RunRecord | None:
        """What is said of its present attempt."""
        same = self.record is not None and self.record.attempt == self.chunk.attempt
        return self.record if same else None

    @property
    def finished_at(self) -> float | None:
        """One that was ended from outside has no record of it."""
        if not self.chunk.terminal:
            return None
        said = self.current.finished_at if self.current else None
        closed_at = self.session.closed_at if self.session is not None else None
        return said or closed_at or self.task.created_at


@dataclass(frozen=True, slots=True)
class TaskState:
    """A task with all of its runs."""

    task: FederatedTask
    session: Session | None  #: None: it was deleted this moment
    runs: tuple[RunState, ...]

    @property
    def status(self) -> str:
        return task_status(run.status for run in self.runs)

    @property
    def finished_at(self) -> float | None:
        """When its last run ended; None while any is open."""
        if not has_ended(self.status) or self.session is None:
            return None
        return self.session.closed_at


def read_task(federation: Federation, task: FederatedTask) -> TaskState:
    """As it is now."""
    number = -(-len(task.organization_ids) // CHUNKS_PER_SHARD)
    session, shards = federation.grid.table.read_session_and_shards(task.session_id, number)
    rows = _rows(task, session, shards)
    begun = [run_id(task.id, index) for index, (_, chunk) in enumerate(rows) if chunk.attempt]
    records = _records(federation.registry, begun)
    runs = (
        RunState(task, index, chunk, records.get(run_id(task.id, index)), session, shard)
        for index, (shard, chunk) in enumerate(rows)
    )
    return TaskState(task, session, tuple(runs))


def _rows(
    task: FederatedTask, session: Session | None, shards: Iterable[Shard]
) -> list[tuple[Shard | None, Chunk]]:
    """Rows that the creation has yet to write are as good as untouched; deleted ones have ended."""
    found = {shard.number: shard for shard in shards}
    deleted = session is not None and session.deleted
    missing = Chunk(1, state=ChunkState.CANCELLED) if deleted else Chunk(1)
    rows: list[tuple[Shard | None, Chunk]] = []
    for index in range(len(task.organization_ids)):
        number, slot = shard_of(index)
        shard = found.get(number)
        rows.append((shard, missing if shard is None else shard.chunks[slot]))
    return rows


def _records(registry: Registry, ids: list[int]) -> dict[int, RunRecord]:
    return {record.id: record for record in registry.find_many(RunRecord, ids)} if ids else {}
