"""Layouts: which tasks are in which chunk, told by a short text."""

import pytest
from hypothesis import given

from stepgrid_core.layout import Layout
from tests.unit.record_strategies import layouts


@given(layouts)
def test_a_layout_is_read_as_it_was_written(layout: Layout) -> None:
    """The text says all of it, and equal layouts have equal texts."""
    assert Layout.read(str(layout)) == layout


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        pytest.param(Layout.even(1, 1), "1", id="one task"),
        pytest.param(Layout.even(5, 10), "5", id="less than a chunk"),
        pytest.param(Layout.even(30, 10), "3x10", id="even"),
        pytest.param(Layout.even(35, 10), "3x10,5", id="a short last chunk"),
        pytest.param(Layout.of([1, 1, 2, 2, 2, 1]), "2x1,3x2,1", id="growing and shrinking"),
        pytest.param(Layout.even(1_000_000, 100), "10000x100", id="the most chunks"),
    ],
)
def test_a_layout_is_a_short_text(layout: Layout, text: str) -> None:
    """Runs of equal chunks are counted."""
    assert str(layout) == text


@given(layouts)
def test_every_task_is_in_one_chunk(layout: Layout) -> None:
    """First tasks, sizes and the way back from a task agree."""
    *firsts, tasks = layout.first_tasks()
    assert tasks == layout.tasks
    assert firsts == [layout.first_task(chunk) for chunk in range(layout.chunks)]
    assert list(layout.sizes()) == [layout.tasks_in(chunk) for chunk in range(layout.chunks)]
    for task in range(tasks):
        chunk = layout.chunk_of(task)
        assert 0 <= task - layout.first_task(chunk) < layout.tasks_in(chunk) <= layout.largest


@pytest.mark.parametrize("number", [-1, 35])
def test_what_is_not_there_is_not_found(number: int) -> None:
    """Neither a chunk nor a task beyond the ends."""
    layout = Layout.of([1] * 35)
    for look in (layout.tasks_in, layout.first_task, layout.chunk_of):
        with pytest.raises(IndexError, match=f"no .* {number} among 35"):
            look(number)
