"""Replies in shared memory: what the child wrote is what the runner takes, however it is cut."""

import mmap
from collections.abc import Iterator

import hypothesis.strategies as st
import pytest
from hypothesis import given

from stepgrid_core.runner_protocol import Page
from stepgrid_core.runner_replies import (
    BELL_SECONDS,
    MEMORY_BYTES,
    SLOTS,
    TEXT_BYTES,
    Replies,
    ReplyReader,
    ReplyWriter,
)


class Bench:
    """Both sides in one process; a bell is answered at once, as the writer waits for room."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, MEMORY_BYTES)
        self.page = Page(self.memory)
        self.reader = ReplyReader(self.memory, self.page)
        self.bells: list[tuple[int, int]] = []
        self.taken: list[tuple[bytes, float, float]] = []
        self.writer = ReplyWriter(self.memory, self.page, self.hear)
        self.page.reset()

    def hear(self, count: int, written: int) -> None:
        self.bells.append((count, written))
        self.keep(self.reader.take(count, written))

    def keep(self, replies: Replies) -> None:
        for place in range(len(replies)):
            text = replies.texts(place, place + 1)
            self.taken.append((text, replies.milliseconds[place], replies.failed[place]))

    def close(self) -> None:
        self.reader.close()
        self.page.close()
        self.memory.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


SIZES = st.one_of(
    st.integers(0, 2_000),
    st.integers(TEXT_BYTES // 2 - 2, TEXT_BYTES // 2 + 2),
    st.integers(TEXT_BYTES - 2, TEXT_BYTES + 2),
    st.just(3 * TEXT_BYTES + 1),
)


@given(st.lists(st.tuples(SIZES, st.booleans(), st.booleans()), max_size=8))
def test_any_replies_arrive_as_they_were_written(
    replies: list[tuple[int, bool, bool]],
) -> None:
    """Of any length, results and failures, with a bell after some of them."""
    bench = Bench()
    expected = []
    for number, (size, failed, bell) in enumerate(replies):
        text = bytes([65 + number]) * size
        bench.writer.add(text, float(number), failed)
        expected.append((text, float(number), float(failed)))
        if bell:
            bench.writer.ring()
    bench.writer.ring()
    assert bench.taken == expected
    bench.close()


def test_more_replies_than_there_are_slots(bench: Bench) -> None:
    """The writer waits until some were taken."""
    count = 2 * SLOTS + 1
    for number in range(count):
        bench.writer.add(b"x", float(number))
    bench.writer.ring()
    assert [milliseconds for _, milliseconds, _ in bench.taken] == list(range(count))
    assert len(bench.bells) == 3


def test_what_was_counted_can_be_taken_without_a_bell(bench: Bench) -> None:
    """So a child that died loses nothing that was whole; the reply it was writing is left out."""
    bench.writer.add(b"first", 1.0)
    bench.writer.add(b"second", 2.0, failed=True)
    replies = bench.reader.take_counted(bench.page.settled_count)
    bench.keep(replies)
    assert bench.taken == [(b"first", 1.0, 0.0), (b"second", 2.0, 1.0)]
    assert replies.first_failure(0) == 1
    assert len(bench.reader.take_counted(bench.page.settled_count)) == 0


def test_a_reply_that_is_not_whole_is_no_reply(bench: Bench) -> None:
    """Its child died while it passed through the ring; the next child begins anew."""
    bench.writer.add(b"whole", 1.0)
    bench.reader.take(1, 5 + 100)
    assert len(bench.reader.take_counted(bench.page.settled_count)) == 0
    bench.page.reset()
    bench.reader.begin()
    bench.writer.begin()
    bench.writer.add(b"other", 3.0)
    bench.keep(bench.reader.take_counted(bench.page.settled_count))
    assert bench.taken == [(b"other", 3.0, 0.0)]


def test_the_bell_is_rung_now_and_then(bench: Bench) -> None:
    """For the first reply, after some milliseconds, or for many bytes; never for nothing new."""
    bench.writer.add(b"1", 1.0)
    bench.writer.ring_if_due(100.0)
    assert bench.bells == [(1, 1)]
    bench.writer.add(b"2", 1.0)
    bench.writer.ring_if_due(100.0 + BELL_SECONDS / 2)
    assert len(bench.bells) == 1
    bench.writer.ring_if_due(100.0 + BELL_SECONDS * 2)
    assert bench.bells[1:] == [(2, 2)]
    bench.writer.add(b"x" * (TEXT_BYTES // 2), 1.0)
    bench.writer.ring_if_due(100.0 + BELL_SECONDS * 2)
    assert bench.bells[2:] == [(3, 2 + TEXT_BYTES // 2)]
    bench.writer.ring()
    assert len(bench.bells) == 3
