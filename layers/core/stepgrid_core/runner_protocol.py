"""What the runner and its child say to each other: frames on two pipes, and a shared memory page.

Requests (runner to child): one batch header, then `count` task frames. Replies (child to runner):
one frame per task, in the order of the batch; before the first batch one READY or REFUSED frame.
A batch header is followed by the common input of its session, where the child was not told it yet.
Every frame carries its length, so several may travel in one write.

The page holds what must be known without a message: how many tasks of the batch have started, when
the running one started, until when a task may start, and how often prints were read. This module
must not know what a task is for, and imports only the standard library: the child loads it before
any user code.
"""

import contextlib
import mmap
import os
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

#: Number of tasks, timeout of each in seconds, bytes of the common input that follows.
BATCH_HEADER = struct.Struct("<Idq")
#: In place of its bytes: the common input is that of the batch before.
SAME_COMMON = -1
#: Attempt, bytes of the task id, bytes of the line.
TASK_HEADER = struct.Struct("<IHQ")
#: Kind, milliseconds, bytes of the body.
REPLY_HEADER = struct.Struct("<cdQ")
#: After the child's token, in the stream of prints: number of the task that printed (from 1).
PRINT_MARK = struct.Struct("<I")

#: The handler is imported. No body.
READY = b"R"
#: The handler can't be imported. The body is an error.
REFUSED = b"X"
#: The task returned. The body is its result, as JSON text.
FINISHED = b"F"
#: The task failed. The body is an error.
FAILED = b"E"


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
    page_fd: int
    crash_fd: int
    #: read ends of what the child prints to, so that it sees whether something is in there
    stdout_fd: int
    stderr_fd: int
    #: hexadecimal; begins every mark in the prints
    print_token: str


class Reply(NamedTuple):
    """One frame from the child."""

    kind: bytes
    milliseconds: float
    body: bytes


def encode_batch(count: int, timeout_seconds: float, common_bytes: int = 0) -> bytes:
    """Return the header that announces `count` task frames, and a common input before them."""
    return BATCH_HEADER.pack(count, timeout_seconds, common_bytes)


def cut(data: bytes, piece_bytes: int = 256 * 1024) -> Iterator[bytes]:
    """Return data in pieces, so that no second copy of all of it is made on the way."""
    return (data[start : start + piece_bytes] for start in range(0, len(data), piece_bytes))


def encode_task(task_id: str, attempt: int, line: bytes) -> bytes:
    """Return the frame of one task."""
    name = task_id.encode()
    return TASK_HEADER.pack(attempt, len(name), len(line)) + name + line


class ReplyReader:
    """Cuts a stream of bytes into replies; a frame may arrive in any number of pieces."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Reply]:
        """Add `data` and yield every reply that is now whole. Exhaust it before the next feed."""
        buffer = self._buffer
        buffer += data
        offset = 0
        while len(buffer) - offset >= REPLY_HEADER.size:
            kind, milliseconds, length = REPLY_HEADER.unpack_from(buffer, offset)
            start = offset + REPLY_HEADER.size
            if len(buffer) - start < length:
                break
            offset = start + length
            yield Reply(kind, milliseconds, bytes(buffer[start:offset]))
        del buffer[:offset]


class Page:
    """Four 8-byte words in memory that the runner and its child both map.

    Each word is stored and loaded in one machine instruction. No reader relies on the order of two
    words while the child is alive: arm64 may show them in either order.
    """

    SIZE_BYTES = 4096

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, self.SIZE_BYTES)
        self._words = memoryview(self._map).cast("d")

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
    def drain_count(self) -> float:
        """How often the runner was about to read prints. Written by the runner."""
        return self._words[3]

    def count_drain(self) -> None:
        """Say that a read of prints comes next."""
        self._words[3] += 1

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

    def close(self) -> None:
        """Unmap the page."""
        self._words.release()
        self._map.close()


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
