"""What is measured, over the in-memory grid, and how long the stages of a session took."""

import re
from pathlib import Path
from typing import Any

import pytest

from stepgrid.testing import InMemoryGrid
from stepgrid.testing.runner import EnvironmentDied
from stepgrid_core.metrics import MOST_VALUES, Metric, thin

OBSERVABILITY = Path(__file__).parents[2] / "docs" / "observability.md"


def make_grid(**settings: object) -> InMemoryGrid:
    memory: InMemoryGrid

    def work(event: Any, context: Any) -> Any:
        memory.clock.advance(0.25)
        if event == "fail":
            raise ValueError(event)
        if event == "flaky" and context.attempt == 1:
            raise ValueError(event)
        if event == "kill" and context.attempt == 1:
            raise EnvironmentDied
        return event

    memory = InMemoryGrid({"work": work}, settings=settings)
    return memory


def totals(memory: InMemoryGrid) -> dict[str, float]:
    counts = [metric for metric in Metric if metric.startswith("Tasks")]
    return {metric: total for metric in counts if (total := memory.metrics.total(metric))}


def test_every_task_is_counted_once() -> None:
    """Finished, failed and retried by the workers that saw them; lines name session and chunk."""
    memory = make_grid()
    session = memory.client().submit("work", [1, "fail", "flaky", 4], max_attempts=2, chunk_size=2)
    session.wait()
    assert totals(memory) == {
        "TasksSubmitted": 4,
        "TasksFinished": 3,
        "TasksFailed": 1,
        "TasksRetried": 2,
    }
    of_chunks = [who for _, told, who in memory.metrics.emitted if Metric.TASK_TIME in told]
    assert of_chunks == [{"session_id": session.id, "chunk": chunk} for chunk in (0, 1)]
    assert {worker for worker, _, _ in memory.metrics.emitted} == {"work"}


def test_a_repeated_submit_counts_nothing() -> None:
    """The same token makes no other session."""
    memory = make_grid()
    for _ in range(2):
        memory.client().submit("work", [1], client_token="same").wait()
    assert totals(memory) == {"TasksSubmitted": 1, "TasksFinished": 1}


def test_tasks_that_never_ran_are_counted_at_the_close() -> None:
    """Cancelled ones, and those that a deadline failed."""
    memory = make_grid()
    memory.autorun = False
    client = memory.client()
    client.submit("work", [1, 2, 3]).cancel()
    client.submit("work", [4, 5], timeout_seconds=60)
    memory.clock.advance(100)
    memory.sweep()
    assert totals(memory) == {"TasksSubmitted": 5, "TasksCancelled": 3, "TasksFailed": 2}


def test_a_task_published_before_a_death_is_counted_once() -> None:
    """The next attempt counts what it published itself."""
    memory = make_grid()
    memory.client().submit("work", [1, "kill", 3], chunk_size=3, max_attempts=3).wait()
    assert memory.metrics.total(Metric.TASKS_FINISHED) == 3


def test_time_in_tasks_and_around_them() -> None:
    """Every start's own time; what the chunk took besides is overhead."""
    memory = make_grid()
    memory.client().submit("work", [1, 2], chunk_size=2).wait()
    (told,) = [told for _, told, _ in memory.metrics.emitted if Metric.TASK_TIME in told]
    assert told[Metric.TASK_TIME] == [250.0, 250.0]
    assert told[Metric.CHUNK_OVERHEAD] == [0.0]


def test_stages_of_a_session() -> None:
    """Queued until the first claim, then running; the same in the metrics and in the API."""
    memory = make_grid()
    memory.autorun = False
    session = memory.client().submit("work", [1, 2, 3, 4], chunk_size=2)
    timings = session.status().timings
    assert (timings.first_claim_at, timings.queue_seconds, timings.task_seconds) == (None, None, 0)
    memory.clock.advance(5)
    memory.run()
    timings = session.status().timings
    assert timings.first_claim_at == timings.created_at + 5
    assert (timings.queue_seconds, timings.run_seconds, timings.task_seconds) == (5, 1, 1)
    assert memory.metrics.total(Metric.QUEUE_DELAY) == 5
    assert memory.metrics.total(Metric.SESSION_DURATION) == 6


def test_stages_of_an_open_session() -> None:
    """While it runs they come from its rows."""
    memory: InMemoryGrid
    seen = []

    def look(event: Any, context: Any) -> None:
        memory.clock.advance(1)
        seen.append(memory.client().session(session.id).status().timings)

    memory = InMemoryGrid({"look": look}, autorun=False)
    session = memory.client().submit("look", [1, 2], chunk_size=1)
    memory.clock.advance(2)
    memory.run()
    assert [(t.queue_seconds, t.run_seconds, t.task_seconds) for t in seen] == [
        (2, None, 0),
        (2, None, 1),
    ]


@pytest.mark.parametrize("count", [0, 1, MOST_VALUES, MOST_VALUES + 1, 10_000])
def test_many_times_are_thinned(count: int) -> None:
    """Few enough for one line; the smallest, the median and the largest stay."""
    values = [float(value) for value in range(count)]
    thinned = thin(reversed(values))
    assert len(thinned) == min(count, MOST_VALUES)
    assert set(thinned) <= set(values)
    if count:
        assert (thinned[0], thinned[-1]) == (values[0], values[-1])
        assert abs(thinned[len(thinned) // 2] - count // 2) <= max(1, count / MOST_VALUES)


def test_every_metric_is_documented() -> None:
    """docs/observability.md has a row for each, and for no other."""
    rows = re.findall(
        r"^\| `([A-Z]\w+)` \|", OBSERVABILITY.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted(rows) == sorted(Metric)
