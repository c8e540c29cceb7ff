"""Planning: how a session is cut into chunks, which route it takes and at what pace."""

import heapq
import math
import random
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from stepgrid_core.layout import Layout
from stepgrid_core.planning import (
    BURST_CHUNKS,
    MAX_CHUNK_BYTES,
    MAX_CHUNKS,
    MIN_WATCH_SECONDS,
    MOST_CHUNK_SECONDS,
    Workload,
    plan,
    watch_seconds,
)
from stepgrid_core.task_time import TaskTime

MIB = 1024 * 1024
#: A session that takes every short cut: few small tasks of known, short time.
SMALL: dict[str, Any] = {
    "tasks": 10,
    "size": 1_000,
    "task_time": TaskTime(0.1, 0.1),
    "task_timeout_seconds": 300.0,
}
#: What a chunk costs its slot beside its tasks on the local cloud of a small machine.
CHUNK_SECONDS = 0.03
#: Slots of a session on the local cloud.
LOCAL = 4
#: Milliseconds as the benchmarks measure them: a few chunks have a pause in them.
NO_OP = TaskTime(0.0001, 0.001)


def workload(task_seconds: float | None = 0.1, **changes: Any) -> Workload:
    """task_seconds: known well; None: unknown."""
    time = None if task_seconds is None else TaskTime(task_seconds, task_seconds)
    return Workload(**{**SMALL, "task_time": time, **changes})


def of_kib(tasks: int, **changes: Any) -> Workload:
    """Tasks of 1 KB each, with offsets as fine as an upload's can be."""
    stride = 1
    while tasks > MAX_CHUNKS * stride:
        stride *= 2
    return workload(tasks=tasks, size=1_000 * tasks, stride=stride, **changes)


# --- layout ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("work", "layout"),
    [
        # short sessions of a worker that is known
        pytest.param(workload(tasks=1), "1", id="one task"),
        pytest.param(of_kib(100, task_time=NO_OP), "100", id="100 no-ops: one chunk"),
        pytest.param(workload(0.01, tasks=20), "2x10", id="a tenth of a second of work each"),
        pytest.param(workload(0.1, tasks=4), "4x1", id="a tenth of a second alone"),
        pytest.param(workload(1.0, tasks=40), "40x1", id="long ones all at once"),
        pytest.param(workload(3.0, tasks=40), "40x1", id="longer ones all at once"),
        pytest.param(workload(10.0, tasks=50), "50x1", id="more than 40: through the Map"),
        pytest.param(
            workload(0.05, tasks=1_981), "31x51,8x50", id="as many of the 40 as can be used"
        ),
        pytest.param(
            workload(0.1, tasks=1_000), "40x25", id="100 s of work: 40 slots at once beat the Map"
        ),
        # the local cloud: few slots, dear chunks
        pytest.param(
            workload(0.01, tasks=1_000, max_concurrency=LOCAL),
            "4x166,4x56,4x18,4x10",
            id="10 s on 4 slots: shrinking chunks",
        ),
        pytest.param(
            workload(0.1, tasks=1_000, max_concurrency=LOCAL),
            "4x166,4x56,4x18,4x6,4x2,8x1",
            id="100 s on 4 slots: to single tasks",
        ),
        pytest.param(
            of_kib(100_000, task_time=NO_OP, max_concurrency=LOCAL),
            "4x16656,4x5552,4x1856,6x624",
            id="100,000 no-ops on 4 slots",
        ),
        pytest.param(
            of_kib(1_000_000, task_time=NO_OP, max_concurrency=LOCAL),
            "56x16768,4x10112,4x3328,4x1152,768,2x640,576",
            id="1,000,000 no-ops on 4 slots: 16 MiB in a chunk",
        ),
        # large grids
        pytest.param(
            workload(1.0, tasks=100_000, size=10 * MIB),
            "1000x59,1000x27,1000x9,1000x3,2000x1",
            id="100,000 s on 1,000 slots: from a minute down",
        ),
        pytest.param(
            of_kib(1_000_000, task_seconds=0.1),
            "1000x512,1813x256,186x128,64",
            id="1,000,000 x 100 ms on 1,000 slots",
        ),
        pytest.param(
            workload(0.01, tasks=100_000, size=10 * MIB),
            "1000x100",
            id="1 s for each slot: not less than the Map can start",
        ),
        pytest.param(
            workload(100.0, tasks=10_000), "10000x1", id="a task longer than a chunk is alone"
        ),
        pytest.param(
            workload(1.0, tasks=5_000, task_timeout_seconds=301.0),
            "625x8",
            id="STANDARD children, 100 a second: fewer and larger",
        ),
        pytest.param(
            workload(1.0, tasks=5_000, limit=4),
            "80x59,4x46,4x16,4x5,4x2,4x1",
            id="for the slots that the worker has",
        ),
        # nothing is known
        pytest.param(workload(None, tasks=20), "20x1", id="unknown and few: all at once"),
        pytest.param(
            workload(None, tasks=40, max_concurrency=LOCAL),
            "4x1,4x2,4x3,4x2,8x1",
            id="unknown on 4 slots: small at both ends",
        ),
        pytest.param(
            of_kib(100_000, task_seconds=None, max_concurrency=LOCAL),
            "4x384,4x768,4x1536,4x3072,20x3120,4x1808,4x912,4x448,2x480,2x464",
            id="unknown and many: a probe that grows",
        ),
    ],
)
def test_a_session_is_cut_into_chunks(work: Workload, layout: str) -> None:
    """The table of docs/planning.md, case by case."""
    assert str(plan(work).layout) == layout


