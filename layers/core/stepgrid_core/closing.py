"""The latch: the commit that completes the last shard closes the session and tells the world.

    last chunk of a shard --> latch(shard) --> set is full --> close --> publish --> postpone(None)
                                                                 `--> wake whoever waits

Any step may be repeated, and every crash in between is healed by whoever comes next: another
commit, the end of the Map, or the sweeper. Does not wait for the workflow: a distributed Map
reports its end seconds after its last child.
"""

from collections.abc import Sequence

from .announcement import announce_if_possible
from .budgets import Lane
from .errors import Unavailable
from .metrics import closing_values
from .records import Session, Shard, count, verdict, work
from .states import TaskState
from .telemetry import logger
from .wiring import Grid


def shard_changed(grid: Grid, shard: Shard, shards: int) -> int:
    """Call after every write that may have ended a shard; `shards` is how many the session has.

    Answers how many have ended, as far as this write tells: 0 if its own shard has not.
    """
    if not shard.terminal:
        return 0
    if shards == 1:
        close(grid, [shard])
        return 1
    # Not the session's own end, which a worker does not know: a little later does no harm.
    expires_at = int(grid.clock.now()) + grid.settings.retention_days * 86_400
    ended = grid.table.latch(shard.session_id, shard.number, expires_at)
    if ended >= shards:
        close(grid, grid.table.read_shards(shard.session_id))
    return ended


def close(grid: Grid, shards: Sequence[Shard]) -> Session | None:
    """Close the session whose shards these are (all, in order), if all are terminal."""
    if not all(shard.terminal for shard in shards):
        return None
    chunks = [chunk for shard in shards for chunk in shard.chunks]
    done = work(shards)
    session = grid.table.close_session(
        shards[0].session_id, verdict(chunks), count(chunks), grid.clock.now(), done
    )
    if session is not None:
        logger.info("session closed", session_id=session.session_id, state=session.verdict)
        values = closing_values(session, chunks)
        grid.metrics.emit(session.worker, values, session_id=session.session_id)
        announce_if_possible(grid, session)
        _follow_up(grid, session, done.task_seconds)
    return session


def _follow_up(grid: Grid, session: Session, task_seconds: float) -> None:
    """What is good to do after an end that stands anyway: whoever closed it must not fail by it."""
    try:
        lane = grid.table.read_lane(session.worker)
        wake_if_waiting(grid, lane, session.worker)
        _learn(grid, session, lane, task_seconds)
    except Unavailable as error:
        logger.warning("closing not followed up", session_id=session.session_id, reason=str(error))


def wake_if_waiting(grid: Grid, lane: Lane, worker: str) -> None:
    """Slots of a worker became free. Without the wake-up, the sweeper admits a minute later."""
    if not lane.waiting:
        return
    try:
        grid.dispatcher.wake(worker)
    except Unavailable as error:
        logger.warning("queue not woken, the sweeper will", worker=worker, reason=str(error))


def _learn(grid: Grid, session: Session, lane: Lane, task_seconds: float) -> None:
    counts = session.counts or {}
    settled = counts.get(TaskState.FINISHED, 0)
    if settled and not counts.get(TaskState.FAILED, 0):
        seconds = task_seconds / settled
        grid.table.record_task_seconds(session.worker, lane.task_seconds, seconds)
