"""Waves: chunks that grow at the start, shrink towards the end, and cover all tasks."""

from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given

from stepgrid_core.waves import Shape, cut

PLAIN = Shape(slots=4, least=1, most=1_000, part=1 / 2)


@pytest.mark.parametrize(
    ("tasks", "shape", "layout"),
    [
        pytest.param(64, PLAIN, "4x8,4x4,4x2,8x1", id="a half of what is left in each wave"),
        pytest.param(64, replace(PLAIN, part=3 / 4), "4x12,4x3,4x1", id="three quarters"),
        pytest.param(64, replace(PLAIN, least=4), "4x8,8x4", id="not below the least"),
        pytest.param(70, replace(PLAIN, least=4), "4x8,6x5,2x4", id="the rest is spread evenly"),
        pytest.param(64, replace(PLAIN, most=5), "8x5,4x3,12x1", id="not above the most"),
        pytest.param(64, replace(PLAIN, probing=True), "4x1,4x2,8x4,4x2,12x1", id="a probe"),
        pytest.param(9, replace(PLAIN, least=3), "3x3", id="less than a wave"),
        pytest.param(2, replace(PLAIN, least=3), "2", id="less than a chunk"),
        pytest.param(64, replace(PLAIN, slots=1), "32,16,8,4,2,2x1", id="one slot"),
        pytest.param(62, replace(PLAIN, stride=4), "4x8,7x4,2", id="at strides, a short last one"),
    ],
)
def test_tasks_are_cut_in_waves(tasks: int, shape: Shape, layout: str) -> None:
    """One chunk for each slot in a wave."""
    assert str(cut(tasks, shape, 10_000)) == layout


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    return Shape(
        slots=draw(st.integers(1, 2_000)),
        least=draw(st.integers(1, 1_000)),
        most=draw(st.integers(1, 10_000)),
        part=draw(st.sampled_from([1 / 2, 2 / 3])),
        probing=draw(st.booleans()),
        stride=draw(st.sampled_from([1, 2, 100, 128])),
    )


@given(st.integers(1, 200_000), shapes(), st.integers(40, 10_000))
def test_every_shape_can_be_cut(tasks: int, shape: Shape, most_chunks: int) -> None:
    """Few enough chunks, all at strides, none larger than the most unless it can't be."""
    layout = cut(tasks, shape, most_chunks)
    assert layout.tasks == tasks
    assert layout.chunks <= most_chunks
    assert all(size % shape.stride == 0 for size in list(layout.sizes())[:-1])
    units = -(-tasks // shape.stride)
    needed = shape.stride * -(-units // most_chunks)
    assert layout.largest <= max(shape.most, shape.stride, needed)


@given(st.integers(1, 100_000), shapes())
def test_the_last_chunks_are_small(tasks: int, shape: Shape) -> None:
    """Those that the slots end with are at most twice the least."""
    *_, last = cut(tasks, shape, tasks).sizes()
    assert last <= 2 * max(shape.least, shape.stride)
