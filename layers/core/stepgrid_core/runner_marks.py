"""In the child: says behind a task's last print whose prints those were.

A task that printed nothing must cost nothing, so a mark is only written if something was printed:
Python's own prints are noticed by sys.stdout and sys.stderr; what went past them
(C code, other processes) by a look at the pipes. That look is a system call, and left out after a
task shorter than `LOOK_MILLISECONDS`: prints that bypass Python in one so short may be taken for a
later task's.

The look finds bytes that are still in a pipe. Those that the runner has read already are told by
the page: the runner says there before each read that it is under way, and afterwards whether it
found anything but marks. So an empty pipe and an unchanged count mean that nothing was printed. It
imports only the standard library.
"""

import contextlib
import ctypes
import io
import os
import select
import sys
from collections.abc import Callable
from typing import Any, TextIO

from stepgrid_core.runner_protocol import PRINT_MARK, Launch, Page

LOOK_MILLISECONDS = 0.1
_LINE_BUFFERED = 1  # _IOLBF of stdio.h, on Linux and macOS


class PrintMarker:
    """Owns the child's two print streams. It replaces sys.stdout and sys.stderr."""

    def __init__(self, launch: Launch, page: Page) -> None:
        self._token = bytes.fromhex(launch.print_token)
        self._page = page
        self._reads = page.print_reads
        self._printed = False
        # Copies: user code may close or replace its own.
        self._fds = (os.dup(1), os.dup(2))
        self._look = select.poll()
        for fd in (launch.stdout_fd, launch.stderr_fd):
            os.set_inheritable(fd, False)
            self._look.register(fd, select.POLLIN)
        sys.stdout = sys.__stdout__ = _open_text(1, sys.stdout, self._note)  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = _open_text(2, sys.stderr, self._note)  # type: ignore[misc]
        self._texts = (sys.stdout, sys.stderr)
        _flush_c_lines()

    def mark(self, number: int, milliseconds: float) -> None:
        """Call when the task `number` (from 1) has ended, after it ran so long."""
        if self._printed:
            self._flush()
        elif milliseconds < LOOK_MILLISECONDS or not self._bypassed():
            return
        self._printed = False
        self._reads = self._page.print_reads
        for fd in self._fds:
            _write(fd, self._token + PRINT_MARK.pack(number))

    def _note(self) -> None:
        self._printed = True

    def _flush(self) -> None:
        for text in self._texts:
            # The user may have closed it: not the task's fault.
            with contextlib.suppress(OSError, ValueError):
                text.flush()

    def _bypassed(self) -> bool:
        # A read that was or is under way may have found this task's prints, or not.
        reads = self._page.print_reads
        return bool(self._look.poll(0)) or reads != self._reads or not reads.is_integer()


def _write(fd: int, mark: bytes) -> None:
    """Waits for room: the runner reads while a batch runs. So short a write is never cut."""
    while True:
        try:
            os.write(fd, mark)
        except BlockingIOError:  # a process that shares the pipe has made it non-blocking
            room = select.poll()
            room.register(fd, select.POLLOUT)
            room.poll()
        else:
            return


class _WatchedText(io.TextIOWrapper):
    note: Callable[[], None]

    def write(self, text: str, /) -> int:
        self.note()
        return super().write(text)


class _WatchedBuffer(io.BufferedWriter):
    """For those who write bytes to sys.stdout.buffer."""

    note: Callable[[], None]

    def write(self, data: Any, /) -> int:
        self.note()
        return super().write(data)


def _open_text(fd: int, before: TextIO, note: Callable[[], None]) -> _WatchedText:
    """As the interpreter opens it, but by lines although it is a pipe; `note` hears of writes."""
    file = io.FileIO(fd, "w", closefd=False)
    file.name = before.name
    buffer = _WatchedBuffer(file)
    buffer.note = note
    text = _WatchedText(buffer, encoding=before.encoding, errors=before.errors, line_buffering=True)
    text.note = note
    return text


def _flush_c_lines() -> None:
    """C's stdout would keep lines until its buffer is full; a killed task would lose them."""
    libc = ctypes.CDLL(None)
    for name in ("stdout", "__stdoutp"):  # Linux, macOS
        with contextlib.suppress(ValueError):
            stdout = ctypes.c_void_p.in_dll(libc, name)
            libc.setvbuf(stdout, None, _LINE_BUFFERED, ctypes.c_size_t(0))
