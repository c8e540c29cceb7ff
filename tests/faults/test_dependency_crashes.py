"""Sessions that depend on others, while processes die and races are lost.

Submit, release and close are cut off at every call that they make, or something else happens then;
afterwards only the sweeper and the state machines go on. A dependent starts exactly if all that it
depends on has finished well, and otherwise fails with the reason.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from stepgrid.testing import EnvironmentDied, InMemoryGrid
from stepgrid_core.cancellation import cancel
from stepgrid_core.contract import SessionUpdate, SubmitRequest
from stepgrid_core.dependencies import release_dependents
from stepgrid_core.description import describe
from stepgrid_core.invocation import Invocation, facts_of
from stepgrid_core.loss import lose
from stepgrid_core.ports import StateTable
from stepgrid_core.records import Session
from stepgrid_core.states import SessionState
from stepgrid_core.steering import update_session
from stepgrid_core.wiring import Grid
from tests.faults.fuse import MOST_CALLS, POINTS, Fuse, fused
from tests.submitting import submit

OWNER = "owner"
#: How the dependency ends, and what that makes of the dependent.
ENDS = {"well": SessionState.FINISHED, "badly": SessionState.FAILED}


class Pipeline:
    """A session, and one that depends on it."""

    def __init__(self, end: str) -> None:
        self.end = end
        self.ran: list[str] = []
        self.memory = InMemoryGrid({"work": self.work}, autorun=False)

    def work(self, task: str, context: Any) -> str:
        self.ran.append(task)
        if task == "first" and self.end == "badly":
            raise ValueError("as asked")
        return task

    def submit_first(self, tasks: int = 1) -> Session:
        return self.submit_to(self.memory.wiring, "first", [], tasks)

    def submit_last(self, grid: Grid | None = None, tasks: int = 2) -> Session:
        first = session_of(self.memory, "first")
        return self.submit_to(grid or self.memory.wiring, "last", [first.session_id], tasks)

    def submit_to(self, grid: Grid, name: str, after: list[str], tasks: int) -> Session:
        request = {
            "client_token": name,
            "worker": "work",
            "tasks": [name] * tasks,
            "options": {"chunk_size": 1, "max_attempts": 3, "name": name},
            "depends_on": after,
        }
        return submit(grid, OWNER, SubmitRequest.model_validate(request))

    def run_unheard(self) -> None:
        """Run what was started, while nobody is told of any end."""
        while self.memory.dispatcher.started:
            dispatch = self.memory.dispatcher.started.pop(0)
            for chunk in dispatch.chunks:
                token = f"token-{dispatch.session.session_id[:4]}-{chunk}"
                invocation = Invocation(facts_of(dispatch.session), chunk, token)
                self.memory.executions.invoke(invocation)
        self.memory.dispatcher.released.clear()

    def heal(self) -> None:
        """Only the sweeper and the state machines go on."""
        for _ in range(6):
            self.memory.run()
            self.memory.clock.advance(400)
            self.memory.sweep()
        self.memory.run()

    def check(self, where: object = None) -> None:
        """The last one ended as the first one's end demands, and nothing is held any more."""
        first, last = session_of(self.memory, "first"), session_of(self.memory, "last")
        assert last.verdict is ENDS[self.end], where
        shown = describe(self.memory.wiring, OWNER, last.session_id)
        if self.end == "well":
            assert self.ran.count("last") == last.tasks, where
            assert shown.reason is None
        else:
            assert "last" not in self.ran, where
            assert shown.counts.failed == last.tasks
            assert first.session_id in (shown.reason or "")
        assert self.memory.table.read_lane("work").used == 0
        assert self.memory.table.read_lane("work").waiting == ""
        assert self.memory.table.read_usage(OWNER, "work").sessions == 0
        assert self.memory.table.due_sessions(self.memory.clock.now() + 1e9, 10) == []


def sessions(memory: InMemoryGrid) -> dict[str | None, Session]:
    found = memory.table.list_sessions(OWNER, None, None, 10).items
    return {session.name: session for session in found}


def session_of(memory: InMemoryGrid, name: str) -> Session:
    return sessions(memory)[name]


