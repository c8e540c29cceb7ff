"""Pure: from chunk boundaries to shard records, and back from what was stored with a session.

`boundaries` are the bytes where each chunk begins in the session's input, and the input's end.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import pairwise

from .names import CHUNKS_PER_SHARD
from .records import Chunk, Session, Shard


def make_shards(session: Session, boundaries: Sequence[int]) -> list[Shard]:
    """All shards of a session, with nothing claimed yet."""
    chunks = [Chunk(tasks) for tasks in session.layout.sizes()]
    return [
        _shard(session.session_id, number, chunks[first:last], boundaries[first : last + 1])
        for number, first, last in _spans(session.chunks)
    ]


def _spans(chunks: int) -> Iterator[tuple[int, int, int]]:
    """Each shard's number, its first chunk, and the first one after it."""
    for number, first in enumerate(range(0, chunks, CHUNKS_PER_SHARD)):
        yield number, first, min(first + CHUNKS_PER_SHARD, chunks)


def _shard(session_id: str, number: int, chunks: Sequence[Chunk], edges: Sequence[int]) -> Shard:
    return Shard(
        session_id=session_id,
        number=number,
        chunks=tuple(chunks),
        start=edges[0],
        lengths=tuple(b - a for a, b in pairwise(edges)),
    )


def cut_lines(lines: bytes | None, boundaries: Sequence[int]) -> list[str] | None:
    """The lines of each chunk, as they travel in the execution input of a burst."""
    if lines is None:
        return None
    return [lines[a:b].decode() for a, b in pairwise(boundaries)]


def make_blob(boundaries: Sequence[int], lines: bytes | None) -> bytes:
    """What is stored beside the session, so that its shards can be made again."""
    return lines if lines is not None else json.dumps(list(boundaries)).encode()


def shards_from_blob(session: Session, blob: bytes) -> list[Shard]:
    if session.input.key is not None:
        return make_shards(session, json.loads(blob))
    starts = [0]
    for line in blob.split(b"\n")[:-1]:
        starts.append(starts[-1] + len(line) + 1)
    return make_shards(session, [starts[task] for task in session.layout.first_tasks()])
