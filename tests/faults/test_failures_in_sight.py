"""A failed attempt is in sight while its chunk still runs, and publishing it can't do harm."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from stepgrid.testing import EnvironmentDied, InMemoryGrid
from stepgrid_core.contract import SubmitRequest
from stepgrid_core.errors import Unavailable
from stepgrid_core.invocation import Invocation, facts_of
from stepgrid_core.outputs import list_tasks
from stepgrid_core.records import Session
from stepgrid_core.states import TaskState
from stepgrid_core.wiring import Grid
from tests.faults.agreement import agreed_counts
from tests.submitting import submit

OWNER = "owner"
Work = Callable[[InMemoryGrid, int, Any], int]


def make_grid(work: Work) -> InMemoryGrid:
    """`work` gets the grid, the number of its task and its context; each start takes a second."""

    def handle(number: int, context: Any) -> int:
        memory.clock.advance(1)
        return work(memory, number, context)

    memory = InMemoryGrid({"work": handle}, autorun=False)
    return memory


def submit_tasks(memory: InMemoryGrid, count: int = 10, max_attempts: int = 3) -> Session:
    request = {
        "client_token": "token",
        "worker": "work",
        "tasks": list(range(count)),
        "options": {"chunk_size": count, "max_attempts": max_attempts},
    }
    return submit(memory.wiring, OWNER, SubmitRequest.model_validate(request))


def only_session(memory: InMemoryGrid) -> str:
    (session,) = memory.table.list_sessions(OWNER, None, None, 10).items
    return session.session_id


def test_a_failed_attempt_is_in_sight_while_its_neighbours_run() -> None:
    """It is listed as retrying, with its error and attempts; once it has a result, that is all."""
    seen = []

    def work(memory: InMemoryGrid, number: int, context: Any) -> int:
        session = only_session(memory)
        if number == 9 and context.attempt == 1:
            seen.append(agreed_counts(memory, OWNER, session))
            seen.extend(list_tasks(memory.wiring, OWNER, session, TaskState.RETRYING, None).tasks)
        if number == 1 and context.attempt == 1:
            raise ValueError("as asked")
        return number

    memory = make_grid(work)
    session = submit_tasks(memory)
    memory.run()
    counts, task = seen
    assert counts.retrying == 1
    assert counts.retrying + counts.processing + counts.finished == 10
    assert (task.index, task.attempts, task.reason) == (1, 1, None)
    assert task.error == {"type": "ValueError", "message": "as asked"}
    assert agreed_counts(memory, OWNER, session.session_id).finished == 10


@pytest.mark.parametrize("attempt", [2, 3])
def test_a_task_is_retrying_through_its_next_attempts(attempt: int) -> None:
    """Between two attempts and in the second one it has failed before, and says so."""
    seen = []

    def work(memory: InMemoryGrid, number: int, context: Any) -> int:
        if number == 0 and context.attempt == attempt:
            seen.append(agreed_counts(memory, OWNER, only_session(memory)).retrying)
        if number == 0:
            raise ValueError
        return number

    memory = make_grid(work)
    session = submit_tasks(memory)
    memory.run()
    assert seen == [1]
    (failed,) = list_tasks(memory.wiring, OWNER, session.session_id, TaskState.FAILED, None).tasks
    assert (failed.index, failed.attempts, failed.reason) == (0, 3, "exception")


def test_a_failure_for_good_is_in_sight_soon() -> None:
    """A task that no attempt can mend is a dead letter while its chunk still runs."""
    seen = []

    def work(memory: InMemoryGrid, number: int, context: Any) -> Any:
        if number == 9:
            seen.append(agreed_counts(memory, OWNER, only_session(memory)).failed)
        return {1, 2} if number == 0 else number

    memory = make_grid(work)
    submit_tasks(memory)
    memory.run()
    assert seen == [1]


def test_a_look_in_the_middle_of_a_retry_counts_the_starts_to_come() -> None:
    """What is published while tasks are tried again names the start that each is about to make: a
    death in between gives none of them a start too many.
    """
    starts: dict[int, int] = dict.fromkeys(range(10), 0)

    def work(memory: InMemoryGrid, number: int, context: Any) -> int:
        starts[number] += 1
        if number == 9 and context.attempt == 2:
            raise EnvironmentDied
        raise ValueError

    memory = make_grid(work)
    session = submit_tasks(memory, max_attempts=2)
    memory.run()
    assert starts == dict.fromkeys(range(10), 2)
    assert agreed_counts(memory, OWNER, session.session_id).failed == 10


class Outage:
    """A port that fails its `method` once it is told to, before or after doing it; for one call."""

    def __init__(self, port: Any, method: str, done: bool) -> None:
        self._port = port
        self._method = method
        self._done = done
        self.failures = 0
        self.armed = False

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._port, name)
        if name != self._method:
            return function

        def call(*args: Any, **kwargs: Any) -> Any:
            if not self.armed:
                return function(*args, **kwargs)
            self.armed = False
            self.failures += 1
            if self._done:
                function(*args, **kwargs)
            raise Unavailable("no answer")

        return call


@pytest.mark.parametrize(
    ("port", "method", "done"),
    [
        pytest.param("payloads", "put", False, id="the store is out"),
        pytest.param("table", "swap_chunk", False, id="the table is out"),
        pytest.param("table", "swap_chunk", True, id="the table's answer is lost"),
    ],
)
@pytest.mark.parametrize("last", [False, True], ids=["in the middle", "at the last task"])
def test_a_failure_that_can_not_be_published_harms_nothing(
    port: str, method: str, done: bool, last: bool
) -> None:
    """The worker goes on, finds out where the row stands, and commits all of it."""
    starts = []

    def work(memory: InMemoryGrid, number: int, context: Any) -> int:
        starts.append(number)
        if number == (9 if last else 2) and context.attempt == 1:
            outage.armed = True
            raise ValueError
        return number

    memory = make_grid(work)
    session = submit_tasks(memory)
    outage = Outage(getattr(memory.wiring, port), method, done)
    grid: Grid = replace(memory.wiring, **{port: outage})
    invocation = Invocation(facts_of(session), 0, "token")
    assert memory.executions.invoke_on(grid, invocation) == "ended"
    assert outage.failures == 1
    assert len(starts) == 11
    assert agreed_counts(memory, OWNER, session.session_id).finished == 10
