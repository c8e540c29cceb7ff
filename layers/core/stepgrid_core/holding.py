"""Holding the chunks of a session back, and letting them go: the rows' part of pause and resume.

Only chunks that nobody has claimed are held. One that runs goes on, and is held by the sweeper if
its worker hands it back.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from .records import Chunk, Shard, hold, unhold
from .wiring import Grid


def hold_chunks(grid: Grid, shards: Sequence[Shard]) -> list[Shard]:
    """From then on nobody claims a chunk of these shards that is not running."""
    return grid.each(lambda shard: _change(grid, shard, hold), shards)


def unhold_chunks(grid: Grid, shards: Sequence[Shard]) -> list[Shard]:
    return grid.each(lambda shard: _change(grid, shard, unhold), shards)


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
