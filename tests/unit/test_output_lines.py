"""Outputs of final chunks, decoded many lines at a time: exact, complete and in order."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepgrid import PayloadCorrupted, TaskCancelled, TaskFailed
from stepgrid.lines import BLOCK_BYTES, read_lines, read_values
from stepgrid.outcomes import error_of, read_chunk, result_of
from stepgrid_core.codec import encode
from stepgrid_core.contract import ChunkOutput
from stepgrid_core.data_plane import TaskFault, failed_line
from stepgrid_core.output_lines import finished_line

FAULT = TaskFault("ValueError", "no", "line 1")


def make_chunk(tasks: int, finished: int, **more: Any) -> ChunkOutput:
    values = {"chunk": 3, "first_task": 70, "final": True, "failed": 0}
    return ChunkOutput.model_validate({**values, "tasks": tasks, "finished": finished, **more})


def lines_of(results: list[Any]) -> bytes:
    return b"".join(
        finished_line(70 + place, 1, 1.5, encode(value)) for place, value in enumerate(results)
    )


def values_of(chunk: ChunkOutput, data: bytes) -> list[Any]:
    return [value for block in read_values(chunk, data, "s") for value in block.values]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@given(st.lists(JSON, min_size=1, max_size=20))
def test_results_come_out_as_they_went_in(results: list[Any]) -> None:
    """Also integers of any size, and text with line breaks in it."""
    chunk = make_chunk(len(results), len(results))
    assert values_of(chunk, lines_of(results)) == results


@pytest.mark.parametrize("number", [2**63 - 1, 2**64, -(2**64), 10**400])
def test_integers_are_exact(number: int) -> None:
    """Whatever their size, and whatever stands around them."""
    results = [0.5, number, {"n": [number]}, "x"]
    values = values_of(make_chunk(4, 4), lines_of(results))
    assert values == results
    assert type(values[1]) is int


def test_a_deep_result_harms_no_neighbour() -> None:
    """Beside a long number, whose decoder does not go so deep; each line is decoded by its own."""
    depth = 1_000
    deep = finished_line(71, 1, 1.0, b"[" * depth + b"]" * depth)
    data = finished_line(70, 1, 1.0, b"%d" % 2**64) + deep + finished_line(72, 1, 1.0, b"3")
    number, nested, neighbour = values_of(make_chunk(3, 3), data)
    assert (number, neighbour) == (2**64, 3)
    for _ in range(depth - 1):
        (nested,) = nested
    assert nested == []


def test_a_chunk_comes_in_blocks() -> None:
    """Each has the number of its first task; together they hold every task once."""
    results = ["x" * 1_000] * (3 * BLOCK_BYTES // 1_000)
    chunk = make_chunk(len(results), len(results))
    blocks = list(read_values(chunk, lines_of(results), "s"))
    assert len(blocks) >= 3
    assert not any(block.may_have_errors for block in blocks)
    starts = [block.first_task for block in blocks]
    ends = [block.first_task + len(block.values) for block in blocks]
    assert [70, *ends] == [*starts, 70 + len(results)]


def test_a_line_may_be_longer_than_a_block() -> None:
    """It is a block of its own."""
    results = ["x" * (2 * BLOCK_BYTES), 1, "y" * (2 * BLOCK_BYTES)]
    assert values_of(make_chunk(3, 3), lines_of(results)) == results


def test_missing_results_have_their_errors() -> None:
    """Failed tasks by their line; those that ended with their chunk, retried or not, as it says."""
    data = (
        finished_line(71, 1, 1.0, b"5")
        + failed_line(72, 3, 1.0, FAULT)
        + failed_line(73, 1, 1.0, FAULT, "retrying")
    )
    chunk = make_chunk(6, 1, failed=1, others="cancelled")
    values = values_of(chunk, data)
    assert values[1] == 5
    assert isinstance(values[2], TaskFailed)
    assert [type(values[place]) for place in (0, 3, 4, 5)] == [TaskCancelled] * 4
    assert [value.task_id for value in values if value != 5] == [
        f"s_{n}" for n in (70, *range(72, 76))
    ]


def test_both_ways_of_reading_agree() -> None:
    """Task by task, and many at once."""
    data = finished_line(70, 2, 1.0, b"[1]") + failed_line(72, 3, 1.0, FAULT)
    error = {"type": "SessionTimeout", "message": "too late", "traceback": ""}
    chunk = make_chunk(4, 1, failed=1, others="failed", error=error)
    outcomes = list(read_chunk(chunk, data))
    one_by_one = [str(error_of(outcome, "s") or result_of(outcome, "s")) for outcome in outcomes]
    assert [str(value) for value in values_of(chunk, data)] == one_by_one


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        pytest.param(lines_of([1]), "no line of task 71", id="the end is missing"),
        pytest.param(
            lines_of([1, 2, 3]).partition(b"\n")[2], "no line of task 70", id="the beginning"
        ),
        pytest.param(lines_of([1, 2]) * 2, "no line of task", id="twice the same"),
        pytest.param(b"", "no line of task 70", id="empty"),
        pytest.param(lines_of([1]) + b'{"i":71,', "not JSON", id="cut off"),
        pytest.param(lines_of([1]) + failed_line(71, 1, 1.0, FAULT), "lacks a result", id="failed"),
    ],
)
def test_outputs_that_lack_something_are_found(data: bytes, complaint: str) -> None:
    """A chunk whose row says that all its tasks have results must have them, each in its place."""
    with pytest.raises(PayloadCorrupted, match=f"chunk 3.*{complaint}"):
        list(read_lines(make_chunk(2, 2), data))
