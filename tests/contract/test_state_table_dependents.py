"""The contract of the StateTable port: sessions that wait for the end of others."""

from collections.abc import Callable
from dataclasses import replace

import boto3
import pytest

from stepgrid_core.aws.state_table import AwsStateTable
from stepgrid_core.budgets import Limits, Usage
from stepgrid_core.contract import MAX_DEPENDENCIES
from stepgrid_core.ports import Closing, Refusal, RowSwap, StateTable
from stepgrid_core.records import Session
from stepgrid_core.states import SessionState

from .aws_stack import AwsStack
from .samples import (
    NOW,
    OTHER_OWNER,
    OWNER,
    ended,
    finished,
    make_all_shards,
    make_session,
    store_session,
)

FAR = NOW + 10_000_000
REASON = "session x, which it depends on, was cancelled"


def blocked(token: str, *dependencies: Session, **changes: object) -> Session:
    ids = tuple(dependency.session_id for dependency in dependencies)
    return make_session(
        token, blocked=True, depends_on=ids, dispatches=0, dispatched_at=0.0, **changes
    )


def read(table: StateTable, session: Session) -> Session:
    stored = table.read_session(session.session_id)
    assert stored is not None
    return stored


def queue(table: StateTable) -> list[str]:
    return [entry.session_id for entry in table.list_waiting(make_session().worker, None, 100)]


def dependents(table: StateTable, session: Session) -> list[str]:
    return table.list_dependents(session.session_id, None, 100)


@pytest.fixture
def first(table: StateTable) -> Session:
    """A session that runs."""
    return store_session(table, make_session("first"))


@pytest.fixture
def last(table: StateTable, first: Session) -> Session:
    """A session that depends on it."""
    return store_session(table, blocked("last", first))


def test_a_blocked_session_hangs_on_what_it_depends_on(
    table: StateTable, first: Session, last: Session
) -> None:
    """It is stored as it was given, counts as open, and holds neither slots nor a place."""
    assert read(table, last) == last
    assert read(table, first) == replace(first, has_dependents=True)
    assert dependents(table, first) == [last.session_id]
    assert dependents(table, last) == []
    assert table.read_usage(OWNER, last.worker).sessions == 2
    assert queue(table) == []
    assert table.read_shards(first.session_id) == []


def test_it_may_depend_on_as_many_as_a_request_names(table: StateTable) -> None:
    """With its shards in the same transaction."""
    many = [store_session(table, make_session(f"n{n}")) for n in range(MAX_DEPENDENCIES)]
    session = blocked("last", *many)
    stored = table.create_session(session, b"blob", Limits(), make_all_shards(session))
    assert stored == session
    assert all(dependents(table, one) == [session.session_id] for one in many)


def test_what_ended_may_be_depended_on(table: StateTable, first: Session) -> None:
    """It says so all the same, and is not due again for it."""
    table.close_session(first.session_id, finished(first, NOW))
    table.postpone(first.session_id, None)
    store_session(table, blocked("last", first))
    assert read(table, first).has_dependents
    assert first.session_id not in table.due_sessions(FAR, 10)


def forget(table: StateTable, session: Session) -> Session:
    return make_session("unknown")


def delete(table: StateTable, session: Session) -> Session:
    closing = table.close_session(session.session_id, finished(session, NOW))
    assert closing is not None
    table.delete_session(closing.session)
    return session


def take_a_foreign_one(table: StateTable, session: Session) -> Session:
    return store_session(table, make_session("foreign", owner=OTHER_OWNER))


@pytest.mark.parametrize("spoil", [forget, delete, take_a_foreign_one])
def test_on_what_is_not_the_owners_nothing_hangs(
    table: StateTable, first: Session, spoil: Callable[[StateTable, Session], Session]
) -> None:
    """Nothing is stored, also not beside a dependency that is right."""
    good, bad = store_session(table, make_session("good")), spoil(table, first)
    usage = table.read_usage(OWNER, good.worker)
    session = blocked("last", good, bad)
    assert table.create_session(session, b"blob", Limits()) is Refusal.DEPENDENCY
    assert table.read_session(session.session_id) is None
    assert read(table, good) == good
    assert dependents(table, good) == dependents(table, bad) == []
    assert table.read_usage(OWNER, good.worker) == usage


