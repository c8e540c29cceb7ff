"""What the runner and its child say to each other: two pipes, and memory that both map.

    runner ══ batch header, common input, spans of task lines ══▶ child      request pipe
    runner ◀══ READY or REFUSED, then bells ═════════════════════ child      reply pipe
    runner ── the page: until when a task may start, which one runs ── child     memory
    runner ◀─ replies, see `runner_replies` ──────────────────────── child     memory

Nothing is said for one task alone: its line travels in a block of many, and its reply lies in
memory until a bell says so for many of them.

This module must not know what a task is for, and imports only the standard library: the child
loads it before any user code.
"""

import contextlib
import mmap
import os
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

#: Number of tasks, timeout of each in seconds, bytes of the common input that follows.
BATCH_HEADER = struct.Struct("<Idq")
#: In place of its bytes: the common input is that of the batch before.
SAME_COMMON = -1
#: Index of the first task, number of tasks, attempt of each, bytes of the session's id. The id
#: follows, then a line for each task.
SPAN_HEADER = struct.Struct("<QIIH")
#: Kind; for a bell: replies of the batch that are whole, bytes written of all; for a refusal: 0,
#: bytes of the body that follows.
NOTICE = struct.Struct("<cIQ")
#: After the child's token, in the stream of prints: number of the task that printed (from 1).
PRINT_MARK = struct.Struct("<I")

#: The handler is imported.
READY = b"R"
#: The handler can't be imported. The body is an error.
REFUSED = b"X"
#: There are replies to take.
BELL = b"B"


@dataclass(frozen=True)
class Launch:
    """What the runner tells its child at the start, as JSON in the command line."""

    handler: str
    memory_limit_bytes: int | None
    result_limit_bytes: int
    function_name: str
    function_version: str
    invoked_function_arn: str
    memory_mib: int
    request_fd: int
    reply_fd: int
    lifeline_fd: int
    memory_fd: int
    crash_fd: int
    #: read ends of what the child prints to, so that it sees whether something is in there
    stdout_fd: int
    stderr_fd: int
    #: hexadecimal; begins every mark in the prints
    print_token: str


@dataclass(frozen=True, slots=True)
class Notice:
    """What came by the reply pipe."""

    kind: bytes
    count: int
    size: int
    body: bytes = b""


def cut(data: bytes, piece_bytes: int = 256 * 1024) -> Iterator[bytes]:
    """Return data in pieces, so that no second copy of all of it is made on the way."""
    return (data[start : start + piece_bytes] for start in range(0, len(data), piece_bytes))


class NoticeReader:
    """Cuts a stream of bytes into notices; one may arrive in any number of pieces."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[Notice]:
        """Add `data` and yield every notice that is now whole. Exhaust it before the next feed."""
        self._buffer += data
        while len(self._buffer) >= NOTICE.size:
            kind, count, size = NOTICE.unpack_from(self._buffer)
            end = NOTICE.size + (size if kind == REFUSED else 0)
            if len(self._buffer) < end:
                return
            body = self._buffer[NOTICE.size : end]
            self._buffer = self._buffer[end:]
            yield Notice(kind, count, size, body)


class Page:
    """8-byte words at the beginning of the memory that the runner and its child both map.

    Each word is stored and loaded in one machine instruction. No reader relies on the order of two
    words while the child is alive: arm64 may show them in either order.
    """

    SIZE_BYTES = 4096

    def __init__(self, memory: mmap.mmap) -> None:
        self._words = memoryview(memory)[: self.SIZE_BYTES].cast("d")

    @property
    def permit_until(self) -> float:
        """Monotonic seconds from which no task may start. Written by the runner."""
        return self._words[0]

    @permit_until.setter
    def permit_until(self, until_monotonic: float) -> None:
        self._words[0] = until_monotonic

    @property
    def started_count(self) -> int:
        """How many tasks of the batch have started. Written by the child."""
        return int(self._words[1])

    @property
    def started_at(self) -> float:
        """Monotonic seconds at which the running task started; 0 while none runs."""
        return self._words[2]

    @property
    def running(self) -> tuple[int, float] | None:
        """Number and start of the task that runs; None while none does."""
        started_at = self.started_at
        return (self.started_count, started_at) if started_at else None

    @property
    def print_reads(self) -> float:
        """How many reads found prints; not whole while a read is under way. By the runner."""
        return self._words[3]

    def begin_print_read(self) -> None:
        """Say that a read of what is printed comes next."""
        self._words[3] += 0.5

    def end_print_read(self, found: bool) -> None:
        """Say that it is over, and whether it found anything but marks."""
        self._words[3] += 0.5 if found else -0.5

    @property
    def settled_count(self) -> int:
        """How many replies of the batch are whole. Written by the child."""
        return int(self._words[4])

    @settled_count.setter
    def settled_count(self, count: int) -> None:
        self._words[4] = count

    @property
    def taken_count(self) -> int:
        """How many replies of the batch have been taken. Written by the runner."""
        return int(self._words[5])

    @property
    def taken_bytes(self) -> int:
        """How many bytes of them."""
        return int(self._words[6])

    def mark_taken(self, count: int, size: int) -> None:
        """Say that the child may write over these."""
        self._words[5] = count
        self._words[6] = size

    def mark_started(self, count: int, at_monotonic: float) -> None:
        """Record that the task number `count` (from 1) starts."""
        self._words[1] = count
        self._words[2] = at_monotonic

    def mark_idle(self) -> None:
        """Record that no task runs."""
        self._words[2] = 0.0

    def reset(self) -> None:
        """Forget the last batch. Only while the child has no batch."""
        self.mark_started(0, 0.0)
        self.settled_count = 0
        self.mark_taken(0, 0)

    def close(self) -> None:
        """Let the memory go."""
        self._words.release()


def open_anonymous_file(size_bytes: int) -> int:
    """Return the descriptor of a file without a name, zero-filled, that a child can inherit.

    In memory where the system can (Linux), else an unlinked temporary file.
    """
    if hasattr(os, "memfd_create"):
        with contextlib.suppress(OSError):
            return _resize(os.memfd_create("stepgrid-runner"), size_bytes)
    with tempfile.TemporaryFile() as file:
        return _resize(os.dup(file.fileno()), size_bytes)


def _resize(fd: int, size_bytes: int) -> int:
    os.ftruncate(fd, size_bytes)
    return fd