@pytest.fixture(params=ENDS)
def end(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# --- cut off --------------------------------------------------------------------------------------


@pytest.mark.parametrize("ended", ["first ends later", "first has ended"])
@pytest.mark.parametrize("repeated", [True, False], ids=["client repeats", "client is gone"])
def test_a_submit_cut_off_anywhere(end: str, ended: str, repeated: bool) -> None:
    """It was never accepted, or ends as it should, also if nobody was told of the first one's end.

    Of many shards, so that those are stored apart from the session.
    """
    cut = 0
    for call, moment in POINTS:
        pipeline = Pipeline(end)
        pipeline.submit_first()
        if ended == "first has ended":
            pipeline.memory.run()
        try:
            pipeline.submit_last(fused(pipeline.memory.wiring, Fuse(call, moment)), tasks=70)
        except EnvironmentDied:
            cut += 1
        pipeline.run_unheard()
        if repeated:
            pipeline.submit_last(tasks=70)
        pipeline.heal()
        if repeated or "last" in sessions(pipeline.memory):
            pipeline.check((call, moment))
    assert cut >= 10


def test_a_release_cut_off_anywhere(end: str) -> None:
    """Of several dependents; the sweeper does what is left of it."""
    cut = 0
    for call, moment in POINTS:
        pipeline = Pipeline(end)
        first = pipeline.submit_first()
        pipeline.submit_last()
        others = [
            pipeline.submit_to(pipeline.memory.wiring, name, [first.session_id], 1)
            for name in ("a", "b")
        ]
        pipeline.run_unheard()
        try:
            grid = fused(pipeline.memory.wiring, Fuse(call, moment))
            release_dependents(grid, first.session_id)
        except EnvironmentDied:
            cut += 1
        pipeline.heal()
        pipeline.check((call, moment))
        for other in others:
            stored = pipeline.memory.table.read_session(other.session_id)
            assert stored is not None
            assert stored.verdict is ENDS[end]
    assert cut >= 20


@pytest.mark.parametrize("tasks", [1, 3], ids=["one chunk", "three chunks"])
@pytest.mark.parametrize("when", ["before the dispatch", "after it"])
def test_an_end_cut_off_anywhere(end: str, tasks: int, when: str) -> None:
    """Whoever closes the first one dies at it; its dependent came before or after it started."""
    cut = 0
    for call, moment in POINTS:
        pipeline = Pipeline(end)
        first = pipeline.submit_first(tasks)
        pipeline.submit_last()
        if when == "before the dispatch":
            first = session_of(pipeline.memory, "first")
        pipeline.memory.dispatcher.started.clear()
        for chunk in range(first.chunks):
            invocation = Invocation(facts_of(first), chunk, f"token-{chunk:04d}-a")
            grid = fused(pipeline.memory.wiring, Fuse(call, moment))
            try:
                pipeline.memory.executions.invoke_on(grid, invocation)
            except EnvironmentDied:
                cut += 1
                lose(pipeline.memory.wiring, invocation, "Runtime.ExitError")
        pipeline.memory.dispatcher.stop(first)
        pipeline.heal()
        pipeline.check((call, moment))
    assert cut >= 10


# --- something else in between --------------------------------------------------------------------


class Meddler(Fuse):
    """Does something else just before one of the calls to the world."""

    def __init__(self, call: int, act: Callable[[], object]) -> None:
        super().__init__(None, "")
        self._at = call
        self._act = act
        self.acted = False

    def through(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self.calls == self._at:
            self.acted = True
            self._act()
        return super().through(function, *args, **kwargs)


@pytest.mark.parametrize("heard", [True, False], ids=["told", "nobody is told"])
def test_the_first_ends_during_the_submit(end: str, heard: bool) -> None:
    """At any call: before it was looked at, before it was marked, before the second look.

    Only where nobody is told, and the submit has looked for the last time, there is something for
    the sweeper to heal.
    """
    acted = 0
    for call in range(MOST_CALLS):
        pipeline = Pipeline(end)
        pipeline.submit_first()
        meddler = Meddler(call, pipeline.run_unheard if not heard else pipeline.memory.run)
        pipeline.submit_last(fused(pipeline.memory.wiring, meddler))
        if not meddler.acted:
            break
        acted += 1
        pipeline.memory.run()
        if heard:
            pipeline.check(call)
        if not heard and session_of(pipeline.memory, "last").verdict is None:
            assert session_of(pipeline.memory, "last").blocked, call
            pipeline.memory.clock.advance(61)
            pipeline.memory.sweep()
            pipeline.memory.run()
        pipeline.heal()
        pipeline.check(call)
    assert acted >= 7


class Interposed:
    """A table before whose `create_session` something happens."""

    def __init__(self, table: StateTable, act: Callable[[], object]) -> None:
        self._table = table
        self._act = act

    def create_session(self, *what: Any) -> Any:
        self._act()
        return self._table.create_session(*what)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)


def test_the_first_ends_between_the_check_and_the_store(end: str) -> None:
    """Nobody else comes: it had no dependents when it was closed. The second look finds it."""
    pipeline = Pipeline(end)
    pipeline.submit_first()
    table = Interposed(pipeline.memory.table, pipeline.run_unheard)
    grid = replace(pipeline.memory.wiring, table=cast("StateTable", table))
    assert pipeline.submit_last(grid).blocked
    assert not session_of(pipeline.memory, "last").blocked
    assert pipeline.memory.dispatcher.released == []
    pipeline.memory.run()
    pipeline.check()


def meanwhile(pipeline: Pipeline) -> dict[str, Callable[[], object]]:
    """What others may do to the dependent while it is released."""
    grid, last = pipeline.memory.wiring, session_of(pipeline.memory, "last")
    first = session_of(pipeline.memory, "first")

    def update(**changes: Any) -> None:
        request = SessionUpdate.model_validate(changes)
        update_session(grid, OWNER, last.session_id, request)

    def pause_and_resume() -> None:
        update(paused=True)
        update(paused=False)

    return {
        "released too": lambda: release_dependents(grid, first.session_id),
        "swept": pipeline.memory.sweep,
        "priority changed": lambda: update(priority=9),
        "paused and resumed": pause_and_resume,
        "submitted again": pipeline.submit_last,
    }


OTHERS = ("released too", "swept", "priority changed", "paused and resumed", "submitted again")


@pytest.mark.parametrize("other", OTHERS)
def test_a_release_may_meet_anybody(end: str, other: str) -> None:
    """At any call; the dependent starts or fails once, and the sweeper is not needed for it."""
    acted = 0
    for call in range(MOST_CALLS):
        pipeline = Pipeline(end)
        first = pipeline.submit_first()
        pipeline.submit_last()
        pipeline.run_unheard()
        pipeline.memory.clock.advance(61)
        act = meanwhile(pipeline)[other]

        def try_to(act: Callable[[], object] = act, pipeline: Pipeline = pipeline) -> None:
            if session_of(pipeline.memory, "last").verdict is None:
                act()

        meddler = Meddler(call, try_to)
        release_dependents(fused(pipeline.memory.wiring, meddler), first.session_id)
        if not meddler.acted:
            break
        acted += 1
        assert not session_of(pipeline.memory, "last").blocked, (other, call)
        pipeline.heal()
        pipeline.check((other, call))
    assert acted >= 5


def test_a_cancel_may_meet_a_release(end: str) -> None:
    """It is cancelled, unless it had ended before; nothing of it starts afterwards."""
    for call in range(MOST_CALLS):
        pipeline = Pipeline(end)
        first = pipeline.submit_first()
        last = pipeline.submit_last()
        pipeline.run_unheard()
        grid = pipeline.memory.wiring
        cancelled: list[int] = []

        def stop(grid: Grid = grid, last: Session = last, found: list[int] = cancelled) -> None:
            counts = cancel(grid, OWNER, [last.session_id])[last.session_id]
            found.append(counts.total_cancelled_tasks)

        meddler = Meddler(call, stop)
        release_dependents(fused(grid, meddler), first.session_id)
        if not meddler.acted:
            break
        pipeline.heal()
        stored = session_of(pipeline.memory, "last")
        assert "last" not in pipeline.ran
        assert stored.counts is not None
        assert sum(stored.counts.values()) == last.tasks
        shown = describe(grid, OWNER, last.session_id)
        assert (shown.counts.cancelled, [shown.counts.cancelled]) == (sum(cancelled), cancelled)
        assert stored.verdict is (SessionState.CANCELLED if sum(cancelled) else SessionState.FAILED)
        assert pipeline.memory.table.read_lane("work").used == 0
    assert call >= 5
