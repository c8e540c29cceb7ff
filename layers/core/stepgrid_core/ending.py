"""Ending a session from outside: every chunk that is not over gets the same terminal state.

A submit that was cut off has not written all shards: they are made first. Otherwise their tasks
would be in no count, and a submit that is still at work would add chunks to a closed session.
"""

from collections.abc import Sequence
from dataclasses import replace
from secrets import token_hex

from .closing import close
from .federation.kill_orders import order_kill
from .ports import Swap
from .records import Session, Shard, end
from .sharding import shards_from_blob
from .states import ChunkState
from .wiring import Grid


def end_all(grid: Grid, session: Session, state: ChunkState) -> list[tuple[Shard, Shard]]:
    """End all open chunks, then the session. Answers the shards that this call changed: old, new.

    What a worker committed before stays; what it holds is refused when it commits.
    """
    shards, nonce = complete_shards(grid, session), token_hex(4)
    changed = grid.each(lambda shard: _end_shard(grid, shard, state, nonce), shards)
    close(grid, grid.table.read_shards(session.session_id))
    done = [pair for pair in changed if pair is not None]
    if session.federation is not None and done:
        order_kill(grid, session.federation, _ended(done))
    return done


def _ended(changed: Sequence[tuple[Shard, Shard]]) -> list[int]:
    """The chunks that were open."""
    return sorted(
        old.number_of(slot)
        for old, _ in changed
        for slot, chunk in enumerate(old.chunks)
        if not chunk.terminal
    )


def complete_shards(grid: Grid, session: Session) -> list[Shard]:
    """All shards, after those which the submit left out were made from its blob."""
    shards = grid.table.read_shards(session.session_id)
    if len(shards) == session.shards:
        return shards
    blob = grid.table.read_blob(session.session_id, session.blob_id)
    grid.table.create_shards(session, shards_from_blob(session, blob))
    return grid.table.read_shards(session.session_id)


def _end_shard(
    grid: Grid, shard: Shard, state: ChunkState, nonce: str
) -> tuple[Shard, Shard] | None:
    """A lost race is a worker's write, of which there are finitely many: so the loop ends."""
    while not shard.terminal:
        chunks = tuple(end(chunk, state, nonce) or chunk for chunk in shard.chunks)
        new = replace(shard, chunks=chunks)
        swap: Swap = grid.table.swap_shard(shard, new)
        if swap.won:
            return shard, new
        shard = swap.shard
    return None
