"""`stepgrid bench cost`, with measured sessions that are made up."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from click.testing import Result

from stepgrid.bench.cost.bill import Usage
from stepgrid.bench.cost.meter import SessionCost
from stepgrid.cli.context import App
from stepgrid.cli.cost import make_tasks
from stepgrid.testing import InMemoryGrid
from stepgrid_core.errors import ConfigurationError
from tests.unit.cli_fakes import json_lines, run_app


@dataclass
class FakeMeter:
    """Ten requests for a session and two for each chunk."""

    requests: dict[str, float] = field(default_factory=dict)
    measured: list[tuple[int, float | None]] = field(default_factory=list)

    def measure(
        self,
        worker: str,
        tasks: Iterable[Any],
        take: Callable[..., Any],
        chunk_size: int | None,
        task_seconds: float | None,
    ) -> SessionCost:
        count = sum(1 for _ in tasks)
        self.measured.append((count, chunk_size or task_seconds))
        chunks = -(-count // (chunk_size or count))
        requests = self.requests | {"s3.PutObject": 10, "s3.GetObject": 2 * chunks}
        return SessionCost("ses", count, chunks, "map", Usage(requests), ())


@pytest.fixture
def meter() -> FakeMeter:
    return FakeMeter()


def run(meter: FakeMeter | None, *arguments: str) -> Result:
    memory = InMemoryGrid({"echo": lambda event, context: event})

    def open_meter(*_: Any) -> Any:
        if meter is None:
            raise ConfigurationError("give --stack NAME")
        return meter

    app = App(open_grid=memory.client, open_cost_meter=open_meter)
    return run_app(app, "bench", "cost", *arguments)


def test_sessions_of_each_kind_are_measured(meter: FakeMeter) -> None:
    """One task, then chunks of each size, as many as tell something, then the planner's choices."""
    assert run(meter).exit_code == 0
    sized = [(1_000, 1), (10_000, 10), (10_000, 100), (10_000, 1_000)]
    assert meter.measured == [(1, None), *sized, (10_000, None), (10_000, 0.1)]


def test_the_number_of_tasks_is_the_callers(meter: FakeMeter) -> None:
    """Of small chunks no more than tell something new; as many of all others as were asked for."""
    run(meter, "--tasks", "20000", "--per-chunk", "10", "--per-chunk", "50", "--task-seconds", "2")
    sized = [(10_000, 10), (20_000, 50)]
    assert meter.measured == [(1, None), *sized, (20_000, None), (20_000, 2.0)]


def test_a_table_for_people(meter: FakeMeter) -> None:
    """Requests for a task, dollars for a million, HTC-Grid beside it, and where machines pay."""
    lines = run(meter, "--per-chunk", "100").stdout.splitlines()
    cells = {line.split("  ")[0]: line.split() for line in lines}
    assert cells["100 in a chunk"][4:9] == ["10,000", "100", "210", "0.021", "0.013"]
    assert cells["HTC-Grid"][-4:] == ["11.14", "20.96", "-", "-"]
    assert cells["HTC-Grid, Redis"][-4:] == ["5.14", "9.37", "-", "-"]
    assert {"Fargate Spot", "EC2 Spot"} <= set(cells)


def test_json_has_every_count(meter: FakeMeter) -> None:
    """A line for each session with its requests by name, then one for each break-even."""
    rows = json_lines(run(meter, "--per-chunk", "100", "--json").stdout)
    sized = next(row for row in rows if row.get("name") == "100 in a chunk")
    assert sized["usage"]["requests"] == {"s3.PutObject": 10, "s3.GetObject": 200}
    assert sized["bill"]["S3 PUT, POST or LIST"] == pytest.approx(0.005)
    assert sized["prices_checked"]
    assert {row["break_even"]["name"] for row in rows[-2:]} == {"Fargate Spot", "EC2 Spot"}


def test_what_has_no_price_is_told(meter: FakeMeter) -> None:
    """A bill that is too low says so, once for each operation."""
    meter.requests = {"kms.Decrypt": 3}
    told = run(meter).stderr
    assert told.count("no price is known for kms.Decrypt") == 1


def test_a_grid_that_cannot_be_looked_into_is_an_error() -> None:
    """As with the other commands for operators."""
    result = run(None)
    assert result.exit_code != 0
    assert "give --stack NAME" in result.stderr


@pytest.mark.parametrize("size", [20, 1_000])
def test_tasks_have_about_the_size_that_is_asked_for(size: int) -> None:
    """Each is another one, so that nothing is packed twice by chance."""
    tasks = [json.dumps(task) for task in make_tasks(100, size)]
    assert len(set(tasks)) == 100
    assert all(abs(len(task) - size) < 20 for task in tasks)
