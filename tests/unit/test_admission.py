"""Sessions on a full worker: who starts when, and what follows an end."""

from collections import Counter
from dataclasses import replace
from typing import Any, cast

import pytest

from stepgrid.testing import InMemoryGrid
from stepgrid_core.admission import admit_waiting
from stepgrid_core.budgets import HEAD_START_SECONDS, Lane
from stepgrid_core.cancellation import cancel
from stepgrid_core.contract import SubmitRequest
from stepgrid_core.description import describe
from stepgrid_core.errors import Unavailable
from stepgrid_core.invocation import facts_of
from stepgrid_core.loss import settle
from stepgrid_core.ports import Dispatcher, ExecutionState, StateTable
from stepgrid_core.recovery import SWEEP_LIMIT, sweep
from stepgrid_core.states import SessionState
from tests.submitting import submit
from tests.unit.admission_bench import OWNER, Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_who_finds_no_room_waits_and_then_runs(bench: Bench) -> None:
    """It is pending meanwhile, has no execution, and says that it waits."""
    bench.fill()
    late = bench.submit("late")
    shown = describe(bench.memory.wiring, OWNER, late.session_id)
    assert (shown.waiting, shown.slots, shown.state) == (True, 0, SessionState.PENDING)
    assert shown.execution is None
    bench.memory.run()
    assert bench.ran == ["first", "late"]
    assert bench.state(late) is SessionState.FINISHED
    assert bench.memory.table.read_lane("work").waiting == ""


@pytest.mark.parametrize("limit", ["worker_concurrency", "owner_concurrency"])
def test_a_session_is_cut_for_the_slots_that_it_can_have(limit: str) -> None:
    """A worker with few of them has few chunks, as if the session had asked for no more."""

    def cut(**settings: int) -> str:
        memory = InMemoryGrid({"work": len}, autorun=False, settings=settings)
        request = {"client_token": "t", "worker": "work", "tasks": [""] * 10_000}
        return str(submit(memory.wiring, OWNER, SubmitRequest.model_validate(request)).layout)

    assert cut(**{limit: 2}) == cut(default_concurrency=2) != cut()


class OutdatedTable:
    """Remembers a worker as it was when it was idle, as long as it may."""

    def __init__(self, table: StateTable, idle: Lane) -> None:
        self._table = table
        self._idle = idle

    def read_lane(self, worker: str, max_age_seconds: float = 0.0) -> Lane:
        return self._table.read_lane(worker) if max_age_seconds == 0 else self._idle

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)


def test_what_is_known_of_a_worker_may_be_old() -> None:
    """Who takes it for idle gets what is left of it, or waits; nobody gets more than there is."""
    bench = Bench(worker_concurrency=3)
    table = cast("StateTable", OutdatedTable(bench.memory.table, Lane()))
    bench.memory.wiring = replace(bench.memory.wiring, table=table)
    slots = [bench.submit(f"{number}", tasks=2).slots for number in range(3)]
    assert slots == [2, 1, 0]
    assert bench.memory.table.read_lane("work").used == 3
    bench.memory.run()
    assert bench.ran == ["0", "1", "2"]


def test_a_limit_that_was_raised_counts_at_once() -> None:
    """A session keeps its slots to its end: it must not get those of a limit that is history."""
    bench = Bench(worker_concurrency=100)
    table = cast("StateTable", OutdatedTable(bench.memory.table, Lane(concurrency=1)))
    bench.memory.wiring = replace(bench.memory.wiring, table=table)
    assert bench.submit("first", tasks=50).slots == 50


def test_a_second_execution_is_told_of_itself(bench: Bench) -> None:
    """It carries its session as that is stored, so that its worker can commit and close at once."""
    session = bench.submit("first")
    memory = bench.memory
    memory.dispatcher.started.clear()
    memory.dispatcher.states[(session.session_id, 1)] = ExecutionState.ENDED
    memory.clock.advance(61)
    memory.sweep()
    (dispatch,) = memory.dispatcher.started
    assert dispatch.number == 2
    assert dispatch.session == memory.table.read_session(session.session_id)


