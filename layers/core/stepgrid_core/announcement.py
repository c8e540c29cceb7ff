"""Telling the world: which events go out, and what becomes of those that can't.

Events are hints and the table is the truth. Whoever has to be told that a session is closed is told
at least once, by the sweeper if need be; all other events are sent once or not at all.
"""

from .errors import Unavailable
from .federation.events import FederationEvent
from .records import Session
from .session_events import SessionEvent, ended
from .telemetry import logger
from .wiring import Grid


def tell(grid: Grid, *events: SessionEvent) -> None:
    """Publish what is good to know: a bus that takes nothing hinders nobody."""
    if grid.settings.session_events != "all":
        return
    try:
        grid.events.publish(events)
    except Unavailable as error:
        logger.warning(
            "event not published",
            session_id=events[0].session_id,
            kinds=[event.kind for event in events],
            reason=str(error),
        )


def tell_federation(grid: Grid, event: FederationEvent) -> None:
    """The same of what happens in a federation: whoever is not told finds it by asking."""
    try:
        grid.events.notify([event])
    except Unavailable as error:
        logger.warning("event not published", event_id=event.event_id, reason=str(error))


def announce_if_possible(grid: Grid, session: Session) -> None:
    """An event is a hint: without it the close still stands, and the session stays due."""
    try:
        announce(grid, session)
    except Unavailable as error:
        logger.warning(
            "closing not announced, the sweeper will",
            session_id=session.session_id,
            reason=str(error),
        )


def announce(grid: Grid, session: Session) -> None:
    """Publish the closing; only then the sweeper may forget the session. Raises Unavailable."""
    grid.events.publish([ended(session)])
    grid.table.postpone(session.session_id, None)
