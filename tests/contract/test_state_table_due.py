"""The contract of the StateTable port: when the sweeper looks at a session next."""

import pytest

from stepgrid_core.listing import first_due
from stepgrid_core.ports import StateTable
from stepgrid_core.records import Session

from .samples import FRACTION, NOW, make_session, store_session

FAR = NOW + 10_000_000


@pytest.fixture
def session(table: StateTable) -> Session:
    """A session that was just created."""
    return store_session(table, make_session(), b"blob")


@pytest.mark.parametrize(
    ("session", "due_at"),
    [
        pytest.param(make_session(), NOW + FRACTION + 60, id="a minute after the submit"),
        pytest.param(make_session(deadline_at=NOW + 7), NOW + 7, id="a deadline before that"),
    ],
)
def test_a_new_session_comes_due(table: StateTable, session: Session, due_at: float) -> None:
    """The sweeper's first look: when a submit should be long over, or at the deadline."""
    assert first_due(session) == due_at
    store_session(table, session, b"")
    assert table.due_sessions(due_at - 0.001, 10) == []
    assert table.due_sessions(due_at, 10) == [session.session_id]


def test_postpone_moves_the_next_look(table: StateTable, session: Session) -> None:
    """Later or earlier: the last word counts."""
    table.postpone(session.session_id, NOW + 500 + FRACTION)
    assert table.due_sessions(NOW + 500, 10) == []
    assert table.due_sessions(NOW + 501, 10) == [session.session_id]
    table.postpone(session.session_id, NOW + 5)
    assert table.due_sessions(NOW + 5, 10) == [session.session_id]


def test_postponed_to_never_is_final(table: StateTable, session: Session) -> None:
    """None: never; and a sweeper that comes late with another time does not bring it back."""
    table.postpone(session.session_id, None)
    table.postpone(session.session_id, None)
    assert table.due_sessions(FAR, 10) == []
    table.postpone(session.session_id, NOW)
    assert table.due_sessions(FAR, 10) == []
    assert table.read_session(session.session_id) == session


def test_the_longest_due_come_first(table: StateTable) -> None:
    """A sweep that can't look at all takes those that have waited longest."""
    sessions = [store_session(table, make_session(f"token {n}"), b"") for n in range(12)]
    for n, session in enumerate(sessions):
        table.postpone(session.session_id, NOW - (n * 7 % 12))
    longest = sorted(range(12), key=lambda n: n * 7 % 12, reverse=True)
    expected = [sessions[n].session_id for n in longest]
    assert table.due_sessions(NOW, 100) == expected
    assert table.due_sessions(NOW, 5) == expected[:5]
