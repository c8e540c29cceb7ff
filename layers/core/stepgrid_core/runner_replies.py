"""The replies of a batch, in memory that the child writes and the runner reads.

    slots  │ end, milliseconds, failed │ end, milliseconds, failed │ ...   a ring of fixed size
    text   │ {"i":7,"state":"finished", ... }\\n{"i":8, ...                a ring of bytes

A reply is whole once it is counted in the page: from then on it survives the child, however that
ends, without a system call for each task. A bell on the pipe says how many may be taken; at the
latest after `BELL_SECONDS` of quick tasks. A reply longer than the ring passes through it piece by
piece.

The child counts after it wrote. Another processor may see the two stores in the other order
(arm64), so the runner takes a count only from a bell (a pipe orders them), after a pause, or after
the child's death. This module imports only the standard library.
"""

import mmap
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stepgrid_core.runner_protocol import Page

SLOTS = 8192
TEXT_BYTES = 1024 * 1024
#: End of its text (bytes since the batch began), milliseconds, 1.0 if the task failed.
_SLOT = struct.Struct("ddd")
_SLOT_WORDS = 3
_SLOTS_START = Page.SIZE_BYTES
_TEXT_START = _SLOTS_START + SLOTS * _SLOT.size
#: Of the whole memory: page, slots, text.
MEMORY_BYTES = _TEXT_START + TEXT_BYTES

#: The bell is rung for replies that have waited so long, or are so many bytes.
BELL_SECONDS = 0.005
_BELL_BYTES = TEXT_BYTES // 4
_ROOM_POLL_SECONDS = 0.0005


@dataclass(frozen=True, slots=True)
class Replies:
    """Replies one after the other, as the tasks are in the batch."""

    milliseconds: list[float]
    failed: list[float]  #: 1.0 for a failure, 0.0 for a result
    ends: list[float]  #: of their texts, in bytes since the batch began
    text: bytes
    begin: int = 0  #: of the first text

    def __len__(self) -> int:
        return len(self.ends)

    def texts(self, start: int, stop: int) -> bytes:
        """Those of the replies from `start` to before `stop`: output lines, or one error."""
        begin = int(self.ends[start - 1]) - self.begin if start else 0
        return self.text[begin : int(self.ends[stop - 1]) - self.begin]

    def first_failure(self, start: int) -> int:
        """Number of the first failed reply from `start` on; the number of all if there is none."""
        try:
            return self.failed.index(1.0, start)
        except ValueError:
            return len(self)


class ReplyWriter:
    """The child's side."""

    def __init__(self, memory: mmap.mmap, page: Page, ring: Callable[[int, int], None]) -> None:
        """ring: gets the replies that are whole, and the bytes written of all of them."""
        self._memory = memory
        self._page = page
        self._ring = ring
        self.begin()

    def begin(self) -> None:
        """A batch starts; the runner has taken all of the one before."""
        self._count = self._written = 0
        self._most_count, self._most_written = SLOTS, TEXT_BYTES
        self._rung_count = self._rung_bytes = 0
        self._rung_at = 0.0

    def add(self, text: bytes, milliseconds: float, failed: bool = False) -> None:
        """Write the next task's reply; waits for room."""
        count, size = self._count, len(text)
        start, end = self._written % TEXT_BYTES, self._written + size
        if end <= self._most_written and start + size <= TEXT_BYTES:
            start += _TEXT_START
            self._memory[start : start + size] = text
            self._written = end
        else:
            self._write_in_pieces(text)
        if count == self._most_count:
            self._await_room(count + 1, 0)
        place = _SLOTS_START + count % SLOTS * _SLOT.size
        _SLOT.pack_into(self._memory, place, end, milliseconds, failed)
        self._count = self._page.settled_count = count + 1

    def ring_if_due(self, now: float) -> None:
        """now: monotonic seconds."""
        if now - self._rung_at >= BELL_SECONDS or self._written - self._rung_bytes >= _BELL_BYTES:
            self._rung_at = now
            self.ring()

    def ring(self) -> None:
        """Tell of all that was written, if anything was since the last time."""
        if (self._count, self._written) != (self._rung_count, self._rung_bytes):
            self._rung_count, self._rung_bytes = self._count, self._written
            self._ring(self._count, self._written)

    def _write_in_pieces(self, text: bytes) -> None:
        rest = memoryview(text)
        while rest:
            self._await_room(0, self._written + 1)
            start = self._written % TEXT_BYTES
            piece = rest[: min(self._most_written - self._written, TEXT_BYTES - start)]
            start += _TEXT_START
            self._memory[start : start + len(piece)] = piece
            self._written += len(piece)
            rest = rest[len(piece) :]

    def _await_room(self, count: int, written: int) -> None:
        """Wait until there may be so many replies, and bytes of them."""
        while True:
            self._most_count = self._page.taken_count + SLOTS
            self._most_written = self._page.taken_bytes + TEXT_BYTES
            if self._most_count >= count and self._most_written >= written:
                return
            self.ring()
            time.sleep(_ROOM_POLL_SECONDS)


class ReplyReader:
    """The runner's side, over all children that have the memory one after the other."""

    def __init__(self, memory: mmap.mmap, page: Page) -> None:
        view = memoryview(memory)
        self._slots = view[_SLOTS_START:_TEXT_START].cast("d")
        self._text = view[_TEXT_START:]
        self._page = page
        self.begin()

    def begin(self) -> None:
        """A batch starts, or starts again in a new child."""
        self._taken = self._read = 0
        self._begun = b""  # of a reply that is not whole

    def take(self, count: int, written: int) -> Replies:
        """Take all replies up to number `count`, and the text up to `written` bytes."""
        slots = self._read_slots(count)
        ends, begin = slots[::_SLOT_WORDS], self._read - len(self._begun)
        text = self._begun + self._read_text(written)
        whole = int(ends[-1]) - begin if ends else 0
        self._begun = text[whole:]
        self._taken, self._read = count, written
        self._page.mark_taken(count, written)
        return Replies(slots[1::_SLOT_WORDS], slots[2::_SLOT_WORDS], ends, text[:whole], begin)

    def take_counted(self, count: int) -> Replies:
        """Take what the page counted; not before the stores that came before it are to be seen."""
        if count <= self._taken:
            return Replies([], [], [], b"")
        end = self._slots[(count - 1) % SLOTS * _SLOT_WORDS]
        return self.take(count, max(int(end), self._read))

    def close(self) -> None:
        """Let the memory go."""
        self._slots.release()
        self._text.release()

    def _read_slots(self, count: int) -> list[float]:
        words: list[float] = []
        for start, stop in _pieces(self._taken, count, SLOTS):
            words += self._slots[start * _SLOT_WORDS : stop * _SLOT_WORDS].tolist()
        return words

    def _read_text(self, written: int) -> bytes:
        pieces = _pieces(self._read, written, TEXT_BYTES)
        return b"".join(self._text[start:stop] for start, stop in pieces)


def _pieces(start: int, stop: int, size: int) -> Sequence[tuple[int, int]]:
    """Where a ring holds what has the positions from `start` to before `stop`."""
    if start == stop:
        return ()
    begin, end = start % size, (stop - 1) % size + 1
    return [(begin, end)] if begin < end else [(begin, size), (0, end)]
