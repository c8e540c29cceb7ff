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
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stepgrid_core.runner_protocol import Page

SLOTS = 8192
_SLOT_WORDS = 3  # end of its text (bytes since the batch began), milliseconds, 1.0 if it failed
_SLOT_BYTES = SLOTS * _SLOT_WORDS * 8
TEXT_BYTES = 1024 * 1024
#: Of the whole memory: page, slots, text.
MEMORY_BYTES = Page.SIZE_BYTES + _SLOT_BYTES + TEXT_BYTES

#: The bell is rung for replies that have waited so long, or are so many bytes.
BELL_SECONDS = 0.005
_BELL_BYTES = TEXT_BYTES // 4
_ROOM_POLL_SECONDS = 0.0005


@dataclass(frozen=True, slots=True)
class Replies:
    """Replies one after the other, as the tasks are in the batch."""

    milliseconds: list[float]
    failed: list[float]  #: 1.0 for a failure, 0.0 for a result
    ends: list[int]  #: of their texts in `text`
    text: bytes

    def __len__(self) -> int:
        return len(self.ends)

    def texts(self, start: int, stop: int) -> bytes:
        """Those of the replies from `start` to before `stop`: output lines, or one error."""
        begin = self.ends[start - 1] if start else 0
        return self.text[begin : self.ends[stop - 1]]

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
        self._slots, self._text = _map_rings(memory)
        self._page = page
        self._ring = ring
        self.begin()

    def begin(self) -> None:
        """A batch starts; the runner has taken all of the one before."""
        self._count = self._written = 0
        self._rung_count = self._rung_bytes = 0
        self._rung_at = 0.0

    def add(self, text: bytes, milliseconds: float, failed: bool = False) -> None:
        """Write the next task's reply; waits for room."""
        written, page = self._written, self._page
        start, end = written % TEXT_BYTES, written + len(text)
        if end - page.taken_bytes <= TEXT_BYTES and start + len(text) <= TEXT_BYTES:
            self._text[start : start + len(text)] = text
            self._written = end
        else:
            self._write_in_pieces(text)
        count = self._count
        if count - page.taken_count >= SLOTS:
            self._await(lambda: count - page.taken_count < SLOTS)
        place = count % SLOTS * _SLOT_WORDS
        slots = self._slots
        slots[place] = end
        slots[place + 1] = milliseconds
        slots[place + 2] = failed
        self._count = page.settled_count = count + 1

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

    def close(self) -> None:
        """Let the memory go."""
        self._slots.release()
        self._text.release()

    def _write_in_pieces(self, text: bytes) -> None:
        rest = memoryview(text)
        while rest:
            room = TEXT_BYTES - (self._written - self._page.taken_bytes)
            if not room:
                self._await(lambda: self._written - self._page.taken_bytes < TEXT_BYTES)
                continue
            start = self._written % TEXT_BYTES
            piece = rest[: min(room, TEXT_BYTES - start)]
            self._text[start : start + len(piece)] = piece
            self._written += len(piece)
            rest = rest[len(piece) :]

    def _await(self, room: Callable[[], bool]) -> None:
        while not room():
            self.ring()
            time.sleep(_ROOM_POLL_SECONDS)


class ReplyReader:
    """The runner's side, over all children that have the memory one after the other."""

    def __init__(self, memory: mmap.mmap, page: Page) -> None:
        self._slots, self._text = _map_rings(memory)
        self._page = page
        self.begin()

    def begin(self) -> None:
        """A batch starts, or starts again in a new child."""
        self._taken = self._read = 0
        self._begun = b""  # of a reply that is not whole

    def take(self, count: int, written: int) -> Replies:
        """Take all replies up to number `count`, and the text up to `written` bytes."""
        slots = self._read_slots(count)
        ends = [int(end) - self._read + len(self._begun) for end in slots[::_SLOT_WORDS]]
        text = self._begun + self._read_text(written)
        whole = ends[-1] if ends else 0
        self._begun = text[whole:]
        self._taken, self._read = count, written
        self._page.mark_taken(count, written)
        return Replies(slots[1::_SLOT_WORDS], slots[2::_SLOT_WORDS], ends, text[:whole])

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


def _map_rings(memory: mmap.mmap) -> "tuple[memoryview[float], memoryview]":
    slots_end = Page.SIZE_BYTES + _SLOT_BYTES
    view = memoryview(memory)
    return view[Page.SIZE_BYTES : slots_end].cast("d"), view[slots_end:]


def _pieces(start: int, stop: int, size: int) -> Sequence[tuple[int, int]]:
    """Where a ring holds what has the positions from `start` to before `stop`."""
    if start == stop:
        return ()
    begin, end = start % size, (stop - 1) % size + 1
    return [(begin, end)] if begin < end else [(begin, size), (0, end)]
