"""The contract of the StateTable port: sessions, from their first write to their last."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from stepgrid_core.budgets import Limits, Usage
from stepgrid_core.errors import NotFound
from stepgrid_core.layout import Layout
from stepgrid_core.ports import Closing, RowSwap, StateTable
from stepgrid_core.records import Ending, InputRef, Session, Work, closed
from stepgrid_core.states import SessionState, TaskState

from .samples import (
    FRACTION,
    NOW,
    OWNER,
    claimed,
    ended,
    finished,
    make_all_shards,
    make_session,
    store_session,
    won,
)

FAR = NOW + 10_000_000


@pytest.fixture
def session(table: StateTable) -> Session:
    """A session that was just created."""
    return store_session(table, make_session(), b"blob")


def close(table: StateTable, session: Session, now: float = NOW + 60) -> Session | None:
    closing = table.close_session(session.session_id, finished(session, now))
    return None if closing is None else closing.session


def read(table: StateTable, session: Session) -> Session:
    stored = table.read_session(session.session_id)
    assert stored is not None
    return stored


# --- create_session -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "session",
    [
        pytest.param(make_session(), id="input in the store"),
        pytest.param(make_session(input=InputRef(None, "", 100)), id="input in the table"),
        pytest.param(make_session(name="é | # {}", tags={"book": "rates", "": "x"}), id="named"),
        pytest.param(make_session(route="burst", children="standard", priority=0), id="burst"),
        pytest.param(make_session(tasks=1, chunk_size=1, task_timeout_seconds=0.05), id="small"),
        pytest.param(make_session(dispatches=0, dispatched_at=0.0), id="not dispatched"),
    ],
)
def test_a_session_is_read_as_it_was_created(table: StateTable, session: Session) -> None:
    """A created session what is stored, and that is every field as it was given."""
    assert store_session(table, session, b"blob") == session
    assert table.read_session(session.session_id) == session


def test_an_unknown_session_is_none(table: StateTable) -> None:
    """Asking for a session that is not there is no error."""
    assert table.read_session(make_session().session_id) is None


def test_creating_again_answers_the_stored_session(table: StateTable, session: Session) -> None:
    """A repeated submit gets the session as it is by now, and changes nothing."""
    table.mark_dispatched(session.session_id, 2, NOW + 5, FAR)
    as_it_is = read(table, session)
    assert store_session(table, session, b"blob") == as_it_is
    assert read(table, session) == as_it_is


def test_another_session_under_the_same_id_answers_the_first(
    table: StateTable, session: Session
) -> None:
    """Store both unless the id is taken: the digest tells the caller that it was."""
    other = replace(session, digest="f" * 64, tasks=7, created_at=NOW + 5)
    assert store_session(table, other, b"other") == session
    assert read(table, session) == session
    assert table.read_blob(session.session_id, session.blob_id) == b"blob"


def test_shards_are_stored_with_their_session(table: StateTable) -> None:
    """What is given with a new session is there as soon as it is."""
    session = make_session()
    shards = make_all_shards(session)
    assert table.create_session(session, b"blob", Limits(), shards[:2]) == session
    assert table.read_shards(session.session_id) == shards[:2]


def test_a_repeated_submit_touches_no_shard(table: StateTable, session: Session) -> None:
    """Where the id is taken nothing is stored, and shards stay as they have become."""
    table.create_shards(session, make_all_shards(session)[:1])
    shard = make_all_shards(session)[0]
    moved = won(table.swap_chunk(shard, 0, claimed(shard.chunks[0])))
    assert table.create_session(session, b"blob", Limits(), make_all_shards(session)) == session
    assert table.read_shards(session.session_id) == [moved]


# --- blobs ----------------------------------------------------------------------------------------


def test_a_blob_is_read_as_it_was_stored(table: StateTable) -> None:
    """Every byte of the tasks or boundaries comes back."""
    blob = bytes(range(256)) * 100
    session = store_session(table, make_session(), blob)
    assert table.read_blob(session.session_id, session.blob_id) == blob


@pytest.mark.parametrize("blob_id", ["", "other"])
def test_a_missing_blob_is_not_found(table: StateTable, session: Session, blob_id: str) -> None:
    """NotFound says of which session the input is gone."""
    with pytest.raises(NotFound, match=session.session_id):
        table.read_blob(session.session_id, blob_id)


def test_a_stored_blob_is_never_replaced(table: StateTable, session: Session) -> None:
    """The shards are made from it again: it must stay what it was."""
    store_session(table, session, b"changed")
    assert table.read_blob(session.session_id, session.blob_id) == b"blob"


def test_the_blob_of_the_stored_session_is_there(table: StateTable, session: Session) -> None:
    """Whichever of two submits at once stored the session: the blob came with it."""
    other = replace(session, layout=Layout.even(session.tasks, 50))
    assert store_session(table, other, b"cut otherwise") == session
    assert table.read_blob(session.session_id, session.blob_id) == b"blob"
    with pytest.raises(NotFound):
        table.read_blob(session.session_id, other.blob_id)


# --- mark_dispatched ------------------------------------------------------------------------------


def test_a_dispatch_is_marked_only_once(table: StateTable, session: Session) -> None:
    """Of two that want to start the same dispatch, one may."""
    assert table.mark_dispatched(session.session_id, 2, NOW + FRACTION, FAR)
    assert not table.mark_dispatched(session.session_id, 2, NOW + 99, FAR + 99)
    assert read(table, session) == replace(session, dispatches=2, dispatched_at=NOW + FRACTION)


@pytest.mark.parametrize("dispatch", [0, 1, 3])
def test_dispatches_rise_by_one(table: StateTable, session: Session, dispatch: int) -> None:
    """Only the number after the stored one may be marked."""
    assert not table.mark_dispatched(session.session_id, dispatch, NOW, FAR)
    assert read(table, session) == session


def test_a_marked_dispatch_puts_the_next_look_off(table: StateTable, session: Session) -> None:
    """The sweeper looks again at `due_at`."""
    table.mark_dispatched(session.session_id, 2, NOW, NOW + 500)
    assert table.due_sessions(NOW + 499, 10) == []
    assert table.due_sessions(NOW + 500, 10) == [session.session_id]


def test_a_closed_session_is_not_dispatched(table: StateTable, session: Session) -> None:
    """Nothing is started for a session that is over."""
    closed = close(table, session)
    assert not table.mark_dispatched(session.session_id, 2, NOW, FAR)
    assert read(table, session) == closed


# --- mark_cancelling ------------------------------------------------------------------------------


def test_cancelling_is_marked(table: StateTable, session: Session) -> None:
    """The mark is all that changes, and the sweeper is to look at once."""
    table.mark_cancelling(session.session_id, NOW)
    assert read(table, session) == replace(session, cancelling=True)
    assert table.due_sessions(NOW, 10) == [session.session_id]


def test_a_closed_session_is_not_cancelled(table: StateTable, session: Session) -> None:
    """A session that ended first stays as it ended."""
    closed = close(table, session)
    table.postpone(session.session_id, FAR)
    table.mark_cancelling(session.session_id, NOW)
    assert read(table, session) == closed
    assert table.due_sessions(FAR - 1, 10) == []


# --- close_session --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "verdict", [SessionState.FINISHED, SessionState.FAILED, SessionState.CANCELLED]
)
def test_the_first_closes(table: StateTable, session: Session, verdict: SessionState) -> None:
    """It gets the session with verdict, counts and time, and that is what is stored."""
    counts = {**dict.fromkeys(TaskState, 0), TaskState.FINISHED: 60, TaskState.CANCELLED: 40}
    ending = Ending(verdict, counts, NOW + FRACTION, Work(NOW + 0.25, 12.5))
    closing = table.close_session(session.session_id, ending)
    assert closing is not None
    closed = closing.session
    assert closed == replace(
        session,
        verdict=verdict,
        counts=counts,
        closed_at=NOW + FRACTION,
        first_claim_at=NOW + 0.25,
        task_seconds=12.5,
    )
    assert read(table, session) == closed


def test_everybody_after_the_first_gets_none(table: StateTable, session: Session) -> None:
    """A verdict never changes."""
    closed = close(table, session)
    late = Ending(SessionState.CANCELLED, dict.fromkeys(TaskState, 0), NOW + 99)
    assert table.close_session(session.session_id, late) is None
    assert read(table, session) == closed


def test_closing_keeps_what_was_marked_before(table: StateTable, session: Session) -> None:
    """Dispatches and the cancel mark survive the close."""
    table.mark_dispatched(session.session_id, 2, NOW, FAR)
    table.mark_cancelling(session.session_id, FAR)
    closed = close(table, session)
    assert closed is not None
    assert (closed.dispatches, closed.cancelling) == (2, True)


def test_a_closed_session_is_due_until_it_is_announced(table: StateTable, session: Session) -> None:
    """If the closer dies before it published, the sweeper comes at once."""
    close(table, session, NOW + 60)
    assert table.due_sessions(NOW + 60, 10) == [session.session_id]
    table.postpone(session.session_id, None)
    assert table.due_sessions(FAR, 10) == []


# --- commit_and_close -----------------------------------------------------------------------------


@pytest.fixture
def single(table: StateTable) -> Session:
    """A session of one chunk that was just started."""
    session = make_session(tasks=2, chunk_size=2, slots=1)
    table.create_session(session, b"blob", Limits(), make_all_shards(session))
    return session


def last_commit(table: StateTable, session: Session) -> RowSwap:
    (shard,) = table.read_shards(session.session_id)
    return RowSwap(shard, 0, ended(shard.chunks[0]), b"a line\n")


def test_a_row_and_the_end_of_its_session_are_one_write(table: StateTable, single: Session) -> None:
    """Both are as the two writes would have left them, and what the session held is free."""
    commit, ending = last_commit(table, single), finished(single, NOW + 60)
    closing = table.commit_and_close(single, commit, ending)
    assert closing == Closing(closed(single, ending), others_wait=False)
    assert read(table, single) == closing.session
    assert table.read_shards(single.session_id) == [commit.after]
    assert table.read_lane(single.worker).used == 0
    assert table.read_usage(OWNER, single.worker) == Usage()
    assert table.due_sessions(NOW + 60, 10) == [single.session_id]


def move_row(table: StateTable, session: Session, commit: RowSwap) -> None:
    won(table.swap_chunk(commit.shard, 0, claimed(commit.shard.chunks[0])))


def raise_priority(table: StateTable, session: Session, commit: RowSwap) -> None:
    assert table.set_priority(session, 9)


def let_one_wait(table: StateTable, session: Session, commit: RowSwap) -> None:
    store_session(table, make_session("other", waiting=True, dispatches=0, dispatched_at=0.0))


def close_before(table: StateTable, session: Session, commit: RowSwap) -> None:
    assert close(table, session)


@pytest.mark.parametrize("meanwhile", [move_row, raise_priority, let_one_wait, close_before])
def test_what_changed_meanwhile_refuses_both(
    table: StateTable,
    single: Session,
    meanwhile: Callable[[StateTable, Session, RowSwap], None],
) -> None:
    """Neither the row nor the session is touched; the caller writes one after the other."""
    commit = last_commit(table, single)
    meanwhile(table, single, commit)
    as_they_are = read(table, single), table.read_shards(single.session_id)
    assert table.commit_and_close(single, commit, finished(single, NOW + 60)) is None
    assert (read(table, single), table.read_shards(single.session_id)) == as_they_are


# --- raise_progress -------------------------------------------------------------------------------


def test_each_step_is_raised_once(table: StateTable, session: Session) -> None:
    """Only the first to reach a step gets the session, and a lower step comes too late."""
    session_id = session.session_id
    assert table.raise_progress(session_id, 10) == session
    assert table.raise_progress(session_id, 10) is None
    assert table.raise_progress(session_id, 40) == session
    assert table.raise_progress(session_id, 30) is None
    assert read(table, session) == session


def test_a_closed_session_makes_no_progress(table: StateTable, session: Session) -> None:
    """A straggler's news is not told after the end."""
    close(table, session)
    assert table.raise_progress(session.session_id, 90) is None


