"""The promises for registered functions: the relay over the in-memory grid, with faults as data."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

import relay
from stepgrid.testing import InMemoryGrid
from stepgrid_core.cancellation import cancel
from stepgrid_core.contract import SubmitRequest, TaskCounts
from stepgrid_core.description import describe, list_workers
from stepgrid_core.errors import InvalidRequest, NotFound, ServiceError, StepgridError, Unavailable
from stepgrid_core.invocation import facts_of
from stepgrid_core.memory import MemoryFunctionCaller, MemoryWorkerRegistry, VirtualClock
from stepgrid_core.outputs import list_tasks
from stepgrid_core.ports import FunctionReply
from stepgrid_core.records import Session
from stepgrid_core.registration import Registration
from tests.submitting import submit

OWNER = "owner"
ARN = "arn:aws:lambda:eu-central-1:123456789012:function:pricer"

Step = StepgridError | FunctionReply | float


@dataclass
class Environment:
    """A relay's Lambda context: how long it lives yet."""

    clock: VirtualClock
    ends_at: float

    def get_remaining_time_in_millis(self) -> int:
        return int((self.ends_at - self.clock.monotonic()) * 1000)


class RelayGrid:
    """A grid with one registered function. `script(task)` says what each call of a task does."""

    def __init__(self, script: Callable[[bytes], Step]) -> None:
        self.memory = InMemoryGrid({}, autorun=False)
        registry = MemoryWorkerRegistry()
        registry.register(Registration("pricer", ARN, "provided.al2023", 60, 256))
        self.memory.dispatcher.registry = registry
        self.caller = MemoryFunctionCaller(self.memory.clock, {ARN: self._behave})
        self.script = script

    def _behave(self, payload: bytes) -> tuple[float, FunctionReply]:
        step = self.script(payload)
        if isinstance(step, StepgridError):
            raise step
        return (step, FunctionReply(payload)) if isinstance(step, float) else (0.01, step)

    def submit(self, tasks: list[Any], **options: Any) -> Session:
        request = {"client_token": "t", "worker": "pricer", "tasks": tasks, "options": options}
        return submit(self.memory.wiring, OWNER, SubmitRequest.model_validate(request))

    def run_chunk(self, session: Session, chunk: int, token: str = "token") -> str:
        event = {"session": facts_of(session).as_dict(), "chunk": chunk, "token": token}
        clock = self.memory.clock
        environment = Environment(clock, clock.monotonic() + 900)
        return relay.handle(event, environment, self.memory.wiring, self.caller)["outcome"]

    def run(self, session: Session) -> None:
        for chunk in range(session.chunks):
            while self.run_chunk(session, chunk) == "again":
                pass

    def counts(self, session: Session) -> TaskCounts:
        return describe(self.memory.wiring, OWNER, session.session_id).counts

    def tasks(self, session: Session) -> list[Any]:
        return list(list_tasks(self.memory.wiring, OWNER, session.session_id, None, None).tasks)


def failing(times: int, error: Step) -> Callable[[bytes], Step]:
    """Task b"0" fares badly so often, then well; all others fare well."""
    seen: list[bytes] = []

    def step(payload: bytes) -> Step:
        seen.append(payload)
        return error if payload == b"0" and seen.count(b"0") <= times else 0.01

    return step


def test_every_task_is_called_once() -> None:
    """A healthy function: 50 tasks, 50 calls, 50 results."""
    grid = RelayGrid(lambda _: 0.01)
    session = grid.submit(list(range(50)))
    grid.run(session)
    assert grid.counts(session) == TaskCounts(finished=50)
    assert sorted(map(int, grid.caller.begun)) == list(range(50))


def test_throttling_uses_up_no_attempt() -> None:
    """Ten refusals in a row, and the one attempt that the task has still succeeds."""
    grid = RelayGrid(failing(10, Unavailable("throttled")))
    session = grid.submit([0, 1, 2], max_attempts=1)
    grid.run(session)
    assert [(task.state, task.attempts) for task in grid.tasks(session)] == [("finished", 1)] * 3
    assert grid.caller.begun.count(b"0") == 11


