"""The contract of the StateTable port: an owner's sessions, page by page."""

import pytest

from stepgrid_core.errors import InvalidRequest
from stepgrid_core.ports import Page, StateTable
from stepgrid_core.records import Ending, Session
from stepgrid_core.states import SessionState

from .samples import NOW, OTHER_OWNER, OWNER, ended_counts, make_session, store_session

#: How each session of `mixed` stands, oldest first; None: it is open.
VERDICTS = (
    None,
    SessionState.FINISHED,
    SessionState.CANCELLED,
    None,
    SessionState.FAILED,
    SessionState.FINISHED,
    None,
)


def create(table: StateTable, token: str, created_at: float, owner: str = OWNER) -> Session:
    session = make_session(token, owner=owner, created_at=created_at)
    return store_session(table, session)


def create_some(table: StateTable, number: int, owner: str = OWNER) -> list[Session]:
    """Newest first."""
    made = [create(table, f"token {n}", NOW + n / 1000, owner) for n in range(number)]
    return made[::-1]


@pytest.fixture
def mixed(table: StateTable) -> list[Session]:
    """Sessions in all states, newest first."""
    sessions = []
    for n, verdict in enumerate(VERDICTS):
        session = create(table, f"mixed {n}", NOW + n)
        if verdict is not None:
            ending = Ending(verdict, ended_counts(session), NOW + 60)
            closing = table.close_session(session.session_id, ending)
            assert closing is not None
            session = closing.session
        sessions.append(session)
    return sessions[::-1]


def read_pages(
    table: StateTable, limit: int, state: SessionState | None = None, owner: str = OWNER
) -> list[Page[Session]]:
    pages = [table.list_sessions(owner, state, None, limit)]
    while (cursor := pages[-1].next) is not None:
        pages.append(table.list_sessions(owner, state, cursor, limit))
    return pages


def test_an_owner_without_sessions_has_an_empty_list(table: StateTable) -> None:
    """Nothing, and nowhere to go on."""
    assert table.list_sessions(OWNER, None, None, 10) == Page((), None)


def test_the_newest_comes_first(table: StateTable) -> None:
    """In order of the time of creation, to the fraction of a second, whoever was stored first."""
    offsets = (0.5, 1_000_000.0, 0.25, 0.125, 7.0)
    sessions = [create(table, f"token {at}", NOW + at) for at in offsets]
    newest_first = sorted(sessions, key=lambda session: session.created_at, reverse=True)
    assert list(table.list_sessions(OWNER, None, None, 10).items) == newest_first


def test_only_the_owners_sessions_are_listed(table: StateTable) -> None:
    """Nobody lists another owner's session."""
    mine, theirs = create_some(table, 3), create_some(table, 2, OTHER_OWNER)
    assert list(table.list_sessions(OWNER, None, None, 10).items) == mine
    assert list(table.list_sessions(OTHER_OWNER, None, None, 10).items) == theirs
    assert table.list_sessions(OWNER[:-1], None, None, 10).items == ()


def test_a_listed_session_is_as_it_is_now(table: StateTable, mixed: list[Session]) -> None:
    """The list shows verdicts, counts and marks, not what was first written."""
    opened = next(session for session in mixed if session.verdict is None)
    table.mark_cancelling(opened.session_id, NOW)
    found = {
        session.session_id: session for session in table.list_sessions(OWNER, None, None, 10).items
    }
    assert found[opened.session_id].cancelling
    closed = [session for session in mixed if session.verdict is not None]
    assert [found[session.session_id] for session in closed] == closed


@pytest.mark.parametrize(
    ("state", "verdicts"),
    [
        pytest.param(None, set(VERDICTS), id="all"),
        pytest.param(SessionState.PENDING, {None}, id="pending"),
        pytest.param(SessionState.RUNNING, {None}, id="running"),
        pytest.param(SessionState.FINISHED, {SessionState.FINISHED}, id="finished"),
        pytest.param(SessionState.FAILED, {SessionState.FAILED}, id="failed"),
        pytest.param(SessionState.CANCELLED, {SessionState.CANCELLED}, id="cancelled"),
    ],
)
def test_a_state_picks_sessions(
    table: StateTable,
    mixed: list[Session],
    state: SessionState | None,
    verdicts: set[SessionState | None],
) -> None:
    """Closed sessions by their verdict; whether an open one has begun only its rows tell."""
    expected = [session for session in mixed if session.verdict in verdicts]
    assert list(table.list_sessions(OWNER, state, None, 10).items) == expected


