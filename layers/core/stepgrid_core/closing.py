"""The latch: the commit that completes the last shard closes the session and tells the world.

    last chunk of a shard --> latch(shard) --> set is full --> close --> publish --> postpone(None)

Any step may be repeated, and every crash in between is healed by whoever comes next: another
commit, the end of the Map, or the sweeper. Does not wait for the workflow: a distributed Map
reports its end seconds after its last child.
"""

from collections.abc import Sequence

from .errors import Unavailable
from .ports import StateTable
from .records import Session, Shard, count, verdict
from .states import TaskState
from .telemetry import logger
from .wiring import Grid


def shard_changed(grid: Grid, shard: Shard, shards: int) -> None:
    """Call after every write that may have ended a shard; `shards` is how many the session has."""
    if not shard.terminal:
        return
    if shards == 1:
        close(grid, [shard])
        return
    # Not the session's own end, which a worker does not know: a little later does no harm.
    expires_at = int(grid.clock.now()) + grid.settings.retention_days * 86_400
    if grid.table.latch(shard.session_id, shard.number, expires_at) >= shards:
        close(grid, grid.table.read_shards(shard.session_id))


def close(grid: Grid, shards: Sequence[Shard]) -> Session | None:
    """Close the session whose shards these are (all, in order), if all are terminal."""
    if not all(shard.terminal for shard in shards):
        return None
    chunks = [chunk for shard in shards for chunk in shard.chunks]
    session = grid.table.close_session(
        shards[0].session_id, verdict(chunks), count(chunks), grid.clock.now()
    )
    if session is not None:
        logger.info("session closed", session_id=session.session_id, state=session.verdict)
        _announce_if_possible(grid, session)
        _learn(grid.table, session, sum(chunk.milliseconds for chunk in chunks))
    return session


def _announce_if_possible(grid: Grid, session: Session) -> None:
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
    """Publish the closing; only then the sweeper may forget the session."""
    grid.events.publish(session)
    grid.table.postpone(session.session_id, None)


def _learn(table: StateTable, session: Session, milliseconds: int) -> None:
    counts = session.counts or {}
    settled = counts.get(TaskState.FINISHED, 0)
    if settled and not counts.get(TaskState.FAILED, 0):
        table.record_task_seconds(session.worker, milliseconds / 1000 / settled)
