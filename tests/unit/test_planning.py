"""Planning: how a session is cut into chunks, which route it takes and at what pace."""

import math
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from stepgrid_core.planning import (
    BURST_CHUNKS,
    INLINE_INPUT_BYTES,
    MAX_CHUNK_BYTES,
    MAX_CHUNKS,
    MIN_WATCH_SECONDS,
    Workload,
    plan,
    watch_seconds,
)

MIB = 1024 * 1024
#: A session that takes every short cut: few small tasks of known, short time.
SMALL: dict[str, Any] = {
    "tasks": 10,
    "size": 1_000,
    "task_seconds": 0.1,
    "task_timeout_seconds": 300.0,
}


def workload(**changes: Any) -> Workload:
    return Workload(**{**SMALL, **changes})


def chunks_of(work: Workload) -> int:
    return plan(work).layout.chunks


# --- chunk size -----------------------------------------------------------------------------------


@pytest.mark.parametrize("tasks", [1, 2, BURST_CHUNKS])
@pytest.mark.parametrize("task_seconds", [None, 0.001, 100.0])
def test_few_tasks_get_a_chunk_each(tasks: int, task_seconds: float | None) -> None:
    """Up to 40 tasks all run at once, however short those of other sessions were."""
    assert plan(workload(tasks=tasks, task_seconds=task_seconds)).layout.largest == 1


@pytest.mark.parametrize(
    ("tasks", "task_seconds", "chunk_size"),
    [
        pytest.param(20, 0.001, 20, id="milliseconds: all in one"),
        pytest.param(20, 0.01, 10, id="a tenth of a second of work in each"),
        pytest.param(40, 0.04, 3, id="rounded up"),
        pytest.param(20, 0.1, 1, id="a tenth of a second alone"),
        pytest.param(20, 100.0, 1, id="long ones alone"),
    ],
)
def test_few_tasks_are_packed_on_the_callers_word(
    tasks: int, task_seconds: float, chunk_size: int
) -> None:
    """Who says that they are short gets fewer invocations; each still has 0.1 s of work."""
    work = workload(tasks=tasks, task_seconds=task_seconds, hinted=True)
    assert plan(work).layout.largest == chunk_size


@pytest.mark.parametrize(
    ("tasks", "task_seconds", "chunk_size"),
    [
        pytest.param(100_000, 0.01, 200, id="short calls are packed to 2 seconds"),
        pytest.param(100_000, 1.0, 15, id="a chunk waits 15 seconds at most"),
        pytest.param(1_000, None, 8, id="unknown: 250 ms are assumed"),
        pytest.param(20, 0.01, 1, id="few tasks all run at once"),
    ],
)
def test_chunks_of_registered_functions_are_small(
    tasks: int, task_seconds: float | None, chunk_size: int
) -> None:
    """The relay waits for one call after the other, so more relays wait at once."""
    work = workload(tasks=tasks, size=100, task_seconds=task_seconds, relayed=True)
    assert plan(work).layout.largest == chunk_size


@pytest.mark.parametrize(
    ("tasks", "task_seconds", "chunk_size"),
    [
        pytest.param(100_000, 0.01, 700, id="short tasks are packed to 7 seconds"),
        pytest.param(1_000_000, 0.001, 7_000, id="very short tasks too"),
        pytest.param(100_000, 1.0, 25, id="4 chunks for each of 1,000 workers"),
        pytest.param(400_000, 1.0, 60, id="but no more than 60 seconds in one"),
        pytest.param(10_000, 100.0, 1, id="a task longer than that is alone"),
        pytest.param(200, 1.0, 5, id="too little for 7 seconds: spread over 40 chunks"),
        pytest.param(100, 0.001, 100, id="nothing is gained by spreading milliseconds"),
        pytest.param(41, 0.01, 10, id="nor by chunks under a tenth of a second"),
        pytest.param(1_000, None, 25, id="unknown: 250 ms are assumed, and spread"),
        pytest.param(100_000, None, 28, id="unknown and many: 7 assumed seconds"),
    ],
)
def test_chunks_hold_work_worth_dispatching(
    tasks: int, task_seconds: float | None, chunk_size: int
) -> None:
    """7 to 60 seconds of one worker, less where the session is small."""
    assert plan(workload(tasks=tasks, task_seconds=task_seconds)).layout.largest == chunk_size