@pytest.mark.parametrize(
    "error",
    [
        FunctionReply(b'{"errorType":"E","errorMessage":"m"}', failed=True),
        ServiceError("the connection broke"),
        100.0,
    ],
    ids=["error", "broken connection", "timeout"],
)
def test_a_failed_call_is_an_attempt(error: Step) -> None:
    """A task is called max_attempts times, whatever went wrong, and its neighbours once."""
    grid = RelayGrid(failing(1_000, error))
    session = grid.submit([0, 1, 2], max_attempts=3, chunk_size=3)
    grid.run(session)
    assert grid.counts(session) == TaskCounts(finished=2, failed=1)
    assert [grid.caller.begun.count(task) for task in (b"0", b"1", b"2")] == [3, 1, 1]


def test_a_task_that_recovers_has_its_result() -> None:
    """Two failures, then success."""
    failed = FunctionReply(b'{"errorType":"E","errorMessage":"m"}', failed=True)
    grid = RelayGrid(failing(2, failed))
    session = grid.submit([0, 1], max_attempts=3, chunk_size=2)
    grid.run(session)
    assert [(task.state, task.attempts) for task in grid.tasks(session)] == [
        ("finished", 3),
        ("finished", 1),
    ]


def test_a_dead_function_fails_all_tasks_at_once() -> None:
    """One call of each, for nothing will bring it back; the message names it."""
    grid = RelayGrid(lambda _: NotFound(f"{ARN} does not exist"))
    session = grid.submit([0, 1], max_attempts=5, chunk_size=2)
    grid.run(session)
    assert grid.counts(session) == TaskCounts(failed=2)
    assert len(grid.caller.begun) == 2
    assert {task.error["message"] for task in grid.tasks(session)} == {f"{ARN} does not exist"}


def test_a_cancel_is_noticed_during_a_call() -> None:
    """The relay lets the chunk go within two watches, and calls nothing more."""
    grid = RelayGrid(lambda _: 30.0)
    session = grid.submit([0, 1, 2], chunk_size=3)
    cancelled_at: list[float] = []

    def cancelling(payload: bytes) -> Step:
        cancel(grid.memory.wiring, OWNER, [session.session_id])
        cancelled_at.append(grid.memory.clock.monotonic())
        return 30.0

    grid.script = cancelling
    assert grid.run_chunk(session, 0) == "ended"
    assert grid.memory.clock.monotonic() - cancelled_at[0] < 2 * session.watch_seconds
    assert grid.counts(session) == TaskCounts(cancelled=3)
    assert len(grid.caller.begun) == 1


def test_endless_throttling_hands_the_chunk_back() -> None:
    """A relay does not outlive its environment waiting; the tasks stay open, none is lost."""
    grid = RelayGrid(lambda _: Unavailable("throttled"))
    session = grid.submit([0, 1], chunk_size=2, timeout_seconds=10_000)
    assert grid.run_chunk(session, 0) == "again"
    counts = grid.counts(session)
    assert (counts.pending + counts.retrying, counts.finished, counts.failed) == (2, 0, 0)


def test_a_relay_that_died_is_followed_by_a_careful_one() -> None:
    """The chunk is taken over under a new token once the lease has ended; each task ends once."""
    grid = RelayGrid(lambda _: 0.01)
    session = grid.submit([0, 1, 2], chunk_size=3)

    class Killed(BaseException):
        pass

    def die(payload: bytes) -> Step:
        raise Killed

    grid.script = die
    with pytest.raises(Killed):
        grid.run_chunk(session, 0, "first")
    grid.script = lambda _: 0.01
    grid.memory.clock.advance(1_000)
    assert grid.run_chunk(session, 0, "second") == "ended"
    assert grid.counts(session) == TaskCounts(finished=3)


def test_a_task_may_take_as_long_as_the_function() -> None:
    """The limit that is listed is the limit that is kept; without a wish it is the timeout."""
    grid = RelayGrid(lambda _: 0.01)
    (worker,) = list_workers(grid.memory.wiring).workers
    assert (worker.kind, worker.runtime) == ("function", "provided.al2023")
    assert worker.max_task_timeout_seconds == 60
    assert grid.submit([0]).task_timeout_seconds == 60
    with pytest.raises(InvalidRequest, match="allows 60 at most"):
        grid.submit([0], task_timeout_seconds=61)


def test_a_common_input_is_refused() -> None:
    """A function is given its task and nothing else; nothing is stored."""
    grid = RelayGrid(lambda _: 0.01)
    request = {"client_token": "t", "worker": "pricer", "tasks": [0], "common": {"curve": 1}}
    with pytest.raises(InvalidRequest, match="is a registered function"):
        submit(grid.memory.wiring, OWNER, SubmitRequest.model_validate(request))
    assert grid.memory.table.list_sessions(OWNER, None, None, 10).items == ()
