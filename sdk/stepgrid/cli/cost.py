"""`stepgrid bench cost`: for operators, as it looks into the logs of the stack."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from stepgrid.bench.cost.break_even import BreakEven, find_break_evens, lambda_dollars_per_hour
from stepgrid.bench.cost.meter import exhaust
from stepgrid.bench.cost.rows import CostRow, htcgrid_rows, make_row, plan_shapes
from stepgrid.cli import rendering
from stepgrid.cli.context import (
    App,
    json_option,
    note,
    open_grid,
    pass_app,
    print_fields,
    print_json,
    print_table,
)
from stepgrid.cli.exit_codes import ExitCode
from stepgrid.cli.operating import operator_options
from stepgrid.session import Session
from stepgrid_core.prices import CHECKED, SPOT_DISCOUNT

CHUNK_SIZES = (1, 10, 100, 1_000)
COST_COLUMNS = (
    rendering.Column("SESSION"),
    rendering.Column("TASKS", right=True),
    rendering.Column("CHUNKS", right=True),
    rendering.Column("REQUESTS", right=True),
    rendering.Column("PER TASK", right=True),
    rendering.Column("$ REQUESTS", right=True),
    rendering.Column("$ OVERHEAD", right=True),
    rendering.Column("$ TASKS", right=True),
)


@click.command(short_help="Count requests and price them.")
@click.option("--worker", default="echo", show_default=True, help="Runs the tasks.")
@click.option(
    "--tasks", type=click.IntRange(min=1), default=10_000, show_default=True, help="Of a session."
)
@click.option(
    "--per-chunk",
    "chunk_sizes",
    type=click.IntRange(min=1),
    multiple=True,
    default=CHUNK_SIZES,
    show_default=True,
    help="Tasks in a chunk; may be repeated.",
)
@click.option(
    "--payload-bytes", type=click.IntRange(min=20), default=1_000, show_default=True, help="A task."
)
@click.option(
    "--task-seconds",
    type=click.FloatRange(min=0.001),
    default=0.1,
    show_default=True,
    help="That a real task would take: for its price, and for the planner.",
)
@click.option(
    "--spot-discount",
    type=click.FloatRange(0, 1, max_open=True),
    default=SPOT_DISCOUNT,
    show_default=True,
    help="Of Fargate Spot and EC2 Spot, below on demand.",
)
@operator_options
@json_option
@pass_app
def cost(
    app: App,
    *,
    worker: str,
    tasks: int,
    chunk_sizes: tuple[int, ...],
    payload_bytes: int,
    task_seconds: float,
    spot_discount: float,
    stack: str | None,
    region: str | None,
    project_dir: Path,
    as_json: bool,
) -> int:
    """Run sessions, count every AWS request that they cause, and price a million of their tasks.

    The grid has to count its requests: parameter CountRequests, or `stepgrid local up
    --count-requests`. Prices are those of us-east-1. Nobody else should use the grid meanwhile.
    See docs/cost.md for what is in each column.

    \b
    Examples:
      stepgrid bench cost
      stepgrid bench cost --tasks 1000000 --per-chunk 1000 --json
    """
    grid = open_grid(app)
    meter = app.open_cost_meter(grid, stack, region, project_dir)
    note("running a session that does not count: what is started for it stays warm")
    grid.submit(worker, make_tasks(1, payload_bytes)).results()
    rows: list[CostRow] = []
    for shape in plan_shapes(tasks, chunk_sizes, task_seconds):
        note(f"running {rendering.plural(shape.tasks, 'task')}: {shape.name}")
        take = Session.results if shape.tasks == 1 else exhaust
        measured = meter.measure(
            worker,
            make_tasks(shape.tasks, payload_bytes),
            take,
            chunk_size=shape.chunk_size,
            task_seconds=shape.task_seconds,
        )
        rows.append(make_row(shape.name, measured, task_seconds))
    rows += htcgrid_rows()
    _print_costs(rows, find_break_evens(spot_discount), task_seconds, as_json)
    return ExitCode.OK


def make_tasks(count: int, payload_bytes: int) -> Iterator[dict[str, Any]]:
    """Tasks that differ, each about so many bytes of JSON."""
    for index in range(count):
        yield {"task": index, "padding": "x" * (payload_bytes - 20)}


def _print_costs(
    rows: list[CostRow], break_evens: list[BreakEven], task_seconds: float, as_json: bool
) -> None:
    if as_json:
        for row in rows:
            print_json({"prices_checked": CHECKED, "task_seconds": task_seconds} | asdict(row))
        for each in break_evens:
            print_json({"break_even": asdict(each)})
        return
    print_table(COST_COLUMNS, map(cost_cells, rows))
    click.echo()
    click.echo(
        f"Dollars for a million tasks, of {rendering.duration(task_seconds)} each; us-east-1,"
    )
    click.echo(f"prices of {CHECKED}.")
    for name in sorted({name for row in rows for name in row.unpriced}):
        note(f"no price is known for {name}: the bill is too low")
    click.echo()
    print_fields(break_even_fields(break_evens))


def cost_cells(row: CostRow) -> tuple[str, ...]:
    return (
        row.name,
        rendering.NONE if row.tasks is None else rendering.number(row.tasks),
        rendering.NONE if row.chunks is None else rendering.number(row.chunks),
        f"{row.requests:,.4g}" if row.tasks is None else rendering.number(round(row.requests)),
        f"{row.requests_per_task:,.4g}",
        rendering.dollars(row.request_dollars),
        rendering.dollars(row.time_dollars),
        rendering.dollars(row.task_dollars),
    )


def break_even_fields(break_evens: list[BreakEven]) -> Iterator[tuple[str, str]]:
    """From when on something that is paid by the hour is cheaper, for one vCPU."""
    yield "Lambda", f"${lambda_dollars_per_hour():.4f} for a vCPU-hour in tasks"
    for each in break_evens:
        yield (
            each.name,
            f"${each.dollars_per_hour:.4f} for a vCPU-hour; cheaper from {each.utilisation:.0%} at "
            f"work on ({rendering.duration(each.seconds_per_day)} of tasks a day), or from "
            f"{rendering.duration(each.seconds_at_once)} of work at once",
        )
