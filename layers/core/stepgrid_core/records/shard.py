"""Shard: the rows that are stored together, and what they tell as a whole."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from ..names import CHUNKS_PER_SHARD
from ..states import ChunkState
from ..task_time import Measurement, measure
from .chunk import Chunk


@dataclass(frozen=True, slots=True)
class Shard:
    """Up to 16 chunk rows, stored as one item."""

    session_id: str
    number: int
    chunks: tuple[Chunk, ...]
    #: byte range of each chunk in the session's input object: start of the first, then lengths
    start: int = 0
    lengths: tuple[int, ...] = ()
    #: small outputs kept in the item itself, by slot
    inline: dict[int, bytes] = field(default_factory=dict)
    first_claim_at: float | None = None  #: epoch seconds; the first claim of any of its rows

    def as_dict(self) -> dict[str, Any]:
        """In values that JSON knows, without the outputs kept in it.

        `read` makes it again, of this version or a newer one: a container may outlive a deployment.
        """
        return {
            "session_id": self.session_id,
            "number": self.number,
            "chunks": [chunk.as_dict() for chunk in self.chunks],
            "start": self.start,
            "lengths": list(self.lengths),
            "first_claim_at": self.first_claim_at,
        }

    @classmethod
    def read(cls, values: dict[str, Any]) -> "Shard":
        chunks = tuple(Chunk.read(chunk) for chunk in values["chunks"])
        known = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
        return cls(**{**known, "chunks": chunks, "lengths": tuple(values["lengths"])})

    @property
    def terminal(self) -> bool:
        return all(chunk.terminal for chunk in self.chunks)

    def number_of(self, slot: int) -> int:
        return self.number * CHUNKS_PER_SHARD + slot

    def byte_range(self, slot: int) -> tuple[int, int]:
        """First byte and length of the chunk's lines in the input object."""
        return self.start + sum(self.lengths[:slot]), self.lengths[slot]

    def with_chunk(self, slot: int, chunk: Chunk, inline: bytes | None = None) -> "Shard":
        chunks = (*self.chunks[:slot], chunk, *self.chunks[slot + 1 :])
        kept = self.inline if inline is None else {**self.inline, slot: inline}
        return replace(self, chunks=chunks, inline=kept)


def pending_chunks(shards: Iterable[Shard]) -> list[int]:
    """Numbers of the chunks that may be claimed."""
    return [
        shard.number_of(slot)
        for shard in shards
        for slot, chunk in enumerate(shard.chunks)
        if chunk.state is ChunkState.PENDING
    ]


@dataclass(frozen=True, slots=True)
class Work:
    """What the shards of a session tell of the time that it took."""

    first_claim_at: float | None = None  #: epoch seconds; None: nothing was claimed
    task_seconds: float = 0.0  #: in user code, of the settled tasks
    measurement: Measurement | None = None  #: what is learned of the worker, if anything


NO_WORK = Work()


def work(shards: Iterable[Shard]) -> Work:
    """Of the shards of one session, whether it is closed or not."""
    shards = list(shards)
    claims = [shard.first_claim_at for shard in shards if shard.first_claim_at is not None]
    chunks = [chunk for shard in shards for chunk in shard.chunks]
    seconds = sum(chunk.milliseconds for chunk in chunks) / 1000
    # A task that has failed, perhaps early, is no measure, and can't be told from its neighbours.
    sound = [(chunk.milliseconds / 1000, chunk.finished) for chunk in chunks if not chunk.failed]
    return Work(min(claims, default=None), seconds, measure(sound))
