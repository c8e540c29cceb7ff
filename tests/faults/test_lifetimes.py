"""The end of an environment: what has ended is kept, what runs may end, nothing else is held up."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stepgrid.testing import InMemoryGrid
from stepgrid_core.compute_plane import run_chunk
from stepgrid_core.contract import SubmitRequest
from stepgrid_core.data_plane import TaskFault
from stepgrid_core.invocation import Invocation, facts_of
from stepgrid_core.memory import MemoryPayloadStore, VirtualClock
from stepgrid_core.output_lines import finished_line
from stepgrid_core.ports import CommonInput, FailedTask, FinishedTasks, TaskOutcome, TaskSpan
from stepgrid_core.records import Session
from tests.faults.agreement import agreed_counts, list_all
from tests.submitting import submit

OWNER = "owner"
FAULT = TaskFault("ValueError", "as asked")


def submit_tasks(memory: InMemoryGrid, tasks: int, **options: Any) -> Session:
    request = {
        "client_token": "token",
        "worker": "work",
        "tasks": list(range(tasks)),
        "options": {"chunk_size": tasks, **options},
    }
    return submit(memory.wiring, OWNER, SubmitRequest.model_validate(request))


@dataclass
class SlowStore:
    """A payload store that takes its time for an object."""

    truth: MemoryPayloadStore
    clock: VirtualClock
    put_seconds: float

    def put(self, key: str, body: bytes) -> Any:
        self.clock.advance(self.put_seconds)
        return self.truth.put(key, body)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.truth, name)


def test_a_checkpoint_lasts_beyond_the_last_start() -> None:
    """Between two passes the time to start is over: the rest is handed back, not held for hours."""

    def work(task: int, context: Any) -> int:
        memory.clock.advance(119.75)
        if context.attempt == 1 and task == 0:
            raise ValueError
        return task

    memory = InMemoryGrid({"work": work}, autorun=False)
    session = submit_tasks(memory, 2, task_timeout_seconds=130, timeout_seconds=5_000)
    facts = replace(facts_of(session), children="express")
    store = SlowStore(memory.payloads, memory.clock, put_seconds=0.3)
    grid = replace(memory.wiring, payloads=store)
    started = memory.clock.monotonic()
    assert memory.executions.invoke_on(grid, Invocation(facts, 0, "token")) == "again"
    assert memory.clock.monotonic() - started < 242
    counts = agreed_counts(memory, OWNER, session.session_id)
    assert (counts.finished, counts.retrying) == (1, 1)


class ManyAtOnce:
    """A runner whose tasks have ended when the environment has no time left, all but the last."""

    def __init__(self, clock: VirtualClock, outcomes: Sequence[TaskOutcome]) -> None:
        self._clock = clock
        self._outcomes = outcomes
        self.busy = False
        self.killed = False

    def permit(self, seconds: float) -> None:
        """Its tasks have started."""

    def run(
        self,
        spans: Sequence[TaskSpan],
        timeout_seconds: float,
        common: CommonInput | None = None,
    ) -> Generator[TaskOutcome | None, None, None]:
        *ended, last = self._outcomes
        self._clock.advance(891)
        yield from ended
        self.busy = True
        try:
            for _ in range(20):
                self._clock.advance(0.05)
                yield None
        except GeneratorExit:
            self.killed = True
            raise
        self.busy = False
        yield last
        while True:
            self._clock.advance(0.05)
            yield None


def test_what_has_ended_is_kept_and_what_runs_may_end() -> None:
    """However little time is left: a start that was forgotten would be one too many."""
    memory = InMemoryGrid({"work": lambda task, context: task}, autorun=False)
    session = submit_tasks(memory, 5, task_timeout_seconds=5, max_attempts=2)
    line = finished_line(3, 1, 1.0, b"3")
    outcomes = [
        *(FailedTask(index, 1.0, FAULT) for index in range(3)),
        FinishedTasks(3, [1.0], line),
    ]
    runner = ManyAtOnce(memory.clock, outcomes)
    started = memory.clock.monotonic()

    def time_left() -> float:
        return 905.0 - (memory.clock.monotonic() - started)

    invocation = Invocation(facts_of(session), 0, "token")
    assert run_chunk(memory.wiring, invocation, runner, time_left) == "again"
    assert not runner.killed
    assert agreed_counts(memory, OWNER, session.session_id).finished == 1
    attempts = {task.index: task.attempts for task in list_all(memory, OWNER, session.session_id)}
    assert attempts == {0: 1, 1: 1, 2: 1, 3: 1, 4: None}
