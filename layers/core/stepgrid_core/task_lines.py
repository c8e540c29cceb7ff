"""The lines of a chunk's tasks while they arrive, and afterwards.

    store ──blocks──▶ ReadAhead (a thread) ──▶ ArrivingLines ──▶ runner

The first tasks can run while the lines of the last ones are still on their way. What has arrived is
kept, because a task may have to be started again. This module knows no store and no process.
"""

import threading
from collections.abc import Iterator
from queue import Empty, SimpleQueue

from .errors import PayloadCorrupted


class ReadAhead:
    """Reads blocks in a thread of its own, from now on; where none is there yet, an empty one.

    It ends as the reading does, also if that is by an error.
    """

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._arrived: SimpleQueue[bytes | BaseException] = SimpleQueue()
        threading.Thread(target=self._receive, args=(blocks,), daemon=True).start()

    def _receive(self, blocks: Iterator[bytes]) -> None:
        try:
            for block in blocks:
                self._arrived.put(block)
            self._arrived.put(StopIteration())
        except BaseException as error:  # it is raised where the blocks are used
            self._arrived.put(error)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            arrived = self._arrived.get_nowait()
        except Empty:
            return b""
        if isinstance(arrived, bytes):
            return arrived
        self._arrived.put(arrived)  # for whoever asks again
        raise arrived


class ArrivingLines:
    """ports.TaskLines of one chunk. Checks that there is a line for each of its tasks."""

    def __init__(self, first: int, count: int, blocks: Iterator[bytes]) -> None:
        """first, count: the tasks. blocks: their lines, cut anywhere; empty: nothing came yet."""
        self._first = first
        self._count = count
        self._blocks = blocks
        self._arrived: list[bytes] = []
        self._complete = False
        self._newlines = 0
        self._lines: list[bytes] = []  # only filled when a part of them is asked for

    def read(self, first: int, count: int) -> Iterator[bytes]:
        """See ports.TaskLines. Only all lines are handed on while they arrive, parts afterwards.

        Raises PayloadCorrupted unless there is a line for each task, and what the blocks raise.
        """
        if (first, count) == (self._first, self._count):
            return self._read_all()
        return self._read_part(first - self._first, count)

    def _read_all(self) -> Iterator[bytes]:
        taken = 0
        while True:
            if taken < len(self._arrived):
                yield self._arrived[taken]
                taken += 1
            elif self._complete:
                return
            elif not self._receive():
                yield b""

    def _read_part(self, offset: int, count: int) -> Iterator[bytes]:
        while not self._complete:
            if not self._receive():
                yield b""
        if not self._lines:
            self._lines = b"".join(self._arrived).split(b"\n")
        yield b"\n".join(self._lines[offset : offset + count]) + b"\n"

    def _receive(self) -> bool:
        """False if nothing more has arrived yet."""
        block = next(self._blocks, None)
        if block is None:
            self._complete = True
            ended = not self._arrived or self._arrived[-1].endswith(b"\n")
            self._check(ended and self._newlines == self._count)
        elif block:
            self._newlines += block.count(b"\n")
            self._check(self._newlines <= self._count)
            self._arrived.append(block)
        return block != b""

    def _check(self, good: bool) -> None:
        if not good:
            raise PayloadCorrupted(
                f"a chunk's input has not one line for each of {self._count} tasks: its session "
                "was registered with other offsets than those of its file"
            )


def split_lines(blocks: Iterator[bytes]) -> Iterator[bytes | None]:
    """Each line, without its newline; None where the next has not arrived yet."""
    begun: list[bytes] = []
    for block in blocks:
        first, *others = block.split(b"\n")
        begun.append(first)
        for other in others:
            yield b"".join(begun)
            begun = [other]
        if not block:
            yield None
