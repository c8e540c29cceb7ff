"""Changing an open session: its priority, pause and resume.

    pause  --> mark, give slots or place back --> hold its chunks --> stop the execution --> wake
    resume --> hold (again) --> queue --> admit_waiting --> let its chunks go, start a new execution

Paused means: no further chunk starts; what runs is finished. Containers are told so by the broker,
and end one after the other; after a resume those of the old execution still get no chunk. One that
waits for its dependencies when it is resumed goes on doing so. Every step can be repeated, and the
sweeper finishes what was begun.
"""

from .admission import admit_waiting
from .closing import wake
from .contract import SessionUpdate
from .description import own_session
from .ending import complete_shards
from .errors import Conflict, InvalidRequest
from .holding import hold_chunks
from .listing import LOOK_AGAIN_SECONDS
from .records import Session
from .telemetry import logger
from .wiring import Grid


def update_session(grid: Grid, owner: str, session_id: str, update: SessionUpdate) -> None:
    """Raises NotFound as for every session, Conflict for one that is over, InvalidRequest
    for a federated task.
    """
    session = _open_session(grid, owner, session_id)
    if update.priority is not None:
        _set_priority(grid, owner, session, update.priority)
    if update.paused is True:
        _pause(grid, owner, session_id)
    if update.paused is False:
        _resume(grid, owner, session_id)


def _open_session(grid: Grid, owner: str, session_id: str) -> Session:
    session = own_session(grid, owner, session_id)
    if session.federation is not None:
        raise InvalidRequest(
            f"session {session_id} is a federated task: nodes take its runs when they can, so it "
            "has no priority and can't be paused; cancel it if it is not wanted"
        )
    if session.verdict is not None:
        raise Conflict(f"session {session_id} is {session.verdict}; only an open one can change")
    return session


def _set_priority(grid: Grid, owner: str, session: Session, priority: int) -> None:
    """Others change the session at the same time, finitely often: so the loop ends."""
    while session.priority != priority and not grid.table.set_priority(session, priority):
        session = _open_session(grid, owner, session.session_id)
    if session.waiting:
        admit_waiting(grid, session.lane)


def _pause(grid: Grid, owner: str, session_id: str) -> None:
    session = _open_session(grid, owner, session_id)
    while not session.paused:
        if grid.table.pause(session, grid.clock.now() + LOOK_AGAIN_SECONDS):
            break
        session = _open_session(grid, owner, session_id)
    hold_chunks(grid, complete_shards(grid, session))
    if session.dispatches and session.container is None:
        # With an execution of containers these would be stopped, and what they run be lost.
        grid.dispatcher.stop(session)
    if grid.table.read_lane(session.lane).waiting:
        wake(grid, session.lane)
    logger.info("session paused", session_id=session_id)


def _resume(grid: Grid, owner: str, session_id: str) -> None:
    session = _open_session(grid, owner, session_id)
    if session.paused:
        # A pause that was cut off may have left chunks that an old execution would start.
        hold_chunks(grid, complete_shards(grid, session))
    while session.paused:
        if grid.table.enqueue(session, grid.clock.now() + LOOK_AGAIN_SECONDS):
            break
        session = _open_session(grid, owner, session_id)
    logger.info("session resumed", session_id=session_id)
    admit_waiting(grid, session.lane)
