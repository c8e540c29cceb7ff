"""What the grid tells about a session: one frozen record, and a constructor for each moment.

    accepted --> started --> progressed 10 ... 90 --> finished | failed | cancelled

Pure: `announcement` publishes them, and decides whether it may be done without.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from .names import event_id
from .records import Chunk, Session, count, untouched
from .states import EventKind, TaskState, event_sequence

#: Progress is told in steps of so many percent.
PROGRESS_STEP = 10


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """One piece of news. It may arrive late, twice, out of order, or never."""

    kind: EventKind
    session: Session
    at: float  #: epoch seconds
    counts: dict[TaskState, int]
    percent: int | None = None  #: of progressed: at least so many of its tasks are settled

    @property
    def session_id(self) -> str:
        return self.session.session_id

    @property
    def event_id(self) -> str:
        return event_id(self.session_id, self.kind, self.percent)

    @property
    def sequence(self) -> int:
        """Rises within a session, however its events are shuffled on their way."""
        return event_sequence(self.kind, self.percent)


def accepted(session: Session) -> SessionEvent:
    return SessionEvent(EventKind.ACCEPTED, session, session.created_at, untouched(session))


def started(session: Session) -> SessionEvent:
    return SessionEvent(EventKind.STARTED, session, session.dispatched_at, untouched(session))


def progressed(session: Session, percent: int, chunks: Iterable[Chunk], at: float) -> SessionEvent:
    return SessionEvent(EventKind.PROGRESSED, session, at, count(chunks), percent)


def ended(session: Session) -> SessionEvent:
    """Of a closed session: its verdict as an event."""
    assert session.verdict is not None
    at = session.created_at if session.closed_at is None else session.closed_at
    return SessionEvent(EventKind(session.verdict), session, at, dict(session.counts or {}))
