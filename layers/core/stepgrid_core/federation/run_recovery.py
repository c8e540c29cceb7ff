"""Healing the session of a federated task: nothing is dispatched, and no execution asked for.

sweeper --> rows that its creation left out --> claims whose lease has ended --> close
        --> when to look again
"""

from collections.abc import Sequence

from ..closing import close
from ..ending import complete_shards
from ..listing import LOOK_AGAIN_SECONDS
from ..records import Session, Shard
from ..wiring import Grid
from .run_due import look_by
from .run_moves import lose_expired
from .run_rows import note_losses


def revive_runs(grid: Grid, session: Session) -> None:
    """Of an open session before its deadline."""
    now = grid.clock.now()
    shards = complete_shards(grid, session)
    shards = [_lose_expired(grid, session, shard, now) for shard in shards]
    if close(grid, shards) is None and not all(shard.terminal for shard in shards):
        _look_again(grid, session, shards, now)


def _lose_expired(grid: Grid, session: Session, shard: Shard, now: float) -> Shard:
    """A lost race means that its claimant lives, or another one has it."""
    lost = 0
    for slot, chunk in enumerate(shard.chunks):
        new = lose_expired(chunk, now, session.max_attempts)
        if new is not None:
            swap = grid.table.swap_chunk(shard, slot, new)
            shard, lost = swap.shard, lost + swap.won
    if lost:
        note_losses(grid, session, lost)
    return shard


def _look_again(grid: Grid, session: Session, shards: Sequence[Shard], now: float) -> None:
    """What happened between the look and this write must not be put off by it."""
    grid.table.postpone(session.session_id, look_by(session, shards, now))
    if grid.table.read_shards(session.session_id) != shards:
        grid.table.postpone(session.session_id, now + LOOK_AGAIN_SECONDS)
