"""Sessions that wait for others: what their owner may do meanwhile, and lost wake-ups."""

from dataclasses import replace
from typing import Any, cast

import pytest

from stepgrid_core.cancellation import cancel
from stepgrid_core.dependencies import release_dependents
from stepgrid_core.errors import Conflict, QuotaExceeded, Unavailable
from stepgrid_core.outputs import delete_session, list_tasks
from stepgrid_core.ports import Dispatcher, StateTable
from stepgrid_core.records import Session
from stepgrid_core.result_pages import read_results
from stepgrid_core.states import FailureReason, SessionState
from tests.unit.admission_bench import OWNER, Bench, shown, stop


def test_it_counts_towards_the_quota() -> None:
    """A blocked session is open; over the quota nothing of it is stored."""
    bench = Bench(owner_sessions=2)
    first = bench.submit("first")
    bench.submit("last", after=[first])
    with pytest.raises(QuotaExceeded):
        bench.submit("one more", after=[first])
    assert bench.memory.table.list_dependents(first.session_id, None, 10) == [
        bench.submit("last", after=[first]).session_id
    ]
    bench.memory.run()
    bench.submit("one more", after=[first])


@pytest.fixture
def bench() -> Bench:
    return Bench()


# --- while it is blocked --------------------------------------------------------------------------


def test_blocked_it_can_be_cancelled(bench: Bench) -> None:
    """All of its tasks are counted, and the end of its dependency changes nothing."""
    first = bench.submit("first")
    last = bench.submit("last", tasks=3, after=[first])
    counts = cancel(bench.memory.wiring, OWNER, [last.session_id])[last.session_id]
    assert (counts.cancelled_pending, counts.total_cancelled_tasks) == (3, 3)
    bench.memory.run()
    description = shown(bench, last)
    assert (description.state, description.reason) == (SessionState.CANCELLED, None)
    assert not description.blocked
    assert bench.ran == ["first"]


def test_blocked_it_keeps_its_deadline(bench: Bench) -> None:
    """The time that it waits counts."""
    first = bench.submit("first")
    last = bench.submit("last", after=[first], timeout_seconds=30)
    bench.memory.clock.advance(40)
    bench.memory.sweep()
    bench.memory.run()
    assert bench.state(last) is SessionState.FAILED
    task = list_tasks(bench.memory.wiring, OWNER, last.session_id, None, None).tasks[0]
    assert task.reason is FailureReason.SESSION_TIMEOUT
    assert bench.ran == ["first"]


@pytest.mark.parametrize("resumed", ["before its dependency ends", "after"])
def test_blocked_it_can_be_paused(bench: Bench, resumed: str) -> None:
    """It starts when it is neither blocked nor paused any more."""
    first = bench.submit("first")
    last = bench.submit("last", after=[first])
    bench.update(last, paused=True)
    if resumed == "after":
        bench.memory.run()
        assert (shown(bench, last).paused, shown(bench, last).blocked) == (True, False)
        assert bench.ran == ["first"]
    bench.update(last, paused=False)
    assert shown(bench, last).waiting is False
    bench.memory.run()
    assert bench.ran == ["first", "last"]
    assert bench.state(last) is SessionState.FINISHED


def test_paused_and_blocked_it_fails_with_its_dependency(bench: Bench) -> None:
    """Held chunks end as others do."""
    first = bench.submit("first")
    last = bench.submit("last", after=[first])
    bench.update(last, paused=True)
    stop(bench, first)
    bench.memory.run()
    assert bench.state(last) is SessionState.FAILED


def test_its_priority_may_change(bench: Bench) -> None:
    """Its place in the queue is that of the new one."""
    first = bench.submit("first", tasks=2)
    one, other = bench.submit("one", tasks=2), bench.submit("other", tasks=2, after=[first])
    bench.update(other, priority=9)
    bench.memory.run()
    assert bench.ran == ["first", "other", "one"]
    assert bench.state(one) is SessionState.FINISHED


