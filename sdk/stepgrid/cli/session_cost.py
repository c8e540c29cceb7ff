"""`stepgrid cost`: what one session has used of AWS, and what that costs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stepgrid.bench.cost.bill import Usage, unpriced
from stepgrid.bench.cost.meter import HOW_TO_COUNT
from stepgrid.bench.cost.past import PastUse, with_tasks
from stepgrid.bench.cost.session_bill import NOT_IN_IT, BillLine, SessionBill, bill_lines
from stepgrid.cli.context import (
    App,
    json_option,
    note,
    open_grid,
    pass_app,
    print_json,
    print_table,
)
from stepgrid.cli.exit_codes import ExitCode
from stepgrid.cli.operating import operator_options
from stepgrid.cli.rendering import Column, dollars, plural
from stepgrid_core.errors import ConfigurationError
from stepgrid_core.prices import CHECKED
from stepgrid_core.states import TERMINAL_SESSIONS

if TYPE_CHECKING:
    from stepgrid.client import Grid
    from stepgrid_core.contract import SessionDescription

COLUMNS = (Column("PART"), Column("USED"), Column("DOLLARS", right=True))


@click.command(short_help="Show what a session costs.")
@click.argument("session_id", metavar="SESSION")
@operator_options
@json_option
@pass_app
def cost(
    app: App,
    *,
    session_id: str,
    stack: str | None,
    region: str | None,
    project_dir: Path,
    as_json: bool,
) -> int:
    """Show what SESSION has used of AWS so far, and what that costs by the prices of us-east-1.

    Requests are read from the logs of the stack, which takes an operator's rights and a grid that
    counts them: parameter CountRequests, or `stepgrid local up --count-requests`. Without, what is
    shown is the time of its tasks and containers alone. See docs/cost.md.

    \b
    Examples:
      stepgrid cost $SESSION
      stepgrid cost $SESSION --json | jq .dollars_per_million_tasks
    """
    grid = open_grid(app)
    status = grid.session(session_id).status()
    try:
        past = app.open_cost_meter(grid, stack, region, project_dir).look_back(status)
        if not past.counted:
            note(f"stepgrid: requests are not in it: {HOW_TO_COUNT}")
    except ConfigurationError as error:
        if stack is not None:
            raise
        note(f"stepgrid: requests are not in it: {error}")
        past = PastUse(Usage(), counted=False)
    if status.backend == "node":
        note("stepgrid: its runs are on nodes of organizations, which are not in it")
    usage = _with_time(grid, status, past)
    lines = bill_lines(usage, status.containers)
    bill = SessionBill(session_id, status.tasks, past.counted, lines)
    for name in unpriced(usage):
        note(f"stepgrid: no price is known for {name}: the bill is too low")
    if status.state not in TERMINAL_SESSIONS:
        note("stepgrid: it has not ended: this is what it has used so far")
    if as_json:
        print_json(bill_json(bill, usage))
    else:
        _print_bill(bill)
    return ExitCode.OK


def _with_time(grid: Grid, status: SessionDescription, past: PastUse) -> Usage:
    """The time of functions that have told nothing: all of them, or a registered one."""
    worker = next((each for each in grid.workers() if each.name == status.worker), None)
    if worker is None or status.backend != "lambda":
        return past.usage
    told = past.counted and worker.kind == "package"
    return (
        past.usage
        if told
        else with_tasks(past.usage, status.timings.task_seconds, worker.memory_mib)
    )


def bill_json(bill: SessionBill, usage: Usage) -> dict[str, Any]:
    return {
        "session_id": bill.session_id,
        "tasks": bill.tasks,
        "counted": bill.counted,
        "lines": [asdict(line) for line in bill.lines],
        "dollars": bill.dollars,
        "dollars_per_million_tasks": bill.dollars_per_million,
        "requests": dict(usage.requests),
        "prices_checked": CHECKED,
        "not_in_it": list(NOT_IN_IT),
    }


def _print_bill(bill: SessionBill) -> None:
    total = ("total", plural(bill.tasks, "task"), dollars(bill.dollars))
    million = ("a million tasks", "", dollars(bill.dollars_per_million))
    print_table(COLUMNS, [*map(cells, bill.lines), total, million])
    click.echo()
    click.echo(f"Dollars at the prices of {CHECKED}, us-east-1, without free tiers.")
    click.echo(f"Not in it: {', '.join(NOT_IN_IT)}.")


def cells(line: BillLine) -> tuple[str, ...]:
    used = ", ".join(_amount(n, unit) for unit, n in line.used.items())
    return line.part, used, dollars(line.dollars)


def _amount(value: float, unit: str) -> str:
    text = f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
    return f"{text} {unit.removesuffix('s') if value == 1 and not unit.endswith('-s') else unit}"