@pytest.mark.parametrize(
    ("tasks", "size", "largest"),
    [
        pytest.param(1_000, 1_000 * MIB, 16, id="1 MiB each: 16 in a chunk"),
        pytest.param(1_000, 1_000 * 20 * MIB, 1, id="more than 16 MiB each: alone"),
    ],
)
def test_a_chunks_input_fits_into_memory(tasks: int, size: int, largest: int) -> None:
    """A worker holds all of its input: 16 MiB at most, as long as that is a task or more."""
    work = workload(0.01, tasks=tasks, size=size, max_concurrency=LOCAL)
    assert plan(work).layout.largest == largest


def test_large_tasks_that_lie_together_are_cut_apart() -> None:
    """Their chunks have 16 MiB at most, those of the others stay as they were."""
    sizes = [10 * MIB] * 150 + [1_000] * 9_850
    offsets = [0, *accumulate(sizes)][:-1]
    known = workload(0.001, tasks=10_000, size=sum(sizes), max_concurrency=LOCAL)
    work = replace(known, offsets=offsets)
    layout = plan(work).layout
    first = list(layout.first_tasks())
    assert max(sum(sizes[a:b]) for a, b in pairwise(first)) <= MAX_CHUNK_BYTES
    assert layout.largest == plan(known).layout.largest
    assert layout.chunks <= plan(known).layout.chunks + 160


@given(st.lists(st.integers(2, 30 * MIB), min_size=1, max_size=300), st.integers(1, 7))
def test_no_chunk_is_too_large_that_can_be_cut(sizes: list[int], stride: int) -> None:
    """Whatever the tasks weigh: only what lies between two offsets may be more."""
    starts = [0, *accumulate(sizes)]
    work = workload(
        0.001, tasks=len(sizes), size=starts[-1], stride=stride, offsets=starts[:-1:stride]
    )
    layout = plan(work).layout
    assert layout.tasks == len(sizes)
    for first, last in pairwise(layout.first_tasks()):
        assert first % stride == 0
        assert last - first <= stride or starts[last] - starts[first] <= MAX_CHUNK_BYTES


@pytest.mark.parametrize(("relayed", "longest"), [(False, 60), (True, 15)])
def test_chunks_of_registered_functions_are_smaller(relayed: bool, longest: int) -> None:
    """The relay waits for one call after the other, so more relays wait at once."""
    work = workload(1.0, tasks=100_000, max_concurrency=LOCAL, relayed=relayed)
    assert longest - 1 <= plan(work).layout.largest <= longest


@pytest.mark.parametrize(
    ("time", "probing"),
    [
        pytest.param(TaskTime(1.0, 4.0), False, id="four times as long"),
        pytest.param(TaskTime(1.0, 4.1), True, id="more"),
        pytest.param(TaskTime(0.0, 0.002), False, id="milliseconds do not count"),
        pytest.param(TaskTime(0.0, 0.1), True, id="more of them do"),
        pytest.param(None, True, id="nothing known"),
    ],
)
def test_what_is_not_sure_is_probed(time: TaskTime | None, probing: bool) -> None:
    """Where slow tasks are far from the mean, the first chunks are small."""
    sizes = list(plan(workload(tasks=1_000, task_time=time, max_concurrency=8)).layout.sizes())
    assert (sizes[0] < max(sizes)) is probing


@pytest.mark.parametrize("tasks", [100, 1_000, 100_000])
@pytest.mark.parametrize("slots", [4, 40, 1_000])
def test_no_chunk_of_unknown_tasks_is_a_great_part(tasks: int, slots: int) -> None:
    """An eighth of what a slot has to do at most, however long the tasks turn out to be."""
    work = workload(None, tasks=tasks, max_concurrency=slots)
    layout = plan(work).layout
    by_time = MOST_CHUNK_SECONDS / work.long_seconds
    assert layout.largest <= max(by_time, math.ceil(tasks / slots / 8), math.ceil(tasks / 80))


# --- what comes of it -----------------------------------------------------------------------------


def efficiency(layout: Layout, slots: int, seconds: list[float]) -> float:
    """The ideal time over that of slots which take chunks in order, each for CHUNK_SECONDS more."""
    free_at = [0.0] * slots
    for chunk in range(layout.chunks):
        first = layout.first_task(chunk)
        work = sum(seconds[first : first + layout.tasks_in(chunk)])
        heapq.heapreplace(free_at, free_at[0] + CHUNK_SECONDS + work)
    return sum(seconds) / slots / max(free_at)


