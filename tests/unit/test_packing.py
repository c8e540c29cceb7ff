"""Packing: what is packed can be cut at its offsets, and nothing of it is held."""

import hashlib
import json
import math
from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from stepgrid_core.contract import MAX_OFFSETS
from stepgrid_core.data_plane import encode_lines
from stepgrid_core.errors import RequestTooLarge
from stepgrid_core.packing import (
    BLOCK_BYTES,
    BLOCK_LINES,
    MAX_CHUNK_BYTES,
    MAX_STRIDE_BYTES,
    Offsets,
    Packed,
    Packing,
    pack,
    stride_of,
)

lines_of_json = st.lists(st.binary(max_size=30).map(lambda text: text.hex().encode() + b"\n"))


def packed_in_blocks(blocks: list[list[bytes]], **how: Any) -> tuple[Packed, bytes]:
    """As lines that come in blocks of just these sizes."""
    packing = Packing(**how)
    data = b"".join(joined for block in blocks for joined in packing.pack(block))
    return packing.finish(hashlib.sha256(data).hexdigest()), data


@given(
    st.lists(lines_of_json, max_size=8),
    st.integers(1, 6),
    st.none() | st.integers(1, 40),
)
def test_a_file_can_be_cut_at_every_offset(
    blocks: list[list[bytes]], most_offsets: int, chunk_size: int | None
) -> None:
    """Each offset is where a stride-th line begins, however the lines fell into blocks."""
    packed, data = packed_in_blocks(blocks, most_offsets=most_offsets, chunk_size=chunk_size)
    lines = [line for block in blocks for line in block]
    assert data == b"".join(lines)
    assert (packed.tasks, packed.size) == (len(lines), len(data))
    starts = list(accumulate(map(len, lines), initial=0))[:-1]
    assert packed.offsets == starts[:: packed.stride]
    assert len(packed.offsets) <= most_offsets


