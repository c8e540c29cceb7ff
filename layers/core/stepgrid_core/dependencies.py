"""Sessions that wait for others: what they depend on must have finished well before they start.

    submit --> check --> accept (blocked; marks each dependency) --> release, which looks once more
    session closed, has dependents --> recorder --> release_dependents --> release each of them
    sweeper, every minute ----------------------------------------------> release what is due

    release --+--> all finished well --> unblock: a place in the queue --> admit_waiting
              |--> one did not       --> mark_failing (the reason) --> end_all, which closes it;
              |                                                        so on with its dependents
              `--> else nothing: whoever closes the next dependency comes again

Whether a dependency has ended well is told by its verdict and counts, which never change: so any
number of processes may release the same session at the same moment, and all of them decide alike.

It must not start anything itself, nor know what a task is.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from .admission import admit_waiting
from .description import own_session
from .ending import end_all
from .errors import InvalidRequest, NotFound
from .listing import LOOK_AGAIN_SECONDS
from .names import TASK_ID
from .records import Session
from .runner_failures import cut_middle
from .states import ChunkState, SessionState, TaskState
from .telemetry import logger
from .wiring import Grid

#: Dependents of a session that are listed at once.
DEPENDENTS_PAGE = 100
#: A reason quotes that of the dependency, and so on through a chain: of a long one the ends stay.
REASON_BYTES = 1_000


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What a new session is to wait for."""

    ids: tuple[str, ...] = ()
    blocked: bool = False  #: not all of them have finished well


def check(grid: Grid, owner: str, session_id: str, named: Sequence[str]) -> Dependencies:
    """What the new session `session_id` says that it depends on; repeated ids count once.

    Raises InvalidRequest for ids of tasks and its own, NotFound for one that is not the owner's.
    """
    ids = tuple(dict.fromkeys(named))
    for name in ids:
        _refuse_id(name, session_id)
    try:
        found = grid.each(lambda name: own_session(grid, owner, name), ids)
    except NotFound:
        # A submit that is repeated is not refused: its session is there already.
        if grid.table.read_session(session_id) is None:
            raise
        return Dependencies(ids, blocked=True)
    return Dependencies(ids, blocked=not all(_finished_well(session) for session in found))


def _refuse_id(name: str, session_id: str) -> None:
    task = TASK_ID.fullmatch(name)
    if task is not None:
        raise InvalidRequest(
            f"depends_on: {name!r} is one task; only whole sessions can be waited for: "
            f"give {task['session']!r}"
        )
    if name == session_id:
        raise InvalidRequest(f"depends_on: {name!r} is this session itself")


def _finished_well(session: Session | None) -> bool:
    """Every task of it has a result."""
    if session is None or session.verdict is not SessionState.FINISHED:
        return False
    return (session.counts or {}).get(TaskState.FINISHED) == session.tasks


class Outcome(StrEnum):
    """What became of a session that was released."""

    UNCHANGED = "unchanged"  #: it was not blocked, or is so still
    WAITS = "waits"  #: it came into the queue of its worker just now
    FAILED = "failed"  #: one of its dependencies did


def release(grid: Grid, session: Session) -> None:
    """Let a blocked session go on, or fail it, if what it depends on tells. May be repeated."""
    if _release(grid, session) is Outcome.WAITS:
        admit_waiting(grid, session.lane)


def release_dependents(grid: Grid, session_id: str) -> int:
    """Release all that were made to wait for a session; answers how many were looked at.

    Also the dependents of those that fail by it: whoever closes them asks for that once more, but a
    chain of functions that call each other is stopped by Lambda after some 16 calls.
    """
    ended, looked_at = deque([session_id]), 0
    while ended:
        for page in _pages(grid, ended.popleft()):
            # One after the other: those of one worker all come into the same queue.
            released = [(one, *_try_release(grid, one)) for one in page]
            for lane in {lane for _, outcome, lane in released if outcome is Outcome.WAITS}:
                admit_waiting(grid, lane)
            ended.extend(one for one, outcome, _ in released if outcome is Outcome.FAILED)
            looked_at += len(page)
    return looked_at


def _pages(grid: Grid, session_id: str) -> Iterator[list[str]]:
    after: str | None = None
    while page := grid.table.list_dependents(session_id, after, DEPENDENTS_PAGE):
        yield page
        after = page[-1]


def _try_release(grid: Grid, session_id: str) -> tuple[Outcome, str]:
    """What became of it, and its lane.

    One that can't be released now must not keep the others waiting: the sweeper comes to it.
    """
    try:
        session = grid.table.read_session(session_id)
        return (_release(grid, session), session.lane) if session else (Outcome.UNCHANGED, "")
    except Exception:
        logger.exception("could not be released", session_id=session_id)
        return Outcome.UNCHANGED, ""


def _release(grid: Grid, session: Session) -> Outcome:
    if not session.blocked or session.verdict is not None:
        return Outcome.UNCHANGED
    found = grid.each(grid.table.read_session, session.depends_on)
    known = list(zip(session.depends_on, found, strict=True))
    failures = [how for name, one in known if (how := _failure(name, one)) is not None]
    if failures:
        _fail(grid, session, cut_middle(failures[0], REASON_BYTES))
        return Outcome.FAILED
    return _unblock(grid, session) if all(map(_finished_well, found)) else Outcome.UNCHANGED


def _failure(name: str, session: Session | None) -> str | None:
    """How a dependency failed, in words; None if it has finished well, or not ended yet."""
    said = f"session {name}, which it depends on,"
    if session is None:
        return f"{said} has expired"
    if session.verdict is None or _finished_well(session):
        return None
    if session.verdict is SessionState.CANCELLED:
        return f"{said} was cancelled"
    if session.verdict is SessionState.FAILED and session.reason is not None:
        return f"{said} failed: {session.reason}"
    failed = (session.counts or {}).get(TaskState.FAILED, 0)
    return f"{said} {session.verdict} with {failed} failed task{'' if failed == 1 else 's'}"


def _fail(grid: Grid, session: Session, reason: str) -> None:
    grid.table.mark_failing(session.session_id, reason, grid.clock.now())
    logger.info("dependency failed", session_id=session.session_id, reason=reason)
    end_all(grid, session, ChunkState.DEPENDENCY)


def _unblock(grid: Grid, session: Session) -> Outcome:
    """Others change the session at the same time, finitely often: so the loop ends."""
    now: Session | None = session
    while now is not None and now.blocked and now.verdict is None:
        if grid.table.unblock(now, grid.clock.now() + LOOK_AGAIN_SECONDS):
            logger.info("session unblocked", session_id=now.session_id)
            return Outcome.UNCHANGED if now.paused else Outcome.WAITS
        now = grid.table.read_session(session.session_id)
    return Outcome.UNCHANGED
