"""Cancel at any instant: the counts are those of the tasks that it cancelled, no more and no less.

Several workers share a session of 200 tasks; some of them finish, some fail now and then, some
always. At a call to the world that is picked at random, the session is cancelled.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from stepgrid.testing import InMemoryGrid
from stepgrid_core.cancellation import cancel
from stepgrid_core.contract import CancelCounts, SubmitRequest, TaskCounts
from stepgrid_core.description import describe
from stepgrid_core.invocation import Invocation, facts_of
from stepgrid_core.states import TaskState
from stepgrid_core.wiring import Grid
from tests.faults.agreement import agreed_counts, list_all
from tests.submitting import submit

OWNER = "owner"
TASKS = 200
CHUNK_SIZE = 10
ROUNDS = 200
#: Calls to the world that the workers of one session make, about; a cancel makes a handful.
RUN_CALLS, CANCEL_CALLS = 220, 12
NESTED_WORKERS = 4
KINDS = ("ok", "ok", "ok", "fails once", "fails once", "fails always")


class Interrupted:
    """A port; before the call of that number, counted over all ports, something else happens."""

    def __init__(self, port: Any, before_call: Callable[[], None]) -> None:
        self._port = port
        self._before_call = before_call

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = getattr(self._port, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self._before_call()
            return function(*args, **kwargs)

        return call


def interrupted(grid: Grid, at_call: int, action: Callable[[], None]) -> Grid:
    """The same world; `action` happens once, before its call number `at_call`."""
    calls = iter(range(at_call + 1))

    def before_call() -> None:
        if next(calls, None) == at_call:
            action()

    ports = ("table", "payloads", "dispatcher", "events")
    return replace(grid, **{name: Interrupted(getattr(grid, name), before_call) for name in ports})


class Round:
    """One session, its workers, and the one cancel."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.memory = InMemoryGrid({"work": self.work}, autorun=False)
        self.answered = False
        self.depth = 0
        kinds = [self.random.choice(KINDS) for _ in range(TASKS)]
        request = {
            "client_token": "token",
            "worker": "work",
            "tasks": kinds,
            "options": {"chunk_size": self.random.choice([CHUNK_SIZE, TASKS]), "max_attempts": 3},
        }
        session = submit(self.memory.wiring, OWNER, SubmitRequest.model_validate(request))
        self.id, self.facts = session.session_id, facts_of(session)
        self.waiting = list(range(session.chunks))
        self.random.shuffle(self.waiting)
        self.grid = self.memory.wiring

    def work(self, kind: str, context: Any) -> str:
        """Takes a while, in which another worker may take another chunk."""
        assert not self.answered, "a task started after its cancel was answered"
        self.memory.clock.advance(self.random.choice([0.01, 0.2, 0.7]))
        if self.random.random() < 0.1:
            self.run_worker()
        if kind == "fails always" or (kind == "fails once" and context.attempt == 1):
            raise ValueError("as asked")
        return kind

    def run_worker(self) -> None:
        """One invocation for a chunk that waits, if another one can be at work now."""
        if not self.waiting or self.depth == NESTED_WORKERS:
            return
        chunk = self.waiting.pop()
        self.depth += 1
        invocation = Invocation(self.facts, chunk, f"{chunk:04d}-{self.random.random()}")
        if self.memory.executions.invoke_on(self.grid, invocation) == "again":
            self.waiting.append(chunk)
        self.depth -= 1

    def run_workers(self) -> None:
        while self.waiting:
            self.run_worker()

    def cancel(self) -> CancelCounts:
        return cancel(self.memory.wiring, OWNER, [self.id])[self.id]

    def counts(self) -> TaskCounts:
        counts = agreed_counts(self.memory, OWNER, self.id)
        assert describe(self.memory.wiring, OWNER, self.id).counts == counts
        return counts


def cancel_at(seed: int) -> tuple[TaskCounts, CancelCounts]:
    """One round; what the counts were just before the cancel, and its answer."""
    this = Round(seed)
    seen: list[tuple[TaskCounts, CancelCounts, TaskCounts]] = []

    def stop() -> None:
        before, answer = this.counts(), this.cancel()
        seen.append((before, answer, this.counts()))
        assert this.cancel() == CancelCounts()
        this.answered = True

    this.grid = interrupted(this.memory.wiring, this.random.randrange(RUN_CALLS), stop)
    this.run_workers()
    if not seen:
        stop()
    ((before, answer, after),) = seen
    assert this.counts() == after, "something moved after the cancel"
    assert (answer.cancelled_pending, answer.cancelled_processing, answer.cancelled_retrying) == (
        before.pending,
        before.processing,
        before.retrying,
    )
    assert (after.finished, after.failed) == (before.finished, before.failed)
    assert after.cancelled == answer.total_cancelled_tasks
    assert after.finished + after.failed + after.cancelled == TASKS
    return before, answer


def test_counts_and_states_agree_whenever_a_session_is_cancelled() -> None:
    """200 tasks, 200 instants: the answer is what the counts said just before, state by state."""
    seen: Counter[str] = Counter()
    for seed in range(ROUNDS):
        before, answer = cancel_at(seed)
        states = {name for name, count in before.model_dump().items() if count}
        seen.update(states)
        seen["all at once"] += len(states) == len(TaskState) - 1
        seen["cancelled"] += answer.total_cancelled_tasks > 0
    expected = ("pending", "processing", "retrying", "finished", "failed", "cancelled")
    assert min(seen[name] for name in expected) > ROUNDS // 4, seen
    assert seen["all at once"] > ROUNDS // 5, seen


@pytest.mark.parametrize("others", ["a worker", "another cancel"])
def test_whatever_happens_during_a_cancel(others: str) -> None:
    """Between any two of its calls a worker settles tasks, or somebody else cancels too: each task
    is counted once, by whoever cancelled it.
    """
    for seed in range(ROUNDS // 2):
        this = Round(seed)
        second = CancelCounts()
        for _ in range(this.random.randrange(8)):
            this.run_worker()

        def interfere(this: Round = this) -> None:
            nonlocal second
            if others == "a worker":
                this.run_worker()
            else:
                second = this.cancel()

        grid = interrupted(this.memory.wiring, seed % CANCEL_CALLS, interfere)
        first = cancel(grid, OWNER, [this.id])[this.id]
        counts = this.counts()
        assert counts.cancelled == first.total_cancelled_tasks + second.total_cancelled_tasks
        assert counts.finished + counts.failed + counts.cancelled == TASKS


def test_several_sessions_are_cancelled_at_once() -> None:
    """Each gets its own counts; ids that are no sessions of the owner get zeros."""
    memory = InMemoryGrid({"work": lambda task, context: task}, autorun=False)
    sessions = []
    for number in range(1, 4):
        request = {"client_token": f"t{number}", "worker": "work", "tasks": [0] * number * 10}
        sessions.append(submit(memory.wiring, OWNER, SubmitRequest.model_validate(request)))
    ids = [session.session_id for session in sessions]
    answers = cancel(memory.wiring, OWNER, [*ids, "unknown", ids[0]])
    assert [answers[name].total_cancelled_tasks for name in [*ids, "unknown"]] == [10, 20, 30, 0]
    for name in ids:
        states = {task.state for task in list_all(memory, OWNER, name)}
        assert states == {TaskState.CANCELLED}
