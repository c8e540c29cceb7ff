"""What a child prints, read in any pieces: lines with their task, and none of our marks."""

import mmap
import os
from collections.abc import Iterator

import pytest

from stepgrid_core.runner_prints import PrintedLine, PrintingTask, PrintReader
from stepgrid_core.runner_protocol import PRINT_MARK, Page

TOKEN = b"0123456789abcdef"


class Bench:
    """A reader at the end of a pipe."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, Page.SIZE_BYTES)
        self.page = Page(self.memory)
        self.lines: list[PrintedLine] = []
        self.reader = PrintReader(TOKEN, self.page, self.lines.append)
        self.fd, self.end = os.pipe()
        self.reader.begin(lambda number: PrintingTask(f"ses_{number}", number, 1))

    def read(self, data: bytes) -> None:
        os.write(self.end, data)
        self.reader.read("stdout", self.fd)

    def texts(self) -> list[tuple[int, str]]:
        return [(line.task.index, line.text) for line in self.lines if line.task]

    def close(self) -> None:
        os.close(self.fd)
        os.close(self.end)
        self.page.close()
        self.memory.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def mark(number: int) -> bytes:
    return TOKEN + PRINT_MARK.pack(number)


def test_a_mark_may_come_in_pieces(bench: Bench) -> None:
    """However it is cut, the lines before it belong to its task, and it is in none of them."""
    data = b"one\n" + mark(1) + b"two\n" + mark(2)
    for cut in range(1, len(data)):
        bench.lines.clear()
        bench.read(data[:cut])
        bench.read(data[cut:])
        assert bench.texts() == [(1, "one"), (2, "two")]


def test_a_read_of_marks_alone_is_no_print(bench: Bench) -> None:
    """Else the child would see that something was read, and write another mark for it."""
    before = bench.page.print_reads
    bench.read(mark(1))
    bench.read(mark(2) + mark(3))
    assert bench.page.print_reads == before
    bench.read(b"printed\n" + mark(4))
    assert bench.page.print_reads == before + 1
