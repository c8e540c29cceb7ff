"""The lines of a chunk while they arrive: in order, each whole, and as many as there are tasks."""

import threading
from collections.abc import Iterator
from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import given

from stepgrid_core.errors import PayloadCorrupted, Unavailable
from stepgrid_core.task_lines import ArrivingLines, ReadAhead, split_lines

FIRST = 100


def read(lines: ArrivingLines, offset: int, count: int) -> bytes:
    return b"".join(lines.read(FIRST + offset, count))


@given(st.lists(st.binary(max_size=9).map(lambda line: line.replace(b"\n", b"\r"))), st.data())
def test_lines_are_the_same_however_they_are_cut(lines: list[bytes], data: st.DataObject) -> None:
    """Blocks may end anywhere, and there may be pauses between them: no byte is lost or moved."""
    text = b"".join(line + b"\n" for line in lines)
    cuts = data.draw(st.lists(st.integers(0, len(text))))
    edges = [0, *sorted(cuts), len(text)]
    blocks = [text[start:end] for start, end in pairwise(edges)]
    arriving = ArrivingLines(FIRST, len(lines), iter(blocks))
    found = split_lines(arriving.read(FIRST, len(lines)))
    assert [line for line in found if line is not None] == lines
    for offset, line in enumerate(lines):
        assert read(arriving, offset, 1) == line + b"\n"


def test_what_has_arrived_is_read_before_the_rest() -> None:
    """Where nothing more is there yet an empty block says so."""
    blocks = iter([b"1\n2", b"", b"\n3\n"])
    assert list(ArrivingLines(FIRST, 3, blocks).read(FIRST, 3)) == [b"1\n2", b"", b"\n3\n"]


def test_lines_can_be_read_again_while_others_arrive() -> None:
    """A child that died is replaced, and the next one needs them from the beginning."""
    lines = ArrivingLines(FIRST, 2, iter([b"1\n", b"2\n"]))
    assert next(lines.read(FIRST, 2)) == b"1\n"
    assert read(lines, 0, 2) == b"1\n2\n"
    assert read(lines, 0, 2) == b"1\n2\n"


def test_some_of_the_lines_are_read_when_all_are_there() -> None:
    """A pause until then; and after them all lines can still be read."""
    lines = ArrivingLines(FIRST, 3, iter([b"1\n", b"", b"2\n3\n"]))
    assert list(lines.read(FIRST + 1, 2)) == [b"", b"2\n3\n"]
    assert read(lines, 0, 3) == b"1\n2\n3\n"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"1\n2\n", 3, id="too few"),
        pytest.param(b"1\n2\n3\n", 2, id="too many"),
        pytest.param(b"1\n2", 2, id="cut off"),
        pytest.param(b"1\n2", 1, id="cut off behind the last"),
        pytest.param(b"", 1, id="nothing"),
    ],
)
def test_other_lines_than_announced_are_corrupt(data: bytes, expected: int) -> None:
    """The message says how many tasks there should be."""
    lines = ArrivingLines(FIRST, expected, iter([data] if data else []))
    with pytest.raises(PayloadCorrupted, match=f"{expected} tasks"):
        read(lines, 0, expected)


class Door:
    """Blocks that come one by one, as the test lets them."""

    def __init__(self) -> None:
        self.open = threading.Semaphore(0)

    def blocks(self) -> Iterator[bytes]:
        for block in (b"1\n", b"2\n"):
            self.open.acquire()
            yield block
        self.open.acquire()
        raise Unavailable("the connection broke")


def await_block(ahead: ReadAhead) -> bytes:
    return next(block for block in ahead if block)


def test_blocks_are_read_ahead() -> None:
    """By a thread: whoever wants one never waits, and gets the error after all blocks."""
    door = Door()
    ahead = ReadAhead(door.blocks())
    assert next(ahead) == b""
    door.open.release()
    assert await_block(ahead) == b"1\n"
    assert next(ahead) == b""
    door.open.release(2)
    assert await_block(ahead) == b"2\n"
    with pytest.raises(Unavailable):
        await_block(ahead)


def test_the_end_of_what_is_read_ahead_stays_the_end() -> None:
    """Asked again, it ends again."""
    ahead = ReadAhead(iter([b"1\n"]))
    assert [block for block in ahead if block] == [b"1\n"]
    assert list(ahead) == []
