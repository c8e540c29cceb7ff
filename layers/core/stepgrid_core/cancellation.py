"""Cancel: idempotent, monotone, and exact.

    mark the session --> end every open chunk row --> wait until no worker may start a task
                     --> close --> counts of the tasks that this call cancelled

A worker starts a task only within `permit_seconds` of having seen its row unchanged, so waiting
that long after the last row was ended means: nothing starts once cancel has answered.
"""

from collections.abc import Iterable, Sequence

from .contract import CancelCounts
from .description import is_member
from .ending import end_all
from .records import Chunk, Session, Shard, count
from .states import ChunkState, TaskState
from .telemetry import logger
from .wiring import Grid

#: A worker looks at its row every `watch_seconds`, and may start tasks for twice as long.
PERMIT_WATCHES = 2


def permit_seconds(watch_seconds: float) -> float:
    return PERMIT_WATCHES * watch_seconds


def cancel(grid: Grid, owner: str, session_ids: Iterable[str]) -> dict[str, CancelCounts]:
    """Cancel what is open of the owner's sessions. Unknown and foreign ids get zeros alike."""
    answers = {}
    wait_seconds = 0.0
    for session_id in dict.fromkeys(session_ids):
        session = grid.table.read_session(session_id)
        if session is None or session.owner != owner or not is_member(grid, session):
            answers[session_id] = CancelCounts()
            continue
        answers[session_id], seconds = cancel_open(grid, session)
        wait_seconds = max(wait_seconds, seconds)
    if wait_seconds:
        grid.clock.sleep(wait_seconds)
    return answers


def cancel_open(grid: Grid, session: Session) -> tuple[CancelCounts, float]:
    """Cancel what is open of a session, and say for how long no worker's permit has lapsed."""
    permit = permit_seconds(session.watch_seconds)
    if session.verdict is not None:
        return CancelCounts(), _permit_left(session, permit, grid.clock.now())
    grid.table.mark_cancelling(session.session_id, grid.clock.now())
    changed = end_all(grid, session, ChunkState.CANCELLED)
    if session.federation is None:  # what nodes run, they end when they hear of it
        grid.dispatcher.stop(session)
    ended = [chunk for old, _ in changed for chunk in old.chunks if not chunk.terminal]
    counts, tasks = _counts(ended), sum(chunk.unsettled for chunk in ended)
    if tasks:
        logger.info("session cancelled", session_id=session.session_id, tasks=tasks)
    return counts, 0.0 if _untouched(session, changed) else permit


def _untouched(session: Session, changed: Sequence[tuple[Shard, Shard]]) -> bool:
    """Did this call end every row, none of them ever claimed? Otherwise somebody has a permit.

    Rows that another cancel ended a moment ago no longer tell whether they were claimed.
    """
    claimed = any(chunk.attempt for old, _ in changed for chunk in old.chunks)
    return len(changed) == session.shards and not claimed


def _permit_left(session: Session, permit: float, now: float) -> float:
    """Whoever has just closed it, permits of workers that were fenced out must lapse for us too."""
    if session.closed_at is None:
        return 0.0
    return min(permit, max(0.0, session.closed_at + permit - now))


def _counts(chunks: Iterable[Chunk]) -> CancelCounts:
    """The unsettled tasks of the rows as they were just before: those are what was cancelled."""
    before = count(chunks)
    pending, processing, retrying = (
        before[state] for state in (TaskState.PENDING, TaskState.PROCESSING, TaskState.RETRYING)
    )
    return CancelCounts(
        cancelled_pending=pending,
        cancelled_processing=processing,
        cancelled_retrying=retrying,
        total_cancelled_tasks=pending + processing + retrying,
    )
