"""`stepgrid bench simulate`: a session on AWS's limits, on paper. Needs `stepgrid[simulate]`."""

from __future__ import annotations

from typing import Any

import click

from stepgrid.cli.context import (
    colours_wanted,
    json_option,
    print_fields,
    print_json,
    print_lines,
)
from stepgrid.cli.exit_codes import ExitCode
from stepgrid_core.errors import ConfigurationError

INSTALL_SIMULATE = 'the simulation is not installed: pip install "stepgrid[simulate]"'
_AT_LEAST_ONE = click.IntRange(min=1)


@click.command(short_help="A session on AWS's limits, on paper.")
@click.option("--tasks", type=_AT_LEAST_ONE, default=100_000, show_default=True)
@click.option(
    "--task-seconds",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Mean time of the user's code.",
)
@click.option(
    "--law",
    type=click.Choice(["fixed", "lognormal", "bimodal"]),
    default="fixed",
    show_default=True,
    help="How the times of tasks differ.",
)
@click.option(
    "--bytes",
    "task_bytes",
    type=_AT_LEAST_ONE,
    default=1024,
    show_default=True,
    help="Of a task, and of a result.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 10_000),
    default=1_000,
    show_default=True,
    help="Chunks that run at once.",
)
@click.option(
    "--copies",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="Identical functions of the worker.",
)
@click.option(
    "--chunk-size", type=_AT_LEAST_ONE, help="Tasks in a chunk.  [default: what the planner says]"
)
@click.option("--hint/--no-hint", "hinted", default=True, help="Does the planner know the mean?")
@click.option("--profile", type=click.Choice(["aws"]), default="aws", show_default=True)
@click.option(
    "--bottlenecks",
    type=click.IntRange(min=0),
    default=2,
    show_default=True,
    help="Find so many limits, one after the other.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Equal seeds, equal results.")
@json_option
def simulate(profile: str, bottlenecks: int, as_json: bool, **scenario: Any) -> int:
    """Work out how long a session would take on AWS, what it waits for, and what it asks for.

    The grid's own planner cuts it; AWS's limits and latencies are constants with sources, see
    docs/simulation.md. Nothing is started anywhere.

    \b
    Examples:
      stepgrid bench simulate --tasks 1000000 --task-seconds 0.1 --concurrency 10000 --copies 4
    """
    try:
        from stepgrid.bench.simulation import bottlenecks as search  # noqa: PLC0415
        from stepgrid.bench.simulation import profiles, report, scenarios, sessions  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"{INSTALL_SIMULATE} (missing: {error.name})") from error
    asked = scenarios.Scenario(**scenario)
    cloud = profiles.PROFILES[profile]
    done = sessions.simulate(asked, cloud)
    found = search.find_bottlenecks(asked, cloud, bottlenecks)
    if as_json:
        print_json(report.as_json(done, cloud, found))
        return ExitCode.OK
    print_fields(report.report_fields(done))
    click.echo()
    print_lines(report.resource_lines(done, cloud, colours_wanted()))
    click.echo()
    print_lines(report.bottleneck_lines(found))
    return ExitCode.OK
