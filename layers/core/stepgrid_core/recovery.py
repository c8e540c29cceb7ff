"""Healing: whatever is past its time is retried, failed or closed.

    sweeper (every minute) --> due sessions --> close | expire | finish the cancel | admit |
                                                     release | revive
    end of the Map         --> settle       --> chunk numbers that are still to run

A session is looked at again and again until it is closed and its closing was published. Deciding
is pure (`next_dispatch`); the rest carries out what was decided.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from .admission import admit_waiting
from .announcement import announce, tell
from .closing import close
from .dependencies import release
from .ending import complete_shards, end_all
from .federation.run_recovery import revive_runs
from .holding import hold_chunks, let_chunks_go
from .listing import LOOK_AGAIN_SECONDS
from .planning import EXPRESS_LIFE_SECONDS
from .ports import Dispatch, ExecutionState
from .records import Chunk, Session, Shard, expire_lease, pending_chunks
from .session_events import started
from .states import ChunkState
from .telemetry import logger
from .wiring import Grid

#: Sessions that are listed at once, and how long a sweep goes on listing (its Lambda has 55 s).
SWEEP_LIMIT = 200
SWEEP_SECONDS = 30.0

TakeOver = Callable[[Session], bool]


def sweep(grid: Grid, take_over: TakeOver = lambda _: False) -> int:
    """Look at every session whose time has come; answers how many those were.

    One that can't be healed now must not keep the others waiting: its error is logged, and it is
    looked at again a minute later. A queue is looked at once, however many sessions wait in it.
    take_over: answers whether a session is somebody else's to look after.
    """
    give_up_at = grid.clock.monotonic() + SWEEP_SECONDS
    looked_at, queues = set[str](), set[str]()
    while due := _due(grid, looked_at):
        for session_id in due:
            _try(lambda name: _look_after(grid, name, queues, take_over), session_id)
        looked_at.update(due)
        if grid.clock.monotonic() >= give_up_at:
            break
    for worker in queues:
        _try(lambda name: admit_waiting(grid, name), worker)
    return len(looked_at)


def _due(grid: Grid, looked_at: set[str]) -> list[str]:
    """The index may still tell of those that were looked at a moment ago."""
    due = grid.table.due_sessions(grid.clock.now(), SWEEP_LIMIT)
    return [session_id for session_id in due if session_id not in looked_at]


def _try(heal: Callable[[str], object], name: str) -> None:
    try:
        heal(name)
    except Exception:
        logger.exception("could not be healed", what=name)


def _look_after(grid: Grid, session_id: str, queues: set[str], take_over: TakeOver) -> None:
    """Notes the worker whose queue a session is in; who waits needs nothing else until then."""
    session = grid.table.read_session(session_id)
    if session is None:
        return
    now = grid.clock.now()
    # First: one that can't be healed must not be at the head of the queue for ever.
    grid.table.postpone(session_id, next_look(session, now))
    if take_over(session):
        return
    if session.verdict is not None:
        announce(grid, session)
    elif session.cancelling:
        end_all(grid, session, ChunkState.CANCELLED)
    elif session.waiting and now < session.deadline_at:
        queues.add(session.lane)
    else:
        revive(grid, session)


def next_look(session: Session, now: float) -> float:
    return min(now + LOOK_AGAIN_SECONDS, max(session.deadline_at, now + 1))


def revive(grid: Grid, session: Session) -> None:
    """Finish whatever prefix of submitting, running or closing the session was left at."""
    if session.verdict is not None:
        return
    now = grid.clock.now()
    if now >= session.deadline_at:
        end_all(grid, session, ChunkState.EXPIRED)
        if session.dispatches:  # else a large Map calls a worker for each chunk that is left
            grid.dispatcher.stop(session)
        return
    if session.federation is not None:
        revive_runs(grid, session)
    elif session.blocked:
        release(grid, session)
    else:
        _revive_chunks(grid, session, now)


def _revive_chunks(grid: Grid, session: Session, now: float) -> None:
    """Of a session whose chunks executions run."""
    shards = complete_shards(grid, session)
    shards = [release_expired(grid, shard, now) for shard in shards]
    if close(grid, shards) is not None:
        return
    if session.paused:
        hold_chunks(grid, shards)
    elif session.waiting:
        admit_waiting(grid, session.lane)
    else:
        _go_on(grid, session, shards, now)


def _go_on(grid: Grid, session: Session, shards: Sequence[Shard], now: float) -> None:
    """See to it that an execution is at work on what is left."""
    freed = let_chunks_go(grid, session, shards)
    if freed is None:
        return
    number = next_dispatch(session, freed, grid.dispatcher.look(session), now)
    if number is not None:
        _dispatch(grid, session, number, pending_chunks(freed), now)


def next_dispatch(
    session: Session, shards: Sequence[Shard], execution: ExecutionState, now: float
) -> int | None:
    """Number of the execution to start now, or None if the one there is still at work.

    An EXPRESS execution can't be asked; it lives five minutes. One whose chunks nobody ever
    claimed is started again under its own number: a second start does no harm.
    """
    if not pending_chunks(shards):
        return None
    if execution is ExecutionState.UNKNOWN:
        untouched = all(chunk == Chunk(chunk.tasks) for shard in shards for chunk in shard.chunks)
        old = now - session.dispatched_at >= EXPRESS_LIFE_SECONDS
        if not untouched:
            execution = ExecutionState.ENDED if old else ExecutionState.RUNNING
    if execution is ExecutionState.RUNNING:
        return None
    return session.dispatches + (execution is ExecutionState.ENDED)


def _dispatch(grid: Grid, session: Session, number: int, chunks: list[int], now: float) -> None:
    if number > session.dispatches:
        due = now + LOOK_AGAIN_SECONDS
        if not grid.table.mark_dispatched(session.session_id, number, now, due):
            return
        session = replace(session, dispatches=number, dispatched_at=now)
    logger.info("session dispatched again", session_id=session.session_id, dispatch=number)
    grid.dispatcher.start(Dispatch(session, number, chunks))
    if number <= 1:
        tell(grid, started(session))


def release_expired(grid: Grid, shard: Shard, now: float) -> Shard:
    """Take every claim away whose lease ran out; a lost race means that somebody else moved it."""
    for slot, chunk in enumerate(shard.chunks):
        released = expire_lease(chunk, now)
        if released is not None:
            shard = grid.table.swap_chunk(shard, slot, released).shard
    return shard
