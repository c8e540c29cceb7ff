"""Session, Shard and Chunk: frozen records, and the pure moves from an old record to a new one.

A chunk row is the unit of every race in the grid. A move takes the row that was read and answers
the row to write, or None where the move is not allowed; the state table then swaps the one for the
other only if nothing changed in between. All rules live here, the table knows none of them.

This package knows no I/O, no clock and no wire format.
"""

from .chunk import (
    MAX_IDLE_LOSSES,
    TOKEN_LENGTH,
    Chunk,
    Output,
    Settled,
    checkpoint,
    claim,
    commit,
    count,
    end,
    expire_lease,
    hold,
    idle,
    lose,
    mark,
    open_state,
    release,
    renew,
    unhold,
    verdict,
)
from .container import NO_ANSWER, ContainerSize, ContainerUse, is_claimed_by, puller_token
from .federation import FederationFacts
from .job import KILLED_BY_REQUEST, WALLTIME_EXCEEDED, JobFacts, JobFile, JobRecord
from .session import CommonRef, Ending, InputRef, Session, closed, lane_name, untouched
from .shard import NO_WORK, Shard, Work, pending_chunks, work

__all__ = [
    "KILLED_BY_REQUEST",
    "MAX_IDLE_LOSSES",
    "NO_ANSWER",
    "NO_WORK",
    "TOKEN_LENGTH",
    "WALLTIME_EXCEEDED",
    "Chunk",
    "CommonRef",
    "ContainerSize",
    "ContainerUse",
    "Ending",
    "FederationFacts",
    "InputRef",
    "JobFacts",
    "JobFile",
    "JobRecord",
    "Output",
    "Session",
    "Settled",
    "Shard",
    "Work",
    "checkpoint",
    "claim",
    "closed",
    "commit",
    "count",
    "end",
    "expire_lease",
    "hold",
    "idle",
    "is_claimed_by",
    "lane_name",
    "lose",
    "mark",
    "open_state",
    "pending_chunks",
    "puller_token",
    "release",
    "renew",
    "unhold",
    "untouched",
    "verdict",
    "work",
]
