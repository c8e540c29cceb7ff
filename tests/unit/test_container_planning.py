"""How a session is cut for containers, and how many of them share it."""

from itertools import accumulate, pairwise
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from stepgrid_core.container_planning import (
    LEAST_PULLER_SECONDS,
    WATCH_SECONDS,
    plan_containers,
    useful_pullers,
)
from stepgrid_core.planning import MAX_CHUNK_BYTES, MAX_CHUNKS, Workload
from stepgrid_core.task_time import TaskTime

MIB = 1024 * 1024


def workload(tasks: int, task_seconds: float | None, **changes: Any) -> Workload:
    time = None if task_seconds is None else TaskTime(task_seconds, task_seconds)
    return Workload(
        **{
            "tasks": tasks,
            "size": 100 * tasks,
            "task_time": time,
            "task_timeout_seconds": 3_600.0,
            "max_concurrency": 400,
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("work", "pullers", "slots"),
    [
        pytest.param(workload(1, 0.01), 1, 1, id="at least one"),
        pytest.param(workload(1, 0.01), 4, 4, id="a whole one"),
        pytest.param(workload(100, 1.0), 1, 1, id="100 s are not worth two"),
        pytest.param(workload(1_000, 1.0), 1, 9, id="two minutes for each puller"),
        pytest.param(workload(1_000, 1.0), 4, 12, id="in whole containers"),
        pytest.param(workload(5, 1200.0), 1, 5, id="no more than there are tasks"),
        pytest.param(workload(5, 1200.0), 4, 8, id="two for five"),
        pytest.param(workload(100_000, 10.0), 1, 400, id="no more than may run at once"),
        pytest.param(workload(100_000, 10.0, limit=64), 1, 64, id="nor than the grid has"),
        pytest.param(workload(1_000, None), 1, 3, id="unknown: by the time that is assumed"),
    ],
)
def test_there_are_as_many_as_are_worth_their_start(
    work: Workload, pullers: int, slots: int
) -> None:
    """By the work, which is rounded up to containers."""
    assert plan_containers(work, pullers, None).max_concurrency == slots


@pytest.mark.parametrize(
    ("count", "pullers", "changes", "slots"),
    [
        pytest.param(10, 1, {}, 10, id="as wished"),
        pytest.param(10, 4, {}, 40, id="with all that they have"),
        pytest.param(10, 1, {"max_concurrency": 5}, 5, id="no more than may run at once"),
        pytest.param(100, 1, {"limit": 64}, 64, id="nor than the grid has"),
    ],
)
def test_a_wished_count_is_kept(
    count: int, pullers: int, changes: dict[str, Any], slots: int
) -> None:
    """Whatever the work is worth, within what may run."""
    work = workload(100, 1.0, **changes)
    assert plan_containers(work, pullers, count).max_concurrency == slots


def test_long_tasks_are_alone() -> None:
    """A puller takes the next when it is free; there is no dispatch to save."""
    plan = plan_containers(workload(100, 1200.0), 4, None)
    assert str(plan.layout) == "100x1"
    assert (plan.route, plan.children, plan.watch_seconds) == ("map", "standard", WATCH_SECONDS)


def test_a_wished_chunk_size_is_kept() -> None:
    """As on Lambda."""
    assert str(plan_containers(workload(100, 1.0, chunk_size=30), 1, None).layout) == "3x30,10"


def test_large_tasks_that_lie_together_are_cut_apart() -> None:
    """A puller holds a chunk in memory, too: 16 MiB at most."""
    sizes = [10 * MIB] * 20 + [1_000] * 9_980
    offsets = [0, *accumulate(sizes)][:-1]
    work = workload(10_000, 0.01, size=sum(sizes), offsets=offsets)
    first = list(plan_containers(work, 1, None).layout.first_tasks())
    assert max(sum(sizes[a:b]) for a, b in pairwise(first)) <= MAX_CHUNK_BYTES


@given(
    st.integers(1, 1_000_000),
    st.none() | st.floats(0.001, 100_000),
    st.sampled_from([1, 2, 4, 8, 16, 32]),
    st.none() | st.integers(1, 1_000),
    st.none() | st.integers(1, 800),
    st.none() | st.integers(1, 10_000),
)
def test_every_session_can_be_run_as_planned(
    tasks: int,
    task_seconds: float | None,
    pullers: int,
    count: int | None,
    limit: int | None,
    chunk_size: int | None,
) -> None:
    """All tasks are in a chunk; slots and chunks stay within the limits, and are one at least."""
    work = workload(tasks, task_seconds, max_concurrency=10_000, limit=limit, chunk_size=chunk_size)
    plan = plan_containers(work, pullers, count)
    assert plan.layout.tasks == tasks
    assert plan.layout.chunks <= MAX_CHUNKS
    assert 1 <= plan.max_concurrency <= (limit or MAX_CHUNKS)
    assert (
        useful_pullers(work, pullers) % pullers == 0 or useful_pullers(work, pullers) == MAX_CHUNKS
    )


@given(st.integers(1, 100_000), st.floats(0.01, 1_000), st.sampled_from([1, 4]))
def test_a_puller_has_enough_to_do(tasks: int, task_seconds: float, pullers: int) -> None:
    """One container less would not be enough for two minutes of each of its pullers."""
    work = workload(tasks, task_seconds)
    slots = useful_pullers(work, pullers)
    total = tasks * work.long_seconds
    assert slots == pullers or total > (slots - pullers) * LEAST_PULLER_SECONDS
