"""Packing an input file: lines of JSON become its blocks, and the offsets by which it can be cut.

    lines --> Packing.pack --> blocks, which one after the other are the file
                           `-> Packed: its tasks, its size, where every `stride`-th line begins

The file is never held here: however long it is, packing takes the memory of one block and of some
10,000 offsets. It knows no store, and nothing of what is in a line.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from .contract import MAX_OFFSETS
from .errors import RequestTooLarge

#: A worker holds the input of a chunk in memory, so the grid takes no chunk that is larger.
MAX_CHUNK_BYTES = 16 * 1024 * 1024
#: What lies between two offsets can't be cut, so it may be this much.
MAX_STRIDE_BYTES = 64 * 1024 * 1024
#: Lines are joined when they are so many bytes: enough for the work per block to vanish beside that
#: per line. Or so many lines: short ones take more room as objects than as text.
BLOCK_BYTES = 256 * 1024
BLOCK_LINES = 4_096


@dataclass(slots=True)
class Offsets:
    """Where every `stride`-th line of a file begins, beginning with the first."""

    stride: int = 1
    starts: list[int] = field(default_factory=list)
    #: the most bytes between two of them, or after the last, and the number of the first line there
    widest: int = 0
    widest_at: int = 0

    def note(self, first: int, starts: Sequence[int], end: int) -> None:
        """starts: where the lines from number `first` on begin; those before it were noted.

        end: of the last one.
        """
        known = max(len(self.starts) - 1, 0)
        self.starts += starts[-first % self.stride :: self.stride]
        self._measure(known, end)

    def coarsen(self, most: int, end: int) -> None:
        """Drop every other one until at most `most` are left. end: of the last line."""
        while len(self.starts) > most:
            self.stride *= 2
            self.starts = self.starts[::2]
            self._measure(0, end)

    def _measure(self, known: int, end: int) -> None:
        """Find the widest gap; those before the offset number `known` were measured."""
        gaps = [b - a for a, b in pairwise([*self.starts[known:], end])]
        if gaps and max(gaps) > self.widest:
            self.widest = max(gaps)
            self.widest_at = (known + gaps.index(self.widest)) * self.stride


@dataclass(frozen=True, slots=True)
class Packed:
    """What is known of an input file once it is packed; see contract.UploadedInput."""

    stride: int
    tasks: int
    size: int
    offsets: list[int]
    sha256: str


class Packing:
    """An input file while it is being packed.

    Any number of tasks is cut at up to 10,000 places, and nobody knows the number before the last:
    the stride doubles as they come. A wished chunk size has offsets of its own beside those, since
    no later look at the file could find them.
    """

    def __init__(
        self,
        chunk_size: int | None = None,
        most_offsets: int = MAX_OFFSETS,
        most_between: int = MAX_STRIDE_BYTES,
    ) -> None:
        """chunk_size: the tasks that are wished for each chunk. most_between: bytes between two
        offsets.
        """
        self.tasks = 0
        self.size = 0
        self._chunk_size = chunk_size
        self._most_offsets = most_offsets
        self._most_between = most_between
        self._offsets = Offsets()
        self._wished = Offsets(chunk_size) if chunk_size is not None else None

    def pack(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """The blocks of the file, as the lines come; each line ends with its newline.

        Raises RequestTooLarge naming the first task that no chunk can hold, or those that can't be
        parted and have more bytes than a worker takes; as soon as that is sure.
        """
        block: list[bytes] = []
        size = 0
        for line in lines:
            block.append(line)
            size += len(line)
            if size >= BLOCK_BYTES or len(block) >= BLOCK_LINES:
                yield self._join(block)
                block, size = [], 0
        if block:
            yield self._join(block)

    def finish(self, sha256: str) -> Packed:
        """sha256: of the file."""
        chosen = self._choose()
        stride = min(chosen.stride, max(self.tasks, 1))
        return Packed(stride, self.tasks, self.size, chosen.starts, sha256)

    def _join(self, lines: Sequence[bytes]) -> bytes:
        lengths = list(map(len, lines))
        if max(lengths) > MAX_CHUNK_BYTES:
            position = next(n for n, length in enumerate(lengths) if length > MAX_CHUNK_BYTES)
            check_size(lines[position], f"task {self.tasks + position}")
        starts = list(accumulate(lengths, initial=self.size))
        self.size = starts.pop()
        self._note(starts)
        self.tasks += len(lines)
        return b"".join(lines)

    def _note(self, starts: Sequence[int]) -> None:
        self._offsets.note(self.tasks, starts, self.size)
        self._offsets.coarsen(self._most_offsets, self.size)
        if self._wished is not None:
            self._wished.note(self.tasks, starts, self.size)
            if len(self._wished.starts) > self._most_offsets:
                self._wished = None  # more chunks than there may be
        if not (self._fits(self._offsets) or self._fits(self._wished)):
            raise self._too_wide(self._offsets)

    def _fits(self, offsets: Offsets | None) -> bool:
        """May the file be cut at these? What is too wide now stays so: offsets only get fewer."""
        return offsets is not None and offsets.widest <= self._most_between

    def _too_wide(self, offsets: Offsets) -> RequestTooLarge:
        return RequestTooLarge(
            f"the {offsets.stride} tasks from task {offsets.widest_at} on have "
            f"{offsets.widest:,} bytes of JSON; in a session of so many they can't be parted, and "
            f"{self._most_between:,} is the most that a worker takes: make them smaller, or submit "
            "large tasks as a session of their own"
        )

    def _choose(self) -> Offsets:
        """Those of `stride_of`, unless only the others part what no worker could hold."""
        wished = self._wished
        if wished is None or not self._fits(wished):
            return self._offsets
        stride = stride_of(self.tasks, self.size, self._chunk_size, self._most_offsets)
        finer = self._fits(self._offsets) and stride == self._offsets.stride
        return self._offsets if finer else wished


def stride_of(
    tasks: int, size: int, chunk_size: int | None = None, most_offsets: int = MAX_OFFSETS
) -> int:
    """Of a packed file: chunks can begin at every so many-th of its lines.

    The finer offsets, unless only those of a wished chunk size can grant the wish, and the grid may
    do it. Whoever wants to know how a session would be cut needs no file for it.
    """
    stride = 1
    while tasks > stride * most_offsets:
        stride *= 2
    if chunk_size is None or tasks > chunk_size * most_offsets:
        return stride
    wished = min(chunk_size, tasks)
    aligned, too_large = wished % stride == 0, wished * size > MAX_CHUNK_BYTES * tasks
    return stride if aligned or too_large else wished


def pack(lines: Iterable[bytes], chunk_size: int | None = None) -> tuple[Packed, bytes]:
    """A file that is small enough to be held, and what is known of it; see Packing."""
    packing = Packing(chunk_size)
    data = b"".join(packing.pack(lines))
    return packing.finish(hashlib.sha256(data).hexdigest()), data


def check_size(line: bytes, what: str) -> bytes:
    """The line of one task. Raises RequestTooLarge for one that no chunk can hold."""
    if len(line) > MAX_CHUNK_BYTES:
        raise RequestTooLarge(
            f"{what} has {len(line):,} bytes of JSON, and {MAX_CHUNK_BYTES:,} is the most that a "
            "worker takes; put what is large into a store and send where it is"
        )
    return line