def test_writes_to_an_unknown_session_create_nothing(table: StateTable) -> None:
    """What comes after a delete, or for an id that never was, leaves no trace."""
    session = make_session()
    assert not table.mark_dispatched(session.session_id, 2, NOW, NOW)
    assert close(table, session) is None
    assert table.raise_progress(session.session_id, 10) is None
    table.mark_cancelling(session.session_id, NOW)
    table.postpone(session.session_id, NOW)
    table.postpone(session.session_id, None)
    assert table.read_session(session.session_id) is None
    assert table.due_sessions(FAR, 10) == []


# --- delete_session -------------------------------------------------------------------------------


def test_nothing_of_a_deleted_session_is_left(table: StateTable) -> None:
    """Blobs, shards, latch, list entry and due time go; what stays says that it is deleted."""
    session = make_session(tasks=1_000)
    store_session(table, session, b"blob")
    table.create_shards(session, make_all_shards(session))
    assert table.latch(session.session_id, 7, int(FAR)) == 1

    table.delete_session(session)

    assert table.read_session(session.session_id) == replace(session, deleted=True)
    assert table.read_shards(session.session_id) == []
    assert table.read_shard(session.session_id, 0) is None
    with pytest.raises(NotFound):
        table.read_blob(session.session_id, session.blob_id)
    assert table.due_sessions(FAR, 10) == []
    assert table.list_sessions(OWNER, None, None, 10).items == ()
    assert table.latch(session.session_id, 8, int(FAR)) == 1


def test_deleting_again_is_no_error(table: StateTable, session: Session) -> None:
    """A delete whose answer got lost is repeated."""
    table.delete_session(session)
    table.delete_session(session)
    assert table.read_session(session.session_id) == replace(session, deleted=True)


def test_other_sessions_survive_a_delete(table: StateTable, session: Session) -> None:
    """A delete touches one session."""
    other = store_session(table, make_session("other"), b"other")
    table.create_shards(other, make_all_shards(other))
    table.delete_session(session)
    assert table.read_session(other.session_id) == other
    assert table.read_blob(other.session_id, other.blob_id) == b"other"
    assert table.read_shards(other.session_id) == make_all_shards(other)


def test_a_deleted_session_is_not_created_again(table: StateTable, session: Session) -> None:
    """Its executions may still be at work: they must not find the chunks of another session."""
    table.delete_session(session)
    again = replace(session, created_at=NOW + 5)
    assert store_session(table, again, b"again").deleted
