"""Pure rules that every state table shares: how sessions sort, page, filter and come due."""

from .budgets import rank
from .errors import InvalidRequest
from .records import Session
from .states import SessionState

#: The sweeper looks at an open session this often.
LOOK_AGAIN_SECONDS = 60.0


def first_due(session: Session) -> float:
    """The sweeper's first look: when a submit should be long over, or at the deadline."""
    return min(session.created_at + LOOK_AGAIN_SECONDS, session.deadline_at)


def sort_key(session: Session) -> str:
    """Sorts by time, then id. As a cursor it leads only to sessions of the owner who asks."""
    return f"{session.created_at:017.6f}#{session.session_id}"


def queue_place(session: Session) -> str:
    """Sorts by rank, then id."""
    return f"{rank(session):017.6f}#{session.session_id}"


def steered(session: Session) -> tuple[bool, bool, int, int, int, bool, bool]:
    """What a session must still be like when its place, slots or priority are changed.

    And when it is closed: who closes a session has to know whether others depend on it.
    """
    return (
        session.waiting,
        session.paused,
        session.slots,
        session.priority,
        session.dispatches,
        session.blocked,
        session.has_dependents,
    )


def check_cursor(cursor: str) -> str:
    if not (18 < len(cursor) < 64 and cursor[17:18] == "#" and cursor.isascii()):
        raise InvalidRequest(f"cursor {cursor[:32]!r} is not one that a session list gave")
    return cursor


def is_in(session: Session, state: SessionState) -> bool:
    """Open sessions count as running in lists: whether one has begun only its rows tell."""
    if state in (SessionState.PENDING, SessionState.RUNNING):
        return session.verdict is None
    return session.verdict is state