@pytest.mark.parametrize(
    ("tasks", "task_seconds", "at_least"),
    [(1_000, 0.1, 0.98), (10_000, 0.1, 0.99), (1_000, 0.01, 0.93), (10_000, 0.01, 0.98)],
)
@pytest.mark.parametrize("known", [True, False])
def test_slots_are_busy_to_the_end(
    tasks: int, task_seconds: float, at_least: float, known: bool
) -> None:
    """Short tasks fill 4 slots, whether their time is known or not, and some slots are slower."""
    work = workload(task_seconds if known else None, tasks=tasks, max_concurrency=LOCAL)
    randomly = random.Random(1)
    seconds = [task_seconds * randomly.lognormvariate(0, 0.5) for _ in range(tasks)]
    lost_to_probing = 0 if known else 0.1 / task_seconds * 0.01
    assert efficiency(plan(work).layout, LOCAL, seconds) >= at_least - lost_to_probing


@pytest.mark.parametrize("known", [0.001, 1.0])
def test_a_wrong_time_costs_little(known: float) -> None:
    """Tasks of 100 ms where others took a hundredth of that, or ten times as long."""
    layout = plan(workload(known, tasks=1_000, max_concurrency=LOCAL)).layout
    assert efficiency(layout, LOCAL, [0.1] * 1_000) >= 0.75


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


times = st.just(0.0) | st.floats(1e-6, 840)


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
        task_time=draw(st.none() | st.builds(TaskTime, times, times)),
        task_timeout_seconds=draw(st.floats(0.05, 840)),
        chunk_size=draw(st.none() | st.integers(1, 1_000_000)),
        max_concurrency=draw(st.integers(1, 10_000)),
        limit=draw(st.none() | st.integers(1, 1_000)),
        stride=stride,
        relayed=draw(st.booleans()),
    )


@given(workloads())
def test_every_session_can_be_run_as_planned(work: Workload) -> None:
    """Chunks cover all tasks, begin at strides, and keep the limits on number and bytes."""
    chosen = plan(work)
    chunks = chosen.layout.chunks
    assert all(first % work.stride == 0 for first in [*chosen.layout.first_tasks()][:-1])
    assert chosen.layout.tasks == work.tasks
    assert chunks <= MAX_CHUNKS
    finest = max(work.stride, math.ceil(work.tasks / MAX_CHUNKS))
    chunk_bytes = chosen.layout.largest * work.size / work.tasks
    assert chunk_bytes <= MAX_CHUNK_BYTES * 1.000001 or chosen.layout.largest <= finest
    assert len(str(chosen.layout)) <= 400
    assert chosen.max_concurrency == work.max_concurrency
    assert chosen.watch_seconds >= MIN_WATCH_SECONDS


@given(workloads())
def test_a_burst_keeps_the_limits_of_an_express_execution(work: Workload) -> None:
    """Whatever goes by burst has at most 40 chunks, and none of its tasks may take longer."""
    chosen = plan(work)
    if chosen.route == "burst":
        assert chosen.layout.chunks <= BURST_CHUNKS
        assert work.task_timeout_seconds <= 300


# --- route and children ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "route"),
    [
        pytest.param({}, "burst", id="small"),
        pytest.param({"size": 100 * MIB}, "burst", id="large input: workers read their parts"),
        pytest.param({"tasks": 100, "size": 640 * MIB}, "burst", id="40 chunks of 16 MiB"),
        pytest.param({"tasks": 100, "size": 641 * MIB}, "map", id="more input"),
        pytest.param({"tasks": 40, "chunk_size": 1}, "burst", id="40 chunks"),
        pytest.param({"tasks": 41, "chunk_size": 1}, "map", id="more chunks"),
        pytest.param({"tasks": 400, "chunk_size": 10}, "burst", id="many tasks in 40 chunks"),
        pytest.param({"tasks": 10, "task_seconds": 11.9}, "burst", id="120 seconds of work"),
        pytest.param({"tasks": 10, "task_seconds": 12.1}, "map", id="more work"),
        pytest.param({"task_time": TaskTime(1.0, 12.1)}, "map", id="more if tasks are slow"),
        pytest.param({"tasks": 479, "task_seconds": None}, "burst", id="120 assumed seconds"),
        pytest.param({"tasks": 480, "task_seconds": None}, "map", id="more of them"),
        pytest.param({"task_timeout_seconds": 300.0}, "burst", id="tasks of at most 5 minutes"),
        pytest.param({"task_timeout_seconds": 300.1}, "map", id="longer tasks"),
    ],
)
def test_small_sessions_go_by_burst(changes: dict[str, Any], route: str) -> None:
    """An EXPRESS execution has few chunks and short work: a Map would take longer to start."""
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
