"""What a worker may make of a row that it holds, where it cannot be trusted to know. Pure.

Whoever runs user code at a distance from the table says what its row is to become: here is asked
whether a worker could have made that of it, and whether all who read the row then get along.
"""

import re

from .records import Chunk, Output
from .states import ChunkState

#: What comes of a row in the hands of its worker; the rest is others' to write.
OF_WORKERS = frozenset(
    {
        ChunkState.RUNNING,
        ChunkState.PENDING,
        ChunkState.ENDED,
        ChunkState.EXPIRED,
        ChunkState.UNREADABLE,
        ChunkState.LOST,
    }
)
#: No honest number is larger.
MOST = 2**53
_DIGEST = re.compile(r"[0-9A-Za-z_=+/-]{0,64}")


def may_become(old: Chunk, new: Chunk) -> bool:
    """May the one who holds `old` write `new`? What is settled stays so, and counts add up."""
    holds = new.state is ChunkState.RUNNING
    return (
        _is_row(old)
        and _is_row(new)
        and new.state in OF_WORKERS
        and (new.tasks, new.attempt) == (old.tasks, old.attempt)
        and (new.token, new.lease_until) == ((old.token, old.lease_until) if holds else ("", 0))
        and new.finished >= old.finished
        and new.failed >= old.failed
        and new.unsettled >= new.retrying
        and (new.unsettled == 0 or new.state is not ChunkState.ENDED)
        and (new.output is not None or new.unsettled == new.tasks)
    )


def is_count(value: object, most: int = MOST) -> bool:
    """A whole number from 0 on; True is none."""
    return type(value) is int and 0 <= value <= most


def _is_row(chunk: Chunk) -> bool:
    """Can the table keep it, and everybody read it?"""
    numbers = (
        chunk.tasks,
        chunk.attempt,
        chunk.lease_until,
        chunk.finished,
        chunk.failed,
        chunk.retrying,
        chunk.losses,
        chunk.idle_losses,
        chunk.suspect_starts,
        chunk.milliseconds,
    )
    offset = chunk.suspect is None or is_count(chunk.suspect, chunk.tasks - 1)
    return all(map(is_count, numbers)) and offset and _is_output(chunk.output)


def _is_output(output: Output | None) -> bool:
    if output is None:
        return True
    numbers = (output.attempt, output.part, output.size)
    digest = isinstance(output.digest, str) and _DIGEST.fullmatch(output.digest) is not None
    return all(map(is_count, numbers)) and digest