@pytest.mark.parametrize(
    ("number", "limit", "sizes"),
    [
        pytest.param(3, 10, [3], id="one page"),
        pytest.param(3, 3, [3], id="exactly one page"),
        pytest.param(4, 3, [3, 1], id="one more"),
        pytest.param(6, 3, [3, 3], id="exactly two pages"),
        pytest.param(3, 1, [1, 1, 1], id="one at a time"),
    ],
)
def test_pages_hold_every_session_once(
    table: StateTable, number: int, limit: int, sizes: list[int]
) -> None:
    """Each cursor goes on where its page ended; the last page has none."""
    sessions = create_some(table, number)
    pages = read_pages(table, limit)
    assert [len(page.items) for page in pages] == sizes
    assert [session for page in pages for session in page.items] == sessions


def test_pages_of_a_state_are_full(table: StateTable, mixed: list[Session]) -> None:
    """What the state leaves out does not count for the limit."""
    pages = read_pages(table, 2, SessionState.PENDING)
    assert [len(page.items) for page in pages] == [2, 1]
    found = [session for page in pages for session in page.items]
    assert found == [session for session in mixed if session.verdict is None]


def test_more_sessions_than_a_query_page_are_paged(table: StateTable) -> None:
    """DynamoDB answers at most 1 MB at a time, wherever that is in a page of ours."""
    heavy = {"note": "x" * 150_000}
    sessions = [
        store_session(table, make_session(f"token {n}", created_at=NOW + n, tags=heavy))
        for n in range(9)
    ]
    for limit in range(4, 10):
        found = [session for page in read_pages(table, limit) for session in page.items]
        assert found == sessions[::-1]


def test_sessions_of_the_same_instant_are_paged(table: StateTable) -> None:
    """None is lost or repeated where the time alone gives no order."""
    sessions = [create(table, f"token {n}", NOW) for n in range(5)]
    found = [session for page in read_pages(table, 2) for session in page.items]
    assert len(found) == 5
    assert {session.session_id for session in found} == {s.session_id for s in sessions}


def test_a_new_session_does_not_disturb_paging(table: StateTable) -> None:
    """It comes before the first page; those that follow stay as they were."""
    sessions = create_some(table, 4)
    first = table.list_sessions(OWNER, None, None, 2)
    create(table, "newer", NOW + 60)
    second = table.list_sessions(OWNER, None, first.next, 2)
    assert [*first.items, *second.items] == sessions


def test_a_cursor_survives_its_session(table: StateTable) -> None:
    """The session at the page's end may be deleted before the next page is asked for."""
    sessions = create_some(table, 4)
    first = table.list_sessions(OWNER, None, None, 2)
    table.delete_session(first.items[-1])
    second = table.list_sessions(OWNER, None, first.next, 2)
    assert list(second.items) == sessions[2:]


def test_a_foreign_cursor_is_harmless(table: StateTable) -> None:
    """It is only a place in time: the list it gives holds the asker's own sessions."""
    mine = create_some(table, 3)
    create_some(table, 3, OTHER_OWNER)
    cursor = table.list_sessions(OTHER_OWNER, None, None, 1).next
    found = table.list_sessions(OWNER, None, cursor, 10)
    assert {session.owner for session in found.items} <= {OWNER}
    assert {s.session_id for s in found.items} <= {s.session_id for s in mine}


@pytest.mark.parametrize(
    "cursor",
    [
        pytest.param("", id="empty"),
        pytest.param("1", id="number"),
        pytest.param("x" * 54, id="no separator"),
        pytest.param("1800000000.000000", id="no session"),
        pytest.param("1800000000.000000#", id="empty session"),
        pytest.param("1800000000.000000#" + "é" * 36, id="not ASCII"),
        pytest.param("1800000000.000000#" + "0" * 1_000, id="too long"),
    ],
)
def test_a_bad_cursor_is_refused(table: StateTable, cursor: str) -> None:
    """InvalidRequest, whatever a caller may send."""
    create_some(table, 2)
    with pytest.raises(InvalidRequest, match="cursor"):
        table.list_sessions(OWNER, None, cursor, 10)


def test_an_odd_cursor_of_the_right_shape_is_harmless(table: StateTable) -> None:
    """What looks like a cursor but names no session is a place like any other."""
    create_some(table, 2)
    page = table.list_sessions(OWNER, None, "zzzzzzzzzzzzzzzzz#../../SESSION", 10)
    assert {session.owner for session in page.items} <= {OWNER}