def test_priority_goes_before_age(bench: Bench) -> None:
    """Three sessions of different priority on a full worker start in order."""
    bench.fill()
    for name, priority in (("low", 1), ("middle", 5), ("high", 9), ("middle again", 5)):
        bench.submit(name, tasks=2, priority=priority)
    bench.memory.run()
    assert bench.ran == ["first", "high", "middle", "middle again", "low"]


def test_priority_may_change_while_it_waits(bench: Bench) -> None:
    """The queue is in the new order at once."""
    bench.fill()
    slow = bench.submit("slow", tasks=2, priority=3)
    bench.submit("quick", tasks=2, priority=6)
    bench.update(slow, priority=9)
    bench.memory.run()
    assert bench.ran == ["first", "slow", "quick"]


def test_who_has_waited_long_enough_goes_before_the_urgent(bench: Bench) -> None:
    """Priority is worth a head start, not more: nobody starves."""
    bench.fill()
    bench.submit("patient", tasks=2, priority=0)
    bench.memory.clock.advance(9 * HEAD_START_SECONDS)
    bench.submit("urgent", tasks=2, priority=9)
    bench.memory.run()
    assert bench.ran == ["first", "patient", "urgent"]


def test_half_of_what_a_session_wants_is_enough(bench: Bench) -> None:
    """It starts beside another, and does not wait until the worker is idle."""
    first = bench.submit("first")
    large = bench.submit("large", tasks=2)
    assert (first.slots, large.slots) == (1, 1)


def test_a_small_session_does_not_pass_one_that_waits() -> None:
    """Also into room that is too little for the other: it would never find enough."""
    bench = Bench(worker_concurrency=4)
    assert bench.submit("first", tasks=3).slots == 3
    assert bench.submit("large", tasks=4).waiting
    assert bench.submit("small").waiting
    bench.memory.run()
    assert bench.ran == ["first", "large", "small"]


def test_workers_do_not_wait_for_each_other() -> None:
    """Each worker has a budget of its own."""
    memory = InMemoryGrid(
        {name: lambda task, context: task for name in ("a", "b")},
        autorun=False,
        settings={"worker_concurrency": 1},
    )
    for name in ("a", "b"):
        request = {"client_token": name, "worker": name, "tasks": [1]}
        assert submit(memory.wiring, OWNER, SubmitRequest.model_validate(request)).slots == 1


def test_without_a_budget_nobody_waits() -> None:
    """0 switches it off."""
    bench = Bench(worker_concurrency=0)
    assert [bench.submit(str(n), tasks=40).slots for n in range(3)] == [40, 40, 40]


def test_a_worker_may_have_a_budget_of_its_own(bench: Bench) -> None:
    """What an administrator set goes before the grid's number."""
    bench.memory.table.concurrency["work"] = 5
    assert bench.submit("first", tasks=9).slots == 5


def test_a_lost_wake_up_is_made_good_by_the_sweeper(bench: Bench) -> None:
    """A minute later at most."""
    bench.fill()
    late = bench.submit("late")
    while bench.memory.dispatcher.started:
        bench.memory.executions.run()
        bench.memory.dispatcher.woken.clear()
    bench.memory.clock.advance(61)
    bench.memory.sweep()
    bench.memory.run()
    assert bench.state(late) is SessionState.FINISHED


def test_cancelled_while_it_waits_it_is_never_started(bench: Bench) -> None:
    """Its entry is dropped, and those behind it start."""
    bench.fill()
    given_up, behind = bench.submit("given up", priority=9), bench.submit("behind")
    counts = cancel(bench.memory.wiring, OWNER, [given_up.session_id])[given_up.session_id]
    assert (counts.cancelled_pending, counts.total_cancelled_tasks) == (1, 1)
    bench.memory.run()
    assert bench.ran == ["first", "behind"]
    assert bench.state(behind) is SessionState.FINISHED
    assert bench.memory.table.list_waiting("work", None, 10) == []


