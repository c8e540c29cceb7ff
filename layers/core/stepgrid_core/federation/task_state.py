"""What is stored of a task's runs, read together: rows of its session, and their records."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..records import Chunk, Session
from ..states import ChunkState
from ..wiring import Grid
from .records import FederatedTask, RunRecord, run_id
from .registry import Registry
from .run_rows import read_runs
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
    grid, registry = federation.grid, federation.registry
    session = grid.table.read_session(task.session_id)
    chunks = _chunks(grid, task, session)
    records = _records(registry, task, chunks)
    runs = (
        RunState(task, index, chunk, records.get(run_id(task.id, index)), session)
        for index, chunk in enumerate(chunks)
    )
    return TaskState(task, session, tuple(runs))


def read_one(federation: Federation, task: FederatedTask, index: int) -> RunState:
    return read_task(federation, task).runs[index]


def _chunks(grid: Grid, task: FederatedTask, session: Session | None) -> Sequence[Chunk]:
    """Rows that the creation has yet to write are as good as untouched; deleted ones have ended."""
    found = [] if session is None else list(read_runs(grid, session))
    deleted = session is not None and session.deleted
    missing = Chunk(1, state=ChunkState.CANCELLED) if deleted else Chunk(1)
    return [*found, *[missing] * (len(task.organization_ids) - len(found))]


def _records(
    registry: Registry, task: FederatedTask, chunks: Sequence[Chunk]
) -> dict[int, RunRecord]:
    """Of those that were begun."""
    ids = [run_id(task.id, index) for index, chunk in enumerate(chunks) if chunk.attempt]
    return {record.id: record for record in registry.find_many(RunRecord, ids)} if ids else {}