@pytest.mark.parametrize(
    ("changes", "chunk_size"),
    [
        pytest.param({"tasks": 1_000, "chunk_size": 30}, 30, id="kept"),
        pytest.param({"tasks": 10, "chunk_size": 4}, 4, id="kept for few tasks"),
        pytest.param({"tasks": 10, "chunk_size": 1_000_000}, 10, id="not above the tasks"),
        pytest.param({"tasks": 1_000_000, "chunk_size": 1}, 100, id="not above 10,000 chunks"),
        pytest.param({"tasks": 1_000_001, "chunk_size": 100}, 101, id="not by one chunk"),
        pytest.param(
            {"tasks": 100, "size": 100 * MIB, "chunk_size": 50}, 16, id="not above 16 MiB"
        ),
        pytest.param(
            {"tasks": 10, "size": 200 * MIB, "chunk_size": 5}, 1, id="but never below one task"
        ),
        pytest.param({"tasks": 1_000, "chunk_size": 25, "stride": 10}, 20, id="cut at a stride"),
        pytest.param({"tasks": 1_000, "chunk_size": 5, "stride": 10}, 10, id="at least a stride"),
    ],
)
def test_the_callers_wish_is_kept_within_the_limits(
    changes: dict[str, Any], chunk_size: int
) -> None:
    """What the caller asks for is done, as far as the grid can."""
    assert plan(workload(**changes)).layout.largest == chunk_size


@pytest.mark.parametrize(
    ("tasks", "size", "chunk_size"),
    [
        pytest.param(100_000, 100_000 * 1_000, 700, id="small tasks: time decides"),
        pytest.param(1_000, 1_000 * MIB, 16, id="1 MiB each: 16 in a chunk"),
        pytest.param(1_000, 1_000 * 20 * MIB, 1, id="more than 16 MiB each: alone"),
    ],
)
def test_a_chunks_input_fits_into_memory(tasks: int, size: int, chunk_size: int) -> None:
    """A worker holds all of its input: 16 MiB at most, as long as that is a task or more."""
    assert plan(workload(tasks=tasks, size=size, task_seconds=0.01)).layout.largest == chunk_size


