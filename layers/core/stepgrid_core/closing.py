"""The latch: the commit that completes the last shard closes the session and tells the world.

    last chunk of a shard --> latch(shard) --> set is full --> close --> publish --> postpone(None)
                                                                 |--> wake whoever waits
                                                                 `--> release its dependents
    the only chunk ----------> commit_and_close, by one write -----------^

Any step may be repeated, and every crash in between is healed by whoever comes next: another
commit, the end of the Map, or the sweeper. Does not wait for the workflow: a distributed Map
reports its end seconds after its last child.
"""

from collections.abc import Sequence

from .announcement import announce_if_possible
from .errors import Unavailable
from .metrics import closing_values
from .ports import Closing, RowSwap
from .records import Ending, Session, Shard, count, verdict, work
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
    closing = grid.table.close_session(shards[0].session_id, _ending(grid, shards))
    return None if closing is None else _follow_up(grid, closing, shards)


def commit_and_close(grid: Grid, session: Session, commit: RowSwap) -> Session | None:
    """Write the row of a session's only chunk, which ends it, and close the session with it.

    `session` is as it was dispatched. None if something is not as it was then, or if there was no
    answer: then the row is to be written alone, and the session closed by `shard_changed`. Many
    who begin and end at once must not keep a worker from its commit.
    """
    shards = [commit.after]
    try:
        closing = grid.table.commit_and_close(session, commit, _ending(grid, shards))
    except Unavailable as error:
        logger.warning("not closed at once", session_id=session.session_id, reason=str(error))
        return None
    return None if closing is None else _follow_up(grid, closing, shards)


def _ending(grid: Grid, shards: Sequence[Shard]) -> Ending:
    chunks = [chunk for shard in shards for chunk in shard.chunks]
    return Ending(verdict(chunks), count(chunks), grid.clock.now(), work(shards))


def _follow_up(grid: Grid, closing: Closing, shards: Sequence[Shard]) -> Session:
    """What is good to do after an end that stands anyway: whoever closed it must not fail by it."""
    session = closing.session
    chunks = [chunk for shard in shards for chunk in shard.chunks]
    logger.info("session closed", session_id=session.session_id, state=session.verdict)
    values = closing_values(session, chunks)
    grid.metrics.emit(session.worker, values, session_id=session.session_id)
    announce_if_possible(grid, session)
    if closing.others_wait:
        wake(grid, session.lane)
    if session.has_dependents:
        _release_dependents(grid, session.session_id)
    return session


def _release_dependents(grid: Grid, session_id: str) -> None:
    """Elsewhere: a worker may close a session, but start none. Else the sweeper releases them."""
    try:
        grid.dispatcher.release(session_id)
    except Unavailable as error:
        logger.warning("dependents not released", session_id=session_id, reason=str(error))


def wake(grid: Grid, worker: str) -> None:
    """Slots of a worker became free. Without the wake-up, the sweeper admits a minute later."""
    try:
        grid.dispatcher.wake(worker)
    except Unavailable as error:
        logger.warning("queue not woken, the sweeper will", worker=worker, reason=str(error))
