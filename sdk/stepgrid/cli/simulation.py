"""`stepgrid bench simulate`: a session on AWS's limits, on paper. Needs `stepgrid[simulate]`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from stepgrid.cli.context import (
    App,
    colours_wanted,
    json_option,
    open_grid,
    pass_app,
    print_fields,
    print_json,
    print_lines,
)
from stepgrid.cli.exit_codes import ExitCode
from stepgrid.cli.local import project_option
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
    help="Chunks that run at once. A stack allows as many by its parameter WorkerConcurrency, and "
    "a session gets them by max_concurrency or the stack's DefaultConcurrency.",
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
@click.option("--profile", type=click.Choice(["aws", "local"]), default="aws", show_default=True)
@click.option(
    "--bottlenecks",
    type=click.IntRange(min=0),
    default=2,
    show_default=True,
    help="Find so many limits, one after the other.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Equal seeds, equal results.")
@click.option(
    "--validate", is_flag=True, help="Run sessions on the local cloud and compare them instead."
)
@project_option
@json_option
@pass_app
def simulate(
    app: App,
    /,
    *,
    profile: str,
    bottlenecks: int,
    validate: bool,
    project_dir: Path,
    as_json: bool,
    **scenario: Any,
) -> int:
    """Work out how long a session would take on AWS, what it waits for, and what it asks for.

    The grid's own planner cuts it; AWS's limits and latencies are constants with sources, see
    docs/simulation.md. Nothing is started anywhere, but with --validate.

    \b
    Examples:
      stepgrid bench simulate --tasks 1000000 --task-seconds 0.1 --concurrency 10000 --copies 4
      stepgrid bench simulate --tasks 10000 --profile local --concurrency 4
      stepgrid bench simulate --validate
    """
    with _installed():
        if validate:
            _compare(app, project_dir, as_json)
        else:
            _foretell(profile, bottlenecks, as_json, scenario)
    return ExitCode.OK


@contextmanager
def _installed() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"{INSTALL_SIMULATE} (missing: {error.name})") from error


def _foretell(profile: str, bottlenecks: int, as_json: bool, asked: dict[str, Any]) -> None:
    from stepgrid.bench.simulation import bottlenecks as search  # noqa: PLC0415
    from stepgrid.bench.simulation import profiles, report, scenarios, sessions  # noqa: PLC0415

    scenario, cloud = scenarios.Scenario(**asked), profiles.PROFILES[profile]
    done = sessions.simulate(scenario, cloud)
    if as_json:
        found = search.find_bottlenecks(scenario, cloud, bottlenecks)
        print_json(report.as_json(done, cloud, found))
        return
    print_fields(report.report_fields(done))
    click.echo()
    print_lines(report.resource_lines(done, cloud, colours_wanted()))
    if bottlenecks:
        click.echo()
        print_lines(report.bottleneck_lines(search.find_bottlenecks(scenario, cloud, bottlenecks)))


def _compare(app: App, project_dir: Path, as_json: bool) -> None:
    from stepgrid.bench.simulation import calibration, report, validation  # noqa: PLC0415

    status = app.open_cloud(project_dir).status()
    if status.pid is None:
        raise ConfigurationError("no local cloud runs here: stepgrid local up")
    grid, cpu = open_grid(app), calibration.LocalCpu(status.pid)
    cloud = calibration.calibrate(grid, cpu)
    found = validation.validate(grid, cpu, cloud)
    if as_json:
        for item in found:
            print_json(report.comparison_json(item))
        return
    print_fields(report.calibration_fields(cloud))
    click.echo()
    print_lines(report.comparison_lines(found, colours_wanted()))
