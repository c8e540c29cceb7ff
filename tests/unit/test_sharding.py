"""Shards: made once from the chunk boundaries, or again from what was stored with the session."""

from itertools import accumulate, pairwise
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from stepgrid_core.layout import Layout
from stepgrid_core.names import CHUNKS_PER_SHARD
from stepgrid_core.records import Chunk, InputRef, Session
from stepgrid_core.sharding import cut_lines, make_blob, make_shards, shards_from_blob
from tests.contract.samples import make_session

IN_TABLE = InputRef(key=None, etag="", size=0)


def cut(session: Session, lines: list[bytes]) -> list[int]:
    """Chunk boundaries of lines that lie one after the other."""
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    return [starts[task] for task in session.layout.first_tasks()]


line_lists = st.lists(
    st.text("ab{}é,", max_size=8).map(lambda text: text.encode() + b"\n"), min_size=1, max_size=80
)


@st.composite
def sessions(draw: st.DrawFn, lines: list[bytes], **changes: Any) -> Session:
    """A session of these tasks, cut anyhow."""
    sizes = st.lists(st.integers(1, 5), min_size=len(lines), max_size=len(lines))
    ends = [end for end in accumulate(draw(sizes)) if end < len(lines)]
    layout = Layout.of(b - a for a, b in pairwise([0, *ends, len(lines)]))
    return make_session(tasks=len(lines), layout=layout, **changes)


@pytest.mark.parametrize(
    ("tasks", "chunk_size", "rows"),
    [
        pytest.param(1, 1, [[1]], id="one task"),
        pytest.param(5, 10, [[5]], id="less than a chunk"),
        pytest.param(25, 10, [[10, 10, 5]], id="a short last chunk"),
        pytest.param(16, 1, [[1] * 16], id="a full shard"),
        pytest.param(17, 1, [[1] * 16, [1]], id="one chunk more"),
        pytest.param(95, 3, [[3] * 16, [3] * 15 + [2]], id="full shards, a short last chunk"),
    ],
)
def test_tasks_are_spread_over_chunks_and_shards(
    tasks: int, chunk_size: int, rows: list[list[int]]
) -> None:
    """16 chunks in a shard; only the last chunk of all may be short; nothing is claimed yet."""
    session = make_session(tasks=tasks, chunk_size=chunk_size)
    shards = make_shards(session, range(session.chunks + 1))
    assert [shard.number for shard in shards] == list(range(session.shards))
    assert [list(shard.chunks) for shard in shards] == [[Chunk(n) for n in row] for row in rows]
    assert {shard.session_id for shard in shards} == {session.session_id}


@given(line_lists, st.data())
def test_byte_ranges_cut_the_input_into_chunks(lines: list[bytes], data: st.DataObject) -> None:
    """Each chunk's range holds exactly its tasks' lines."""
    session = data.draw(sessions(lines))
    text = b"".join(lines)
    pieces = []
    for shard in make_shards(session, cut(session, lines)):
        for slot, chunk in enumerate(shard.chunks):
            start, length = shard.byte_range(slot)
            piece = text[start : start + length]
            assert piece.count(b"\n") == chunk.tasks
            pieces.append(piece)
    assert b"".join(pieces) == text


@given(line_lists, st.data())
def test_shards_are_made_again_from_the_lines(lines: list[bytes], data: st.DataObject) -> None:
    """Where the table keeps the tasks, the stored lines alone give the same shards."""
    session = data.draw(sessions(lines, input=IN_TABLE))
    boundaries = cut(session, lines)
    blob = make_blob(boundaries, b"".join(lines))
    assert shards_from_blob(session, blob) == make_shards(session, boundaries)


@given(line_lists, st.data())
def test_shards_are_made_again_from_the_boundaries(lines: list[bytes], data: st.DataObject) -> None:
    """Where the payload store keeps the tasks, the stored boundaries give the same shards."""
    session = data.draw(sessions(lines))
    boundaries = cut(session, lines)
    blob = make_blob(boundaries, None)
    assert shards_from_blob(session, blob) == make_shards(session, boundaries)


def test_boundaries_of_the_largest_session_fit_into_an_item() -> None:
    """10,000 chunks of 5 GB: an item may have 400 KB."""
    boundaries = range(0, 5 * 2**30, 5 * 2**30 // 10_000)
    assert len(make_blob(boundaries, None)) < 200_000


@given(line_lists, st.data())
def test_a_burst_carries_the_lines_of_each_chunk(lines: list[bytes], data: st.DataObject) -> None:
    """The texts in the execution input are the bytes that a worker would have read."""
    session = data.draw(sessions(lines, input=IN_TABLE))
    boundaries = cut(session, lines)
    texts = cut_lines(b"".join(lines), boundaries)
    assert texts is not None
    shards = make_shards(session, boundaries)
    ranges = [shard.byte_range(slot) for shard in shards for slot in range(len(shard.chunks))]
    assert [len(text.encode()) for text in texts] == [length for _, length in ranges]
    assert "".join(texts).encode() == b"".join(lines)


@pytest.mark.parametrize("chunk", [0, 15, 16, 37])
def test_a_chunk_is_found_by_its_number(chunk: int) -> None:
    """Shard and slot say which chunk of the session a row is."""
    session = make_session(tasks=38, chunk_size=1)
    shards = make_shards(session, range(39))
    number, slot = divmod(chunk, CHUNKS_PER_SHARD)
    assert shards[number].number_of(slot) == chunk
    assert shards[number].byte_range(slot) == (chunk, 1)