@pytest.mark.parametrize("chunk_size", [1, 7, 99, 100, 101, 10_007, 12_345, 99_999, 10**6])
@pytest.mark.parametrize("tasks", [1, 9_999, 10_001, 123_456])
def test_a_wished_chunk_size_can_be_cut(tasks: int, chunk_size: int) -> None:
    """Its multiples are among the offsets, wherever 10,000 chunks are enough for it."""
    packed, _ = pack([b"0\n"] * tasks, chunk_size)
    assert len(packed.offsets) == -(-tasks // packed.stride) <= MAX_OFFSETS
    if -(-tasks // chunk_size) <= MAX_OFFSETS:
        assert min(chunk_size, tasks) % packed.stride == 0
    else:
        assert packed.stride == 2 ** math.ceil(math.log2(tasks / MAX_OFFSETS))


@given(st.lists(lines_of_json, max_size=8), st.integers(1, 6), st.none() | st.integers(1, 40))
def test_the_stride_is_known_without_the_file(
    blocks: list[list[bytes]], most_offsets: int, chunk_size: int | None
) -> None:
    """Number and bytes of the tasks tell it, so that a session can be planned on paper."""
    packed, _ = packed_in_blocks(blocks, most_offsets=most_offsets, chunk_size=chunk_size)
    stride = stride_of(packed.tasks, packed.size, chunk_size, most_offsets)
    assert packed.stride == min(stride, max(packed.tasks, 1))


def test_a_wish_that_can_not_be_granted_leaves_the_offsets_fine() -> None:
    """Chunks over 16 MiB: the grid must be able to cut smaller ones."""
    line = b"0" * 2_000 + b"\n"
    packing = Packing(chunk_size=9_999)
    for _ in packing.pack([line] * 20_000):
        pass
    assert packing.finish("").stride == 2


@given(
    st.lists(lines_of_json, max_size=8),
    st.integers(1, 6),
    st.none() | st.integers(1, 40),
    st.integers(1, 400),
)
def test_what_is_packed_can_be_cut_finely_enough(
    blocks: list[list[bytes]], most_offsets: int, chunk_size: int | None, most_between: int
) -> None:
    """Between two offsets there is never more than a worker takes; else it is refused."""
    limits = {"most_offsets": most_offsets, "most_between": most_between}
    try:
        packed, _ = packed_in_blocks(blocks, chunk_size=chunk_size, **limits)
    except RequestTooLarge:
        if chunk_size is not None:
            with pytest.raises(RequestTooLarge):
                packed_in_blocks(blocks, **limits)
        return
    assert widest_gap(packed) <= most_between


def widest_gap(packed: Packed) -> int:
    return max((b - a for a, b in pairwise([*packed.offsets, packed.size])), default=0)


def test_large_tasks_among_many_are_refused_as_soon_as_that_is_sure() -> None:
    """The message names them, and what can be done; the rest of the file is not even packed."""
    small, large = b"1\n", b"x" * 600_000 + b"\n"
    taken = 0

    def lines() -> Iterator[bytes]:
        nonlocal taken
        yield from [small] * 700_000
        while True:
            taken += 1
            yield large

    with pytest.raises(RequestTooLarge, match=r"the 128 tasks from task 700032 on .* own$"):
        for _ in Packing().pack(lines()):
            pass
    assert taken <= MAX_STRIDE_BYTES // len(large) + 128


def test_large_tasks_that_come_first_are_refused_when_they_can_not_be_parted() -> None:
    """They can be as long as there are few tasks."""
    lines = [b"x" * 600_000 + b"\n"] * 256 + [b"1\n"] * 100_000
    with pytest.raises(RequestTooLarge, match="from task 0 on"):
        for _ in Packing().pack(lines * 10):
            pass
    packed = Packing()
    assert sum(map(len, packed.pack(lines))) == packed.size
    assert widest_gap(packed.finish("")) <= MAX_STRIDE_BYTES


def test_a_wish_that_can_not_be_granted_refuses_nothing() -> None:
    """Large tasks that lie together, and more of them in a wished chunk than a worker takes."""
    lines = [b"1\n"] * 30_000 + [b"x" * 600_000 + b"\n"] * 300
    packing = Packing(chunk_size=250)
    for _ in packing.pack(lines):
        pass
    packed = packing.finish("")
    assert packed.stride == 4
    assert widest_gap(packed) <= MAX_STRIDE_BYTES


@pytest.mark.parametrize(
    ("starts", "most", "stride", "left"),
    [
        pytest.param([0, 1, 2, 3], 4, 1, [0, 1, 2, 3], id="few enough"),
        pytest.param([0, 1, 2, 3, 4], 4, 2, [0, 2, 4], id="halved"),
        pytest.param(list(range(9)), 2, 8, [0, 8], id="until they are few enough"),
        pytest.param([0, 1], 1, 2, [0], id="one"),
        pytest.param([], 1, 1, [], id="none"),
    ],
)
def test_offsets_are_coarsened(starts: list[int], most: int, stride: int, left: list[int]) -> None:
    """Every other offset goes, and the stride doubles, so the first line always keeps its own."""
    offsets = Offsets(1, starts)
    offsets.coarsen(most, len(starts))
    assert (offsets.stride, offsets.starts) == (stride, left)


def test_a_file_that_is_held() -> None:
    """What `pack` answers is the file, its digest, and where each line begins."""
    tasks: list[Any] = [{"a": 1}, [2], "three"]
    packed, data = pack(encode_lines(tasks))
    assert [json.loads(line) for line in data.splitlines()] == tasks
    assert packed.sha256 == hashlib.sha256(data).hexdigest()
    assert packed.offsets == [0, 8, 12]
    assert b"".join(data[a:b] for a, b in pairwise([*packed.offsets, packed.size])) == data


@pytest.mark.parametrize(
    ("line", "most_lines"),
    [
        pytest.param(b"x" * 99 + b"\n", -(-BLOCK_BYTES // 100), id="by bytes"),
        pytest.param(b"1\n", BLOCK_LINES, id="by lines"),
        pytest.param(b"x" * MAX_CHUNK_BYTES, 1, id="each too large for another"),
    ],
)
def test_a_block_is_given_out_before_more_is_taken(line: bytes, most_lines: int) -> None:
    """A generator of any number of tasks is never held: no more than a block of it is."""
    taken = 0

    def lines() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield line

    blocks = Packing().pack(lines())
    for number in (1, 2):
        assert next(blocks) == line * most_lines
        assert taken == number * most_lines


def test_a_task_that_no_chunk_can_hold_is_named() -> None:
    """Whichever of a block it is."""
    lines = [b"1\n"] * (BLOCK_LINES + 2) + [b"x" * MAX_CHUNK_BYTES + b"\n"]
    with pytest.raises(RequestTooLarge, match=f"task {BLOCK_LINES + 2} has"):
        pack(lines)
