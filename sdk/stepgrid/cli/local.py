"""`stepgrid local`: the local cloud, from a shell. Needs the extra `stepgrid[local]`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stepgrid.cli import rendering
from stepgrid.cli.context import (
    INSTALL_LOCAL,
    App,
    InOrder,
    json_option,
    note,
    pass_app,
    print_fields,
    print_json,
)
from stepgrid.cli.exit_codes import ExitCode
from stepgrid_core.errors import ConfigurationError

if TYPE_CHECKING:
    from stepgrid.local import LocalCloud, LocalStatus

project_option = click.option(
    "--project",
    "project_dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    metavar="DIR",
    help="The folder of template.yaml.  [default: the current folder]",
)


@click.group(cls=InOrder, short_help="Run the grid on this machine.", no_args_is_help=False)
def local() -> None:
    """Run the grid's AWS part on this machine, from the same template.yaml.

    Everything it keeps is in .stepgrid/ of the project. Needs: pip install "stepgrid[local]"

    \b
    Examples:
      stepgrid local up
      stepgrid local logs ApiFunction --follow
      stepgrid local down
    """


@contextmanager
def _cloud(app: App, project_dir: Path) -> Iterator[LocalCloud]:
    try:
        yield app.open_cloud(project_dir)
    except ModuleNotFoundError as error:
        # The package is there, but not the emulator or the SAM CLI, which it asks for by version.
        raise ConfigurationError(f"{INSTALL_LOCAL} (missing: {error.name})") from error


@local.command(short_help="Start it, or bring it up to date.")
@project_option
@click.option("--redis", is_flag=True, help="With a payload cache: a Valkey server.")
@click.option(
    "--count-requests",
    is_flag=True,
    help="Have functions log what they send to AWS, for `stepgrid bench cost`.",
)
@json_option
@pass_app
def up(app: App, *, project_dir: Path, redis: bool, count_requests: bool, as_json: bool) -> int:
    """Start the local cloud and deploy to it, or bring the running one up to date.

    Afterwards Grid() and every command of stepgrid find it without further settings.

    \b
    Example:
      stepgrid local up --project ~/src/my-grid
    """
    with _cloud(app, project_dir) as cloud:
        status = cloud.up(progress=note, redis=redis, count_requests=count_requests)
    _print_status(status, as_json)
    return ExitCode.OK


@local.command(short_help="Stop it.")
@project_option
@json_option
@pass_app
def down(app: App, project_dir: Path, as_json: bool) -> int:
    """Stop exactly what `up` started. Sessions and results in it are gone.

    \b
    Example:
      stepgrid local down
    """
    with _cloud(app, project_dir) as cloud:
        stopped = cloud.down()
    if as_json:
        print_json({"stopped": stopped})
    else:
        click.echo("stopped" if stopped else "nothing was running")
    return ExitCode.OK


@local.command("status", short_help="Show where it is.")
@project_option
@json_option
@pass_app
def show_status(app: App, project_dir: Path, as_json: bool) -> int:
    """Show where the local cloud is; exit code 3 if it is not running.

    \b
    Examples:
      stepgrid local status || stepgrid local up
      stepgrid local status --json | jq -r .outputs.SessionMachineArn
    """
    with _cloud(app, project_dir) as cloud:
        status = cloud.status()
    _print_status(status, as_json)
    return ExitCode.OK if status.running else ExitCode.UNREACHABLE


@local.command(short_help="Print a function's log.")
@click.argument("function", required=False)
@click.option("--follow", "-f", is_flag=True, help="Go on until Ctrl-C.")
@project_option
@json_option
@pass_app
def logs(app: App, function: str | None, follow: bool, project_dir: Path, as_json: bool) -> int:
    """Print the log of FUNCTION, as template.yaml calls it, or of the emulator.

    \b
    Examples:
      stepgrid local logs ApiFunction --follow
      stepgrid local logs
    """
    with _cloud(app, project_dir) as cloud:
        for line in cloud.logs(function, follow):
            if as_json:
                print_json({"message": line})
            else:
                click.echo(line)
    return ExitCode.OK


def _print_status(status: LocalStatus, as_json: bool) -> None:
    if as_json:
        print_json(json_ready(asdict(status)))
    else:
        print_fields(status_fields(status))


def json_ready(values: dict[str, Any]) -> dict[str, Any]:
    """The same values, with paths as text."""
    return {key: str(value) if isinstance(value, Path) else value for key, value in values.items()}


def status_fields(status: LocalStatus) -> Iterator[tuple[str, str]]:
    """What `stepgrid local status` shows."""
    if not status.running:
        yield "state", "stopped"
        yield "start", "stepgrid local up"
        return
    uptime = rendering.duration(status.uptime_seconds or 0)
    yield "state", "running" if status.outputs else "running, but not deployed: stepgrid local up"
    yield "process", f"{status.pid}, for {uptime}"
    yield "api", status.endpoint or rendering.NONE
    yield "aws", status.aws_endpoint_url or rendering.NONE
    if status.redis_url:
        yield "redis", status.redis_url
    yield "profile", str(status.profile_path)
    if status.agent_config_path:
        yield "login", f"a user and its password are in {status.agent_config_path}"
    if status.kotta_auth_path:
        yield "kotta", f"a token of that user is in {status.kotta_auth_path}"
    yield "log", str(status.log_path)
