"""Slots, quotas and queues change together with the session that holds them, or not at all."""

from dataclasses import replace

import boto3
import pytest

from stepgrid_core.aws.state_table import AwsStateTable
from stepgrid_core.budgets import Limits, Quota, Usage
from stepgrid_core.ports import Closing, Refusal, StateTable
from stepgrid_core.records import Session, Work
from stepgrid_core.states import SessionState
from stepgrid_core.task_time import Measurement, TaskTime

from .aws_stack import AwsStack
from .samples import NOW, OTHER_OWNER, OWNER, finished, make_all_shards, make_session, store_session

FAR = NOW + 10_000_000
WORKER = make_session().worker
FREE = Limits()


def waiting(token: str = "token", **changes: object) -> Session:
    return make_session(token, waiting=True, dispatches=0, dispatched_at=0.0, **changes)


def started(token: str = "token", slots: int = 3, **changes: object) -> Session:
    return make_session(token, slots=slots, dispatches=1, **changes)


def close(table: StateTable, session: Session) -> None:
    assert table.close_session(session.session_id, finished(session, NOW))


def queue(table: StateTable) -> list[str]:
    return [entry.session_id for entry in table.list_waiting(WORKER, None, 100)]


def read(table: StateTable, session: Session) -> Session:
    stored = table.read_session(session.session_id)
    assert stored is not None
    return stored


def test_a_grid_without_sessions_has_all_room(table: StateTable) -> None:
    """Nothing is used, nobody waits, nobody has a quota of his own."""
    lane = table.read_lane(WORKER)
    assert (lane.used, lane.waiting, lane.concurrency) == (0, "", None)
    assert table.read_usage(OWNER, WORKER) == Usage()
    assert table.read_quota(OWNER) == Quota()
    assert queue(table) == []


def test_open_sessions_are_counted(table: StateTable) -> None:
    """Sessions, their tasks, and the slots of worker and owner: until they close."""
    first = store_session(table, started("a", 3))
    store_session(table, started("b", 4))
    store_session(table, started("c", 5, owner=OTHER_OWNER))
    assert table.read_lane(WORKER).used == 12
    assert table.read_usage(OWNER, WORKER) == Usage(2, 2 * first.tasks, 7)
    assert table.read_usage(OWNER, "another-worker").slots == 0
    close(table, first)
    assert table.read_lane(WORKER).used == 9
    assert table.read_usage(OWNER, WORKER) == Usage(1, first.tasks, 4)
    assert table.read_usage(OTHER_OWNER, WORKER).slots == 5


def test_the_same_session_again_is_counted_once(table: StateTable) -> None:
    """A submit whose answer got lost is repeated."""
    session = store_session(table, started())
    assert store_session(table, started()) == session
    assert table.read_lane(WORKER).used == 3
    assert table.read_usage(OWNER, WORKER).sessions == 1


def test_closing_twice_frees_once(table: StateTable) -> None:
    """Only the first closes."""
    session = store_session(table, started("a"))
    store_session(table, started("b"))
    close(table, session)
    assert table.close_session(session.session_id, finished(session, NOW)) is None
    assert table.read_lane(WORKER).used == 3
    assert table.read_usage(OWNER, WORKER).sessions == 1


TASKS = make_session().tasks
REFUSED = {
    "too many sessions": (Limits(sessions=1), Refusal.QUOTA),
    "too many tasks": (Limits(tasks=2 * TASKS - 1), Refusal.QUOTA),
    "the worker is full": (Limits(worker_slots=5), Refusal.NO_ROOM),
    "the owner's part is used": (Limits(worker_slots=100, owner_slots=5), Refusal.NO_ROOM),
}


