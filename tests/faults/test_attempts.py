"""Attempts: whatever a task does at each start, it gets no more starts than it may have."""

from collections import Counter
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from stepgrid.testing import EnvironmentDied, InMemoryGrid
from stepgrid_core.contract import SubmitRequest, TaskCounts
from stepgrid_core.description import describe
from tests.submitting import submit

OWNER = "owner"
SWEEPS = 30


def run_scripts(scripts: list[list[str]], max_attempts: int) -> tuple[Counter[int], TaskCounts]:
    """Starts without a result for each task, and how the tasks ended.

    A script says what its task does at each start: finish, fail, or kill its environment; the last
    word goes on for ever.
    """
    starts: Counter[int] = Counter()
    fruitless: Counter[int] = Counter()

    def work(script: list[str], context: Any) -> int:
        index = int(context.task_id.rpartition("_")[2])
        starts[index] += 1
        word = script[min(starts[index], len(script)) - 1]
        fruitless[index] += word != "finish"
        if word == "fail":
            raise ValueError("as asked")
        if word == "die":
            raise EnvironmentDied
        return index

    grid = InMemoryGrid({"work": work}, autorun=False)
    options = {"max_attempts": max_attempts, "chunk_size": len(scripts)}
    request = {"client_token": "token", "worker": "work", "tasks": scripts, "options": options}
    session = submit(grid.wiring, OWNER, SubmitRequest.model_validate(request))
    for _ in range(SWEEPS):
        grid.run()
        grid.clock.advance(61)
        grid.sweep()
    return fruitless, describe(grid.wiring, OWNER, session.session_id).counts


@pytest.mark.parametrize("max_attempts", [1, 2, 3, 5])
@pytest.mark.parametrize(
    "scripts",
    [
        pytest.param([["fail", "die"], ["finish"]], id="fails first, then kills"),
        pytest.param([["fail"], ["die"]], id="fails beside a killer"),
        pytest.param([["fail"], ["die"], ["die"], ["die"]], id="fails beside many killers"),
        pytest.param([["die", "fail"], ["finish"]], id="kills first, then fails"),
    ],
)
def test_no_task_is_started_too_often(scripts: list[list[str]], max_attempts: int) -> None:
    """A task has max_attempts starts, whether they fail, kill, or do both in turns."""
    fruitless, _ = run_scripts(scripts, max_attempts)
    assert all(starts <= max_attempts for starts in fruitless.values())


words = st.sampled_from(["finish", "fail", "die"])


@given(st.lists(st.lists(words, min_size=1, max_size=4), min_size=1, max_size=4), st.integers(1, 4))
def test_starts_without_a_result_are_limited(scripts: list[list[str]], max_attempts: int) -> None:
    """Whatever mixture of tasks shares a chunk; and all of them end."""
    fruitless, counts = run_scripts(scripts, max_attempts)
    assert all(starts <= max_attempts for starts in fruitless.values())
    assert counts.finished + counts.failed == len(scripts)