def test_blocked_it_is_not_dispatched(bench: Bench) -> None:
    """Whoever believes that it may run is refused."""
    first = bench.submit("first")
    last = bench.submit("last", after=[first])
    table, clock = bench.memory.table, bench.memory.clock
    assert not table.mark_dispatched(last.session_id, 1, clock.now(), clock.now())
    bench.memory.clock.advance(61)
    bench.memory.sweep()
    assert [dispatch.session.session_id for dispatch in bench.memory.dispatcher.started] == [
        first.session_id
    ]


def test_blocked_it_can_not_be_deleted(bench: Bench) -> None:
    """It is open."""
    last = bench.submit("last", after=[bench.submit("first")])
    with pytest.raises(Conflict, match="still open"):
        delete_session(bench.memory.wiring, OWNER, last.session_id)


# --- what gets lost on the way --------------------------------------------------------------------


class DeafDispatcher:
    """Can't be told that a session has dependents."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def release(self, session_id: str) -> None:
        raise Unavailable(f"nobody looks at the dependents of {session_id} now")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dispatcher, name)


def test_a_lost_wake_up_is_made_good_by_the_sweeper(bench: Bench) -> None:
    """A minute later at most; the end of the dependency stands."""
    first = bench.submit("first")
    last = bench.submit("last", after=[first])
    deaf = DeafDispatcher(bench.memory.dispatcher)
    grid = replace(bench.memory.wiring, dispatcher=cast("Dispatcher", deaf))
    assert cancel(grid, OWNER, [first.session_id])[first.session_id].total_cancelled_tasks == 1
    assert shown(bench, last).blocked
    bench.memory.clock.advance(61)
    bench.memory.sweep()
    assert bench.state(last) is SessionState.FAILED


class BrokenTable:
    """Can't read one session."""

    def __init__(self, table: StateTable, broken: str) -> None:
        self._table = table
        self._broken = broken

    def read_session(self, session_id: str) -> Session | None:
        if session_id == self._broken:
            raise Unavailable("no answer")
        return self._table.read_session(session_id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)


def test_one_that_can_not_be_released_does_not_keep_the_others(bench: Bench) -> None:
    """It is left to the sweeper."""
    first = bench.submit("first")
    many = sorted(
        (bench.submit(f"n{n}", after=[first]) for n in range(3)), key=lambda s: s.session_id
    )
    bench.memory.dispatcher.started.clear()
    stop(bench, first)
    bench.memory.dispatcher.released.clear()
    broken = cast("StateTable", BrokenTable(bench.memory.table, many[0].session_id))
    assert release_dependents(replace(bench.memory.wiring, table=broken), first.session_id) == 3
    assert [bench.state(session) for session in many] == [
        SessionState.PENDING,
        SessionState.FAILED,
        SessionState.FAILED,
    ]


class YoungRows:
    """A table in which a session is read as it was, and its rows as they are."""

    def __init__(self, table: StateTable, old: Session) -> None:
        self._table = table
        self._old: Session | None = old

    def read_session(self, session_id: str) -> Session | None:
        old, self._old = self._old, None
        return old or self._table.read_session(session_id)

    def read_session_and_shards(self, session_id: str, limit: int) -> Any:
        _, shards = self._table.read_session_and_shards(session_id, limit)
        old, self._old = self._old, None
        return old, shards

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)


def test_who_sees_the_end_sees_the_reason(bench: Bench) -> None:
    """Also who read the session just before it had one, and then its rows."""
    first = bench.submit("first")
    last = bench.submit("last", after=[first])
    stop(bench, first)
    bench.memory.run()
    for read in (
        lambda grid: read_results(grid, OWNER, last.session_id).chunks[0].error,
        lambda grid: list_tasks(grid, OWNER, last.session_id, None, None).tasks[0].error,
    ):
        young = cast("StateTable", YoungRows(bench.memory.table, last))
        error = read(replace(bench.memory.wiring, table=young))
        assert error is not None
        assert first.session_id in error["message"]