@pytest.mark.parametrize(("limits", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_refused_session_leaves_no_trace(
    table: StateTable, limits: Limits, reason: Refusal
) -> None:
    """Neither it nor its blob nor any count is there; what was there before is."""
    store_session(table, started("a"))
    before = (table.read_lane(WORKER), table.read_usage(OWNER, WORKER))
    late = started("b")
    assert table.create_session(late, b"blob", limits, make_all_shards(late)) is reason
    assert table.read_session(late.session_id) is None
    assert table.read_shards(late.session_id) == []
    assert (table.read_lane(WORKER), table.read_usage(OWNER, WORKER)) == before
    assert len(table.list_sessions(OWNER, None, None, 10).items) == 1


ROOM = Limits(sessions=2, tasks=2 * TASKS, owner_slots=6, worker_slots=6)


def test_what_just_fits_is_stored(table: StateTable) -> None:
    """A limit is the most that is allowed, not the first that is refused."""
    store_session(table, started("a"))
    late = started("b")
    assert table.create_session(late, b"", ROOM) == late
    assert table.read_lane(WORKER).used == 6


def test_a_stored_session_is_answered_whatever_the_quota(table: StateTable) -> None:
    """A submit that is repeated is not refused for what it holds itself."""
    session = store_session(table, started())
    assert table.create_session(started(), b"", Limits(sessions=1, worker_slots=3)) == session


def test_nobody_passes_those_who_wait(table: StateTable) -> None:
    """While a session waits, others are not started directly, however much room there is."""
    store_session(table, waiting("a"))
    assert table.create_session(started("b", 1), b"", ROOM) is Refusal.NO_ROOM


def test_the_queue_is_in_order_of_rank(table: StateTable) -> None:
    """The most urgent first, then the oldest; page by page."""
    third = store_session(table, waiting("a", created_at=NOW))
    second = store_session(table, waiting("b", created_at=NOW - 5))
    first = store_session(table, waiting("c", created_at=NOW + 5, priority=9))
    order = [session.session_id for session in (first, second, third)]
    assert queue(table) == order
    (head,) = table.list_waiting(WORKER, None, 1)
    rest = table.list_waiting(WORKER, head.place, 10)
    assert [head.session_id, *(entry.session_id for entry in rest)] == order


def test_admitted_it_leaves_the_queue_with_its_slots(table: StateTable) -> None:
    """As its next dispatch; the sweeper looks again at `due_at`."""
    session = store_session(table, waiting())
    admitted = table.admit(session, 4, FREE, NOW + 7, NOW + 67)
    expected = replace(session, waiting=False, slots=4, dispatches=1, dispatched_at=NOW + 7)
    assert admitted == expected == read(table, session)
    assert queue(table) == []
    assert table.read_lane(WORKER).used == 4
    assert table.due_sessions(NOW + 66, 10) == []
    assert table.due_sessions(NOW + 67, 10) == [session.session_id]


def test_of_two_that_admit_one_does(table: StateTable) -> None:
    """Slots are taken once."""
    session = store_session(table, waiting())
    assert isinstance(table.admit(session, 4, FREE, NOW, FAR), Session)
    assert table.admit(session, 4, FREE, NOW, FAR) is Refusal.CHANGED
    assert table.read_lane(WORKER).used == 4


@pytest.mark.parametrize(
    "limits", [Limits(worker_slots=6), Limits(worker_slots=100, owner_slots=6)]
)
def test_without_room_it_goes_on_waiting(table: StateTable, limits: Limits) -> None:
    """Nothing changes."""
    store_session(table, started("a"))
    session = store_session(table, waiting("b"))
    assert table.admit(session, 4, limits, NOW, FAR) is Refusal.NO_ROOM
    assert read(table, session) == session
    assert queue(table) == [session.session_id]
    assert table.read_lane(WORKER).used == 3


def test_a_session_that_is_over_is_not_admitted(table: StateTable) -> None:
    """It was cancelled while it waited."""
    session = store_session(table, waiting())
    close(table, session)
    assert table.admit(session, 4, FREE, NOW, FAR) is Refusal.CHANGED
    assert table.read_usage(OWNER, WORKER) == Usage()


def test_an_entry_can_be_dropped(table: StateTable) -> None:
    """Of a session that is overdue, say: those behind it come first from then on."""
    store_session(table, waiting())
    (entry,) = table.list_waiting(WORKER, None, 10)
    table.drop_waiting(WORKER, entry)
    assert queue(table) == []


def test_the_stamp_is_cleared_only_by_who_saw_the_last(table: StateTable) -> None:
    """Somebody who began to wait in between keeps the lane marked."""
    store_session(table, waiting("a"))
    early = table.read_lane(WORKER).waiting
    store_session(table, waiting("b"))
    late = table.read_lane(WORKER).waiting
    assert early != late
    table.clear_waiting(WORKER, early)
    assert table.read_lane(WORKER).waiting == late
    table.clear_waiting(WORKER, late)
    assert table.read_lane(WORKER).waiting == ""


def test_paused_it_holds_nothing(table: StateTable) -> None:
    """A running one gives its slots back, a waiting one its place."""
    running, queued = store_session(table, started("a")), store_session(table, waiting("b"))
    for session in (running, queued):
        assert table.pause(session, NOW + 60)
        assert not table.pause(session, NOW + 60)
        assert read(table, session) == replace(session, paused=True, waiting=False, slots=0)
    assert table.read_lane(WORKER).used == 0
    assert queue(table) == []
    assert table.read_usage(OWNER, WORKER).sessions == 2, "paused sessions are open"


def test_resumed_it_waits_again(table: StateTable) -> None:
    """In its place of before; once only."""
    session = store_session(table, started())
    table.pause(session, FAR)
    paused = read(table, session)
    assert table.enqueue(paused, FAR)
    assert not table.enqueue(paused, FAR)
    assert read(table, session) == replace(paused, paused=False, waiting=True)
    assert queue(table) == [session.session_id]
    assert table.read_lane(WORKER).waiting


def test_priority_moves_it_in_the_queue(table: StateTable) -> None:
    """It changes places, and has one place only."""
    first, second = (store_session(table, waiting(token)) for token in ("a", "b"))
    last = max(first, second, key=lambda session: session.session_id)
    assert table.set_priority(last, 9)
    assert queue(table)[0] == last.session_id
    assert len(queue(table)) == 2
    assert read(table, last).priority == 9
    assert not table.set_priority(last, 1), "it is not as it was read"


def test_a_running_session_keeps_its_priority_for_later(table: StateTable) -> None:
    """It comes into no queue by it."""
    session = store_session(table, started())
    assert table.set_priority(session, 0)
    assert read(table, session) == replace(session, priority=0)
    assert queue(table) == []


def test_closed_sessions_can_not_be_steered(table: StateTable) -> None:
    """Nothing of one that is over changes."""
    session = store_session(table, started())
    close(table, session)
    closed = read(table, session)
    assert not table.pause(session, FAR)
    assert not table.set_priority(session, 9)
    assert read(table, session) == closed


def test_a_session_that_waits_again_keeps_its_entry(table: StateTable) -> None:
    """Paused and resumed while somebody looked at its old entry, it has a new one in that place."""
    session = store_session(table, waiting())
    (seen,) = table.list_waiting(WORKER, None, 10)
    table.pause(session, FAR)
    table.enqueue(read(table, session), FAR)
    table.drop_waiting(WORKER, seen)
    assert queue(table) == [session.session_id]


def test_closed_it_waits_no_longer(table: StateTable) -> None:
    """Its place in the queue is free with its end."""
    session = store_session(table, waiting())
    close(table, session)
    assert queue(table) == []
    assert not read(table, session).waiting


@pytest.mark.parametrize("change", [{"paused": True}, {"waiting": True}])
def test_without_the_right_to_run_it_is_not_dispatched(
    table: StateTable, change: dict[str, bool]
) -> None:
    """Paused or put back into the queue since the sweeper read it, it gets no new execution."""
    session = store_session(table, make_session(dispatches=1, **change))
    assert not table.mark_dispatched(session.session_id, 2, NOW, FAR)
    assert read(table, session) == session


def test_a_session_of_an_earlier_version_is_closed(stack: AwsStack) -> None:
    """It has no slots and was never counted: it ends as any other, and no count falls below 0."""
    name = stack.create_table()
    table = AwsStateTable(name)
    session = store_session(table, make_session())
    items = boto3.resource("dynamodb").Table(name)
    key = {"pk": f"S#{session.session_id}", "sk": "SESSION"}
    items.update_item(Key=key, UpdateExpression="REMOVE slots, waiting, paused")
    items.delete_item(Key={"pk": f"O#{session.owner}", "sk": "USAGE"})
    close(table, session)
    assert read(table, session).verdict is SessionState.FINISHED
    assert table.read_usage(OWNER, WORKER) == Usage()


def test_a_worker_may_be_as_old_as_the_caller_allows(stack: AwsStack) -> None:
    """One that was measured is not read again so soon; who allows no age gets it as it is."""
    name = stack.create_table()
    here, elsewhere = AwsStateTable(name), AwsStateTable(name)
    assert here.read_lane(WORKER, 60.0).used == 0
    measured = store_session(elsewhere, started("a"))
    work = Work(NOW, 100.0, Measurement(TaskTime(1.0, 1.5), 100))
    elsewhere.close_session(measured.session_id, finished(measured, NOW, work))
    assert here.read_lane(WORKER, 60.0).task_time == TaskTime(1.0, 1.5)
    store_session(elsewhere, started("b"))
    assert here.read_lane(WORKER, 60.0).used == 0
    assert here.read_lane(WORKER).used == 3
    assert here.read_lane(WORKER, 60.0).used == 3


def test_who_closes_is_told_that_others_wait(table: StateTable) -> None:
    """For the slots that became free, or behind the one that left the queue."""
    running, late = store_session(table, started("a")), store_session(table, started("b"))
    assert closing(table, running) == Closing(read(table, running), others_wait=False)
    first, second = store_session(table, waiting("c")), store_session(table, waiting("d"))
    assert closing(table, late) == Closing(read(table, late), others_wait=True)
    assert closing(table, first) == Closing(read(table, first), others_wait=True)
    assert queue(table) == [second.session_id]


def closing(table: StateTable, session: Session) -> Closing | None:
    return table.close_session(session.session_id, finished(session, NOW))
