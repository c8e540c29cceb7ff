"""Holding the chunks of a session back, and letting them go: the rows' part of pause and resume.

Only chunks that nobody has claimed are held. One that runs goes on, and is held by the sweeper if
its worker hands it back.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from .records import Chunk, Session, Shard, hold, unhold
from .wiring import Grid


def hold_chunks(grid: Grid, shards: Sequence[Shard]) -> list[Shard]:
    """From then on nobody claims a chunk of these shards that is not running."""
    return grid.each(lambda shard: _change(grid, shard, hold), shards)


def let_chunks_go(grid: Grid, session: Session, shards: Sequence[Shard]) -> list[Shard] | None:
    """From then on the held chunks of a session that has slots may be claimed; answers its shards.

    None if it lost its slots in between: whoever paused it may have held its chunks too early, and
    they are held again. Only where a chunk was held there is anything to look at.
    """
    freed = grid.each(lambda shard: _change(grid, shard, unhold), shards)
    if all(one == other for one, other in zip(freed, shards, strict=True)):
        return freed
    now = grid.table.read_session(session.session_id)
    if now is None or now.verdict is not None:
        return None
    if now.paused or now.waiting:
        hold_chunks(grid, freed)
        return None
    return freed


def _change(grid: Grid, shard: Shard, move: Callable[[Chunk], Chunk | None]) -> Shard:
    """A lost race is a worker's write, of which there are finitely many: so the loop ends."""
    while True:
        new = replace(shard, chunks=tuple(move(chunk) or chunk for chunk in shard.chunks))
        if new == shard:
            return shard
        swap = grid.table.swap_shard(shard, new)
        shard = swap.shard
        if swap.won:
            return shard