def test_over_the_quota_nothing_hangs(table: StateTable, first: Session) -> None:
    """As for every session."""
    session = blocked("last", first)
    assert table.create_session(session, b"blob", Limits(sessions=1)) is Refusal.QUOTA
    assert dependents(table, first) == []
    assert read(table, first) == first


def test_created_again_it_is_answered_as_it_is(
    table: StateTable, first: Session, last: Session
) -> None:
    """Also if what it depends on was deleted since."""
    assert table.unblock(last, FAR)
    delete(table, read(table, first))
    assert store_session(table, last) == read(table, last)


def test_dependents_are_listed_in_pages(table: StateTable, first: Session) -> None:
    """In order of their ids; also those that wait no longer."""
    many = [store_session(table, blocked(f"n{n}", first)) for n in range(5)]
    table.unblock(many[0], FAR)
    ids = sorted(session.session_id for session in many)
    assert table.list_dependents(first.session_id, None, 2) == ids[:2]
    assert table.list_dependents(first.session_id, ids[1], 2) == ids[2:4]
    assert table.list_dependents(first.session_id, ids[3], 2) == ids[4:]
    assert table.list_dependents(first.session_id, ids[4], 2) == []


def test_unblocked_it_waits_for_slots(table: StateTable, last: Session) -> None:
    """Once; its place is that of its age and priority."""
    assert table.unblock(last, FAR)
    assert not table.unblock(last, FAR)
    assert read(table, last) == replace(last, blocked=False, waiting=True)
    assert queue(table) == [last.session_id]
    assert table.read_lane(last.worker).waiting
    admitted = table.admit(read(table, last), 1, Limits(), NOW, FAR)
    assert isinstance(admitted, Session)
    assert admitted == read(table, last)


def test_paused_and_unblocked_it_is_only_paused(table: StateTable, last: Session) -> None:
    """Until it is resumed it is in no queue."""
    assert table.pause(last, FAR)
    paused = read(table, last)
    assert (paused.paused, paused.blocked) == (True, True)
    assert table.unblock(paused, FAR)
    assert read(table, last) == replace(last, paused=True, blocked=False)
    assert queue(table) == []
    assert table.enqueue(read(table, last), FAR)
    assert queue(table) == [last.session_id]


def test_resumed_it_is_still_blocked(table: StateTable, last: Session) -> None:
    """Resuming lets it into no queue."""
    table.pause(last, FAR)
    assert table.enqueue(read(table, last), FAR)
    assert read(table, last) == last
    assert queue(table) == []


def test_blocked_it_has_no_right_to_run(table: StateTable, last: Session) -> None:
    """It is given no execution, and one who took it for waiting can't admit it."""
    assert not table.mark_dispatched(last.session_id, 1, NOW, FAR)
    other = replace(last, blocked=False, waiting=True)
    assert table.admit(other, 1, Limits(), NOW, FAR) is Refusal.CHANGED
    assert read(table, last) == last


def test_its_priority_may_change(table: StateTable, last: Session) -> None:
    """It comes into no queue by it."""
    assert table.set_priority(last, 9)
    assert read(table, last) == replace(last, priority=9)
    assert queue(table) == []


def test_the_first_reason_stays(table: StateTable, last: Session) -> None:
    """It is due from then on, and closed with it."""
    table.mark_failing(last.session_id, REASON, NOW)
    table.mark_failing(last.session_id, "another", FAR)
    assert read(table, last).reason == REASON
    assert table.due_sessions(NOW, 10) == [last.session_id]
    ending = replace(finished(last, NOW), verdict=SessionState.FAILED)
    closing = table.close_session(last.session_id, ending)
    assert closing is not None
    assert (closing.session.reason, closing.session.blocked) == (REASON, False)
    assert read(table, last) == closing.session


