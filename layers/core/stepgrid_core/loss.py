"""What the recorder does: note that an invocation failed, and what a Map left undone.

worker died --> Catch --> lose --> "again" (claim it anew) or "ended"
Map is over --> settle --> chunk numbers for another round, [] when there are none
"""

from .closing import close, shard_changed
from .ending import end_all
from .invocation import Invocation, SessionFacts, is_current
from .names import shard_of
from .records import Chunk, pending_chunks
from .records import lose as lose_claim
from .recovery import release_expired
from .states import ChunkState
from .wiring import Grid

#: Lambda had no room, or the table or the store did not answer: nobody is to blame, and waiting
#: helps.
BLAMELESS = frozenset(
    {"Lambda.TooManyRequestsException", "TooManyRequestsException", "Unavailable"}
)


def lose(grid: Grid, invocation: Invocation, error: str) -> str:
    """Give back the chunk whose worker died; "again" if it is to be claimed anew, else "ended"."""
    number, slot = shard_of(invocation.chunk)
    shard = grid.table.read_shard(invocation.facts.session_id, number)
    if shard is None:
        return "ended"
    given_back = lose_claim(shard.chunks[slot], invocation.token, error not in BLAMELESS)
    if given_back is not None:
        shard = grid.table.swap_chunk(shard, slot, given_back).shard
        shard_changed(grid, shard, invocation.facts.shards)
    return _answer(shard.chunks[slot])


def _answer(chunk: Chunk) -> str:
    return "again" if chunk.state is ChunkState.PENDING else "ended"


def settle(grid: Grid, facts: SessionFacts) -> list[int]:
    """Chunks that are still pending after a Map, for another round; or containers for them."""
    session = grid.table.read_session(facts.session_id)
    if session is None or session.verdict is not None:
        return []
    now = grid.clock.now()
    if now >= session.deadline_at:
        end_all(grid, session, ChunkState.EXPIRED)
        return []
    shards = [
        release_expired(grid, shard, now) for shard in grid.table.read_shards(session.session_id)
    ]
    close(grid, shards)
    if not is_current(session, facts):
        return []
    pending = pending_chunks(shards)
    if session.container is None:
        return pending
    return list(range(session.containers_for(len(pending))))