def test_cancelling_a_running_session_lets_the_next_one_in(bench: Bench) -> None:
    """Its slots are free with its end."""
    first = bench.fill()
    bench.submit("next")
    cancel(bench.memory.wiring, OWNER, [first.session_id])
    bench.memory.run()
    assert bench.ran == ["next"]


def test_a_deadline_passes_while_it_waits(bench: Bench) -> None:
    """It fails as any other, and never starts."""
    bench.fill()
    late = bench.submit("late", timeout_seconds=5)
    bench.memory.clock.advance(100)
    bench.memory.sweep()
    bench.memory.run()
    assert bench.state(late) is SessionState.FAILED
    assert bench.ran == ["first"]


def test_room_that_comes_after_its_deadline_is_not_given_to_it(bench: Bench) -> None:
    """Whether or not the sweeper has closed it yet."""
    bench.fill()
    late = bench.submit("late", timeout_seconds=5)
    bench.memory.clock.advance(6)
    bench.memory.run()
    stored = bench.memory.table.read_session(late.session_id)
    assert stored is not None
    assert (stored.slots, stored.dispatches) == (0, 0)
    assert bench.memory.table.list_waiting("work", None, 10) == []


def test_an_expired_session_dispatches_nothing_more(bench: Bench) -> None:
    """Its execution is stopped, which would else call a worker for each chunk that is left."""
    session = bench.submit("late", tasks=50, timeout_seconds=60)
    bench.memory.clock.advance(62)
    bench.memory.sweep()
    assert bench.memory.dispatcher.look(session) is ExecutionState.ENDED


def test_a_map_that_ends_after_the_deadline_gets_no_further_round(bench: Bench) -> None:
    """What it left undone has expired, and the session is closed at once."""
    session = bench.submit("late", tasks=3, timeout_seconds=60)
    bench.memory.clock.advance(61)
    assert settle(bench.memory.wiring, facts_of(session)) == []
    stored = bench.memory.table.read_session(session.session_id)
    assert stored is not None
    assert stored.verdict is SessionState.FAILED


class CountingTable:
    """A table that counts the reads of sessions and of queues."""

    def __init__(self, table: StateTable) -> None:
        self._table = table
        self.reads: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        self.reads[name] += 1
        return getattr(self._table, name)


def test_the_long_queue_of_one_owner_is_passed_over_unread() -> None:
    """What each end of a session costs does not grow with it, but for the list itself."""
    bench = Bench(worker_concurrency=4, owner_concurrency=1)
    for number in range(60):
        bench.submit(f"mine-{number}")
    table = CountingTable(bench.memory.table)
    admit_waiting(replace(bench.memory.wiring, table=cast("StateTable", table)), "work")
    assert table.reads["read_session"] == 1
    assert table.reads["list_waiting"] == 3


def test_the_sweeper_looks_at_every_session_and_at_a_queue_once(bench: Bench) -> None:
    """Also at more of them than it lists at once."""
    bench.fill()
    for number in range(SWEEP_LIMIT + 10):
        bench.submit(f"waiting-{number}")
    bench.memory.clock.advance(61)
    table = CountingTable(bench.memory.table)
    grid = replace(bench.memory.wiring, table=cast("StateTable", table))
    assert sweep(grid) == SWEEP_LIMIT + 11
    assert table.reads["list_waiting"] == 1


class DeafDispatcher:
    """Can't be told that somebody waits."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def wake(self, worker: str) -> None:
        raise Unavailable(f"nobody looks at the queue of {worker} now")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dispatcher, name)


def test_an_end_stands_though_nothing_can_follow_it_up(bench: Bench) -> None:
    """Who cancels gets the counts, even if nobody can be woken just then."""
    session = bench.fill()
    bench.submit("late")
    deaf = replace(
        bench.memory.wiring,
        dispatcher=cast("Dispatcher", DeafDispatcher(bench.memory.dispatcher)),
    )
    assert cancel(deaf, OWNER, [session.session_id])[session.session_id].cancelled_pending == 2
    assert bench.state(session) is SessionState.CANCELLED
