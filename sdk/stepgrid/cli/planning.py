"""`stepgrid plan`: how a session would run, or runs, before and after it is submitted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from stepgrid.cli.context import App, json_option, open_grid, pass_app, print_fields, print_model
from stepgrid.cli.exit_codes import ExitCode
from stepgrid.cli.rendering import dollars, duration, number, plural
from stepgrid.cli.session_options import container_options, plan_options, read_given, with_options
from stepgrid_core.contract import ContainerPlan, Estimate, PlanDescription


@click.command(short_help="Show how a session would run, and what it would cost.")
@click.argument("worker", required=False)
@click.argument("count", type=click.IntRange(min=1), required=False)
@click.option("--session", "session_id", metavar="ID", help="Of a session that was submitted.")
@click.option("--size", type=click.IntRange(min=1), help="Bytes of all tasks as JSON Lines.")
@with_options(*plan_options, *container_options)
@json_option
@pass_app
def plan(
    app: App,
    /,
    *,
    worker: str | None,
    count: int | None,
    session_id: str | None,
    size: int | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Show where COUNT tasks of WORKER would run, why, how long that takes and what it costs.

    Nothing is submitted. With --session: of a session that was, by what was known then.

    \b
    Examples:
      stepgrid plan portfolio-pricing 1000000 --task-seconds 0.1
      stepgrid plan my-simulation 40 --task-seconds 1200 --task-timeout-seconds 1800
      stepgrid plan my-simulation 40 --task-seconds 1200 --backend fargate --vcpu 4 --on-demand
      stepgrid plan --session $SESSION
    """
    given = read_given(options)
    if session_id is not None:
        if worker is not None or size is not None or given:
            raise click.UsageError("--session is a session as it was submitted: give nothing else")
        found = open_grid(app).session(session_id).plan()
    elif worker is None or count is None:
        raise click.UsageError("give WORKER and COUNT, or --session ID")
    else:
        found = open_grid(app).plan(worker, count, size=size, **given)
    if as_json:
        print_model(found)
    else:
        print_fields(plan_fields(found))
    return ExitCode.OK


def plan_fields(plan: PlanDescription) -> Iterator[tuple[str, str]]:
    """Where and why, in which pieces, for how long and how much."""
    largest, at_once = plural(plan.chunk_size, "task"), number(plan.slots)
    yield "backend", plan.backend
    yield "because", plan.reason
    yield "chunks", f"{number(plan.chunks)} of up to {largest}, {at_once} at once"
    if plan.containers is not None:
        yield "containers", container_text(plan.containers)
    task_time = duration(plan.estimate.task_seconds)
    yield "takes", f"{_estimate(plan.estimate)}, if a task takes {task_time}"
    for other in plan.others:
        yield f"on {other.backend}", _estimate(other)
    yield "prices", plan.prices


def container_text(size: ContainerPlan) -> str:
    how = "Spot" if size.spot else "on demand"
    return (
        f"{number(size.count)} of {size.vcpu:g} vCPU, {number(size.memory_mib)} MiB and "
        f"{size.storage_gib} GiB of disk; {how}, {size.architecture}"
    )


def _estimate(estimate: Estimate) -> str:
    return f"{duration(estimate.seconds)}, ${dollars(estimate.dollars)}"