def test_only_what_is_blocked_and_open_fails_so(
    table: StateTable, first: Session, last: Session
) -> None:
    """A session that runs, one that was unblocked, one that is over and one that never was."""
    over = store_session(table, blocked("over", first))
    table.close_session(over.session_id, finished(over, NOW))
    table.unblock(last, FAR)
    for session in (first, last, over, make_session("unknown")):
        table.mark_failing(session.session_id, REASON, NOW)
        stored = table.read_session(session.session_id)
        assert stored is None or stored.reason is None


def test_closed_while_blocked_it_frees_its_quota(
    table: StateTable, first: Session, last: Session
) -> None:
    """It had no slots to give."""
    table.close_session(first.session_id, finished(first, NOW))
    table.close_session(last.session_id, finished(last, NOW))
    assert table.read_usage(OWNER, last.worker) == Usage()
    assert table.read_lane(last.worker).used == 0
    assert not table.unblock(last, FAR)


def test_who_closes_it_is_told_of_dependents(table: StateTable, first: Session) -> None:
    """By the session as it is stored."""
    store_session(table, blocked("last", first))
    closing = table.close_session(first.session_id, finished(first, NOW))
    assert closing is not None
    assert closing.session.has_dependents


class RacedTable(AwsStateTable):
    """Gets a dependent for each session just after the session was read first."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.races = False

    def read_session(self, session_id: str) -> Session | None:
        session = super().read_session(session_id)
        if self.races and session is not None:
            self.races = False
            store_session(self, blocked("last", session))
        return session


def test_a_dependent_that_comes_during_the_close_is_seen(stack: AwsStack) -> None:
    """The session is read once more: somebody has to release it."""
    table = RacedTable(stack.create_table())
    first = store_session(table, make_session("first"))
    table.races = True
    closing = table.close_session(first.session_id, finished(first, NOW))
    assert closing is not None
    assert closing.session.has_dependents
    assert read(table, first) == closing.session


@pytest.mark.parametrize("known", [True, False])
def test_who_commits_and_closes_knows_its_dependents(table: StateTable, known: bool) -> None:
    """One that came since the dispatch refuses the write; one that was there before does not."""
    session = make_session("first", tasks=2, chunk_size=2, slots=1)
    table.create_session(session, b"blob", Limits(), make_all_shards(session))
    store_session(table, blocked("last", session))
    (shard,) = table.read_shards(session.session_id)
    commit = RowSwap(shard, 0, ended(shard.chunks[0]))
    dispatched = read(table, session) if known else session
    closing = table.commit_and_close(dispatched, commit, finished(session, NOW))
    if known:
        assert closing == Closing(read(table, session), others_wait=False)
    else:
        assert closing is None
        assert table.read_shards(session.session_id) == [shard]


def test_a_deleted_session_forgets_its_dependents(
    table: StateTable, first: Session, last: Session
) -> None:
    """They still see how it ended."""
    delete(table, read(table, first))
    assert dependents(table, first) == []
    assert read(table, first).verdict is SessionState.FINISHED
    assert read(table, last) == last


def test_a_session_of_an_earlier_version_can_be_depended_on(stack: AwsStack) -> None:
    """It says nothing of all this, and is read, marked and closed."""
    name = stack.create_table()
    table = AwsStateTable(name)
    first = store_session(table, make_session("first"))
    key = {"pk": f"S#{first.session_id}", "sk": "SESSION"}
    boto3.resource("dynamodb").Table(name).update_item(
        Key=key, UpdateExpression="REMOVE blocked, has_dependents"
    )
    assert read(table, first) == first
    assert table.set_priority(first, 9)
    store_session(table, blocked("last", first))
    closing = table.close_session(first.session_id, finished(first, NOW))
    assert closing is not None
    assert closing.session.has_dependents
