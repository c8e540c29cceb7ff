"""The words for how far a run or a task is, as vantage6 has them. Pure.

A run's chunk row is the truth; its record, which is written beside it, says it in more words.
"""

from collections.abc import Iterable

from ..records import Chunk
from ..states import ChunkState
from .records import RunRecord

PENDING = "pending"  #: nobody has begun: its node is offline, or busy
INITIALIZING = "initializing"
ACTIVE = "active"
COMPLETED = "completed"
FAILED = "failed"
START_FAILED = "start failed"
NO_IMAGE = "non-existing Docker image"
CRASHED = "crashed"
KILLED = "killed by user"
NOT_ALLOWED = "not allowed"
UNKNOWN_ERROR = "unknown error"

OPEN = frozenset({PENDING, INITIALIZING, ACTIVE})

#: Of rows that nobody committed.
_ENDED = {
    ChunkState.CANCELLED: KILLED,
    ChunkState.LOST: UNKNOWN_ERROR,
}


def has_failed(status: str) -> bool:
    """Also a status that a newer node made up."""
    return status not in OPEN and status != COMPLETED


def has_ended(status: str) -> bool:
    return status not in OPEN


def status_of(chunk: Chunk, record: RunRecord | None) -> str:
    """Of a run, whose record may be behind its row, or of an earlier attempt."""
    said = record.status if record is not None and record.attempt == chunk.attempt else None
    if chunk.state is ChunkState.ENDED:
        if chunk.finished:
            return COMPLETED
        return said if said is not None and has_failed(said) else FAILED
    if chunk.terminal:
        return _ENDED.get(chunk.state, FAILED)
    if chunk.state is ChunkState.RUNNING:
        return said if said in (INITIALIZING, ACTIVE) else INITIALIZING
    return PENDING


def task_status(statuses: Iterable[str]) -> str:
    """Of a task: what its failed runs have in common, else the liveliest of its runs."""
    found = set(statuses)
    failures = {status for status in found if has_failed(status)}
    if failures:
        return failures.pop() if len(failures) == 1 else FAILED
    for status in (ACTIVE, INITIALIZING, PENDING):
        if status in found:
            return status
    return COMPLETED
