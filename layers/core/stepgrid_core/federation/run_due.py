"""When the sweeper has to look at the session of a federated task. Pure.

While nobody holds a run there is nothing to heal, and a session may wait for months: it is looked
at once a day, in case that whoever claimed a run died before it said so here. While runs are held,
it is looked at when the first lease ends; if the lease was made longer meanwhile, that look is all
that it costs.
"""

from collections.abc import Iterable

from ..records import Session, Shard
from ..states import ChunkState

WAITING_LOOK_SECONDS = 86_400.0


def look_by(session: Session, shards: Iterable[Shard], now: float | None = None) -> float:
    """By the rows that are given. now: None where a row was claimed just now."""
    leases = [
        chunk.lease_until
        for shard in shards
        for chunk in shard.chunks
        if chunk.state is ChunkState.RUNNING
    ]
    waiting = [] if now is None else [now + WAITING_LOOK_SECONDS]
    return min([session.deadline_at, *leases, *waiting])
