"""Whose line is it: cuts what the child prints into lines, each with the task that printed it.

    child  fd 1 ══ bytes, mark 3, bytes, mark 7, bytes ══▶ PrintReader ── PrintedLine ──▶ sink
           fd 2 ══ ...

The child writes a mark behind the bytes of a task that printed (see `runner_marks`): what is before
it belongs to that task, exactly, however far the child has run ahead. Lines of a task that still
runs leave at once, by what the shared page says. Bytes that no task can have written (at the
import of the handler, by a process that an earlier batch left behind) belong to none.

The pipe holds a flood back, and only so much of each task is kept: so memory is bounded. This
module must not know where lines go.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from stepgrid_core.runner_protocol import PRINT_MARK, Page

#: Bytes of each of the two streams that are kept of one start of a task.
TASK_PRINT_BYTES = 1024 * 1024
#: Read at most from a child that has ended: a process it left behind may print for ever.
_LAST_BYTES = 4 * 1024 * 1024
_READ_BYTES = 256 * 1024

Stream = Literal["stdout", "stderr"]
STREAMS: tuple[Stream, Stream] = ("stdout", "stderr")


@dataclass(frozen=True, slots=True)
class PrintingTask:
    """Whose print it is: one start of a task."""

    task_id: str
    index: int
    attempt: int


class PrintedLine(NamedTuple):
    """One line that user code printed."""

    task: PrintingTask | None  #: None: printed outside of any task
    stream: Stream
    number: int  #: from 0, within what this start of the task printed to the stream
    text: str  #: without its line end; bytes that are not UTF-8 are replaced


PrintSink = Callable[[PrintedLine], None]
#: The task of a number in the batch, from 1; None if there is none.
FindTask = Callable[[int], PrintingTask | None]


def write_to_stderr(line: PrintedLine) -> None:
    """The sink of a runner that was given none."""
    sys.stderr.write(line.text + "\n")


class PrintReader:
    """Both streams of one child, from its start to its end."""

    def __init__(self, token: bytes, page: Page, sink: PrintSink) -> None:
        """`token` begins every mark; a child has a new one, which no output holds by chance."""
        self._page = page
        self._streams = {stream: _StreamReader(stream, token, sink) for stream in STREAMS}

    def read(self, stream: Stream, fd: int) -> int:
        """Read what is there, without waiting; answers how many bytes that were."""
        running = self._page.running
        reader, found = self._streams[stream], False
        self._page.begin_print_read()  # see `runner_marks`
        try:
            data = os.read(fd, _READ_BYTES)
            found = reader.feed(data)
        except BlockingIOError:
            return 0
        finally:
            self._page.end_print_read(found)
        # The pipe is empty, so the marks of all tasks before the running one have been read.
        if running and len(data) < _READ_BYTES and running == self._page.running:
            reader.pass_lines(running[0])
        return len(data)

    def drain(self, fds: dict[Stream, int]) -> None:
        """Read until nothing is left."""
        for stream, fd in fds.items():
            count = 0
            while count < _LAST_BYTES and (size := self.read(stream, fd)):
                count += size

    def begin(self, find_task: FindTask) -> None:
        """A batch starts; what is left from before belongs to no task."""
        self.finish(0)
        for reader in self._streams.values():
            reader.find_task = find_task

    def finish(self, number: int) -> None:
        """The batch is over; what is left belongs to its task `number` (from 1; 0: to none)."""
        for reader in self._streams.values():
            reader.pass_all(number)
            reader.find_task = _find_none


def _find_none(number: int) -> PrintingTask | None:
    return None


class _StreamReader:
    """One stream: bytes in, lines out."""

    def __init__(self, stream: Stream, token: bytes, sink: PrintSink) -> None:
        self.find_task: FindTask = _find_none
        self._stream = stream
        self._token = token
        self._sink = sink
        self._mark_bytes = len(token) + PRINT_MARK.size
        self._carry = b""  #: may be the beginning of a mark
        self._forget_task()

    def _forget_task(self) -> None:
        self._kept = bytearray()  #: not passed on yet
        self._room = TASK_PRINT_BYTES
        self._dropped = 0
        self._number = 0

    def feed(self, data: bytes) -> bool:
        """Take bytes; those before a mark are passed on as the marked task's.

        Answers whether there was anything but marks.
        """
        data, self._carry = self._carry + data, b""
        start, marks = 0, 0
        while (mark := data.find(self._token, start)) >= 0 and len(data) >= mark + self._mark_bytes:
            self._keep(data[start:mark])
            self.pass_all(PRINT_MARK.unpack_from(data, mark + len(self._token))[0])
            start, marks = mark + self._mark_bytes, marks + 1
        end = mark if mark >= 0 else len(data) - self._overlap(data[start:])
        self._keep(data[start:end])
        self._carry = data[end:]
        return len(data) > marks * self._mark_bytes

    def _overlap(self, data: bytes) -> int:
        """How many bytes at the end may be the beginning of a mark."""
        longest = min(len(self._token) - 1, len(data))
        return next((n for n in range(longest, 0, -1) if self._token.startswith(data[-n:])), 0)

    def _keep(self, data: bytes) -> None:
        kept = data[: self._room]
        self._kept += kept
        self._room -= len(kept)
        self._dropped += len(data) - len(kept)

    def pass_lines(self, number: int) -> None:
        """Pass on the whole lines, as those of the task `number`, which still runs."""
        end = self._kept.rfind(b"\n") + 1
        if end:
            self._pass(number, bytes(self._kept[: end - 1]))
            del self._kept[:end]

    def pass_all(self, number: int) -> None:
        """Pass on everything, as what the task `number` printed last."""
        self._keep(self._carry)
        self._carry = b""
        if self._kept:
            self._pass(number, bytes(self._kept).removesuffix(b"\n"))
        if self._dropped:
            note = f"({self._dropped} bytes more were printed and dropped: of each start of a task "
            self._pass(number, f"{note}{TASK_PRINT_BYTES} bytes are kept)".encode())
        self._forget_task()

    def _pass(self, number: int, data: bytes) -> None:
        # The number may come from user code that has found out how a mark looks.
        task = self.find_task(number)
        for line in data.split(b"\n"):
            text = line.removesuffix(b"\r").decode(errors="replace")
            self._sink(PrintedLine(task, self._stream, self._number, text))
            self._number += 1