@st.composite
def workloads(draw: st.DrawFn) -> Workload:
    """Anything that the wire contract lets through."""
    tasks = draw(st.integers(1, 1_000_000) | st.integers(1, 100))
    # An upload has at most 10,000 offsets (contract.MAX_OFFSETS), so its stride is never finer.
    finest = -(-tasks // MAX_CHUNKS)
    stride = 1 if draw(st.booleans()) else draw(st.integers(finest, finest + 5_000))
    return Workload(
        tasks=tasks,
        size=tasks * draw(st.integers(2, 2_000)) + draw(st.integers(0, 5_000 * MIB)),
        task_seconds=draw(st.none() | st.floats(1e-6, 840)),
        task_timeout_seconds=draw(st.floats(0.05, 840)),
        chunk_size=draw(st.none() | st.integers(1, 1_000_000)),
        max_concurrency=draw(st.integers(1, 10_000)),
        stride=stride,
        hinted=draw(st.booleans()),
    )


@given(workloads())
def test_every_session_can_be_run_as_planned(work: Workload) -> None:
    """Chunks cover all tasks, begin at strides, and keep the limits on number and bytes."""
    chosen = plan(work)
    chunks = chunks_of(work)
    assert all(first % work.stride == 0 for first in [*chosen.layout.first_tasks()][:-1])
    assert chosen.layout.tasks == work.tasks
    assert chunks <= MAX_CHUNKS
    finest = max(work.stride, math.ceil(work.tasks / MAX_CHUNKS))
    chunk_bytes = chosen.layout.largest * work.size / work.tasks
    assert chunk_bytes <= MAX_CHUNK_BYTES * 1.000001 or chosen.layout.largest <= finest
    assert chosen.max_concurrency == work.max_concurrency
    assert chosen.watch_seconds >= MIN_WATCH_SECONDS


@given(workloads())
def test_a_burst_keeps_the_limits_of_an_express_execution(work: Workload) -> None:
    """Whatever goes by burst has at most 40 chunks, and its tasks fit into the input."""
    if plan(work).route == "burst":
        assert chunks_of(work) <= BURST_CHUNKS
        assert work.size <= INLINE_INPUT_BYTES


# --- route and children ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "route"),
    [
        pytest.param({}, "burst", id="small"),
        pytest.param({"size": 32 * 1024}, "burst", id="32 KiB of input"),
        pytest.param({"size": 32 * 1024 + 1}, "map", id="more input"),
        pytest.param({"tasks": 40, "chunk_size": 1}, "burst", id="40 chunks"),
        pytest.param({"tasks": 41, "chunk_size": 1}, "map", id="more chunks"),
        pytest.param({"tasks": 400, "chunk_size": 10}, "burst", id="many tasks in 40 chunks"),
        pytest.param({"tasks": 10, "task_seconds": 12.0}, "burst", id="120 seconds of work"),
        pytest.param({"tasks": 10, "task_seconds": 12.1}, "map", id="more work"),
        pytest.param({"task_seconds": None}, "burst", id="unknown work"),
        pytest.param({"task_timeout_seconds": 300.0}, "burst", id="tasks of at most 5 minutes"),
        pytest.param({"task_timeout_seconds": 300.1}, "map", id="longer tasks"),
    ],
)
def test_small_sessions_go_by_burst(changes: dict[str, Any], route: str) -> None:
    """An EXPRESS execution carries little input, few chunks and short work."""
    assert plan(workload(**changes)).route == route


@pytest.mark.parametrize(
    ("changes", "children"),
    [
        pytest.param({"chunk_size": 240, "task_seconds": 1.0}, "express", id="4 minutes"),
        pytest.param({"chunk_size": 241, "task_seconds": 1.0}, "standard", id="longer"),
        pytest.param({"chunk_size": 960, "task_seconds": None}, "express", id="4 assumed minutes"),
        pytest.param({"chunk_size": 961, "task_seconds": None}, "standard", id="assumed longer"),
        pytest.param({"task_timeout_seconds": 300.0}, "express", id="tasks of 5 minutes"),
        pytest.param({"task_timeout_seconds": 301.0}, "standard", id="longer tasks"),
    ],
)
def test_children_are_express_if_their_chunk_fits(changes: dict[str, Any], children: str) -> None:
    """An EXPRESS child lives five minutes: a chunk has to end within four."""
    assert plan(workload(tasks=100_000, **changes)).children == children


# --- pace -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("running_chunks", "seconds"),
    [(1, 0.5), (750, 0.5), (1_500, 1.0), (3_000, 2.0), (10_000, pytest.approx(6.67, abs=0.01))],
)
def test_watching_does_not_wear_out_the_table(running_chunks: int, seconds: float) -> None:
    """All workers together look 1,500 times a second at most, each twice a second at most."""
    assert watch_seconds(running_chunks) == seconds


@pytest.mark.parametrize(
    ("max_concurrency", "seconds"),
    [pytest.param(3_000, 2.0, id="limited"), pytest.param(10_000, 4.0, id="all at once")],
)
def test_only_chunks_that_run_at_once_are_watched(max_concurrency: int, seconds: float) -> None:
    """The pace follows the concurrency or the number of chunks, whichever is less."""
    work = workload(tasks=6_000, chunk_size=1, max_concurrency=max_concurrency)
    assert plan(work).watch_seconds == seconds
