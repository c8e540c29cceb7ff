"""What commands share: how to reach the grid and the local cloud, and how to print.

`App` is click's context object. Tests give the commands another one, with doors to fakes.
The local cloud is imported when its door is opened: it is an extra, perhaps not installed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from stepgrid import config
from stepgrid.agent_config import (
    AGENT_CONFIG_NAME,
    AGENT_CONFIG_OUTPUT,
    make_agent_config,
    write_agent_config,
)
from stepgrid.cli import rendering
from stepgrid.client import Grid
from stepgrid.cognito import Cognito, HttpCognito, UserPool
from stepgrid.config import Config
from stepgrid.login import find_pool
from stepgrid.retry import SystemClock
from stepgrid.users import Users, open_users
from stepgrid_core.errors import ConfigurationError

if TYPE_CHECKING:
    from stepgrid.bench.cost.meter import CostMeter
    from stepgrid.federation_registrar import FederationRegistrar
    from stepgrid.local import LocalCloud
    from stepgrid.registrar import GridStack, Registrar
    from stepgrid_core.contract import Response

INSTALL_LOCAL = 'the local cloud is not installed: pip install "stepgrid[local]"'


def _open_cloud(project_dir: Path) -> LocalCloud:
    try:
        from stepgrid.local import LocalCloud  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"{INSTALL_LOCAL} (missing: {error.name})") from error
    return LocalCloud(project_dir)


def _connect(stack_name: str, region: str | None, path: Path | None) -> tuple[Config, Path]:
    session, outputs = config.read_stack(stack_name, region)
    found = config.config_of(stack_name, outputs, session, region)
    written = config.write_profile(found, path)
    if AGENT_CONFIG_OUTPUT in outputs:  # a stack of an older version has none
        agent_config = written.with_name(AGENT_CONFIG_NAME)
        write_agent_config(make_agent_config(outputs), agent_config)
        note(f"clients written for HTC-Grid find the grid by AGENT_CONFIG_FILE={agent_config}")
    return found, written


def _open_users() -> Users:
    return open_users(config.find_config())


class _Aws(Protocol):
    """Where the stack is: a boto3 session, or the local cloud."""

    def client(self, service: str) -> Any: ...

    def resource(self, service: str) -> Any: ...


def _find_stack(
    stack: str | None, region: str | None, project_dir: Path
) -> tuple[GridStack, _Aws, Config]:
    """The named stack on AWS, or that of the grid that the commands find."""
    from stepgrid.registrar import GridStack  # noqa: PLC0415

    if stack is not None:
        session, outputs = config.read_stack(stack, region)
        named = config.config_of(stack, outputs, session, region)
        return GridStack.read(stack, outputs), session, named
    found = config.find_config(region=region)
    if found.aws_endpoint_url is not None:
        cloud = _open_cloud(project_dir)
        status = cloud.status()
        return GridStack.read(status.stack_name, status.outputs, True), cloud, found
    if found.stack_name is None:
        raise ConfigurationError("the grid's stack is not known: give --stack NAME")
    session, outputs = config.read_stack(found.stack_name, found.region, found.aws_profile)
    return GridStack.read(found.stack_name, outputs), session, found


def _open_registrar(stack: str | None, region: str | None, project_dir: Path) -> Registrar:
    from stepgrid.registrar import Registrar  # noqa: PLC0415

    grid_stack, aws, _ = _find_stack(stack, region, project_dir)
    return Registrar(grid_stack, aws.client)


def _open_federation(
    stack: str | None, region: str | None, project_dir: Path
) -> FederationRegistrar:
    from stepgrid.federation_registrar import open_federation  # noqa: PLC0415

    grid_stack, aws, found = _find_stack(stack, region, project_dir)
    return open_federation(grid_stack.table, aws.resource("dynamodb"), partial(open_users, found))


def _open_cost_meter(
    grid: Grid, stack: str | None, region: str | None, project_dir: Path
) -> CostMeter:
    from stepgrid.bench.cost.meter import CostMeter  # noqa: PLC0415

    found, aws, _ = _find_stack(stack, region, project_dir)
    return CostMeter(grid, found.name, aws.client, SystemClock(), time.time())


@dataclass(frozen=True, slots=True)
class App:
    """The doors to everything outside of the commands."""

    open_grid: Callable[[], Grid] = Grid
    open_cloud: Callable[[Path], LocalCloud] = _open_cloud
    #: Stack, region, where to write the profile -> the Config, where it was written.
    connect: Callable[[str, str | None, Path | None], tuple[Config, Path]] = _connect
    #: Stack, region, the local cloud's project -> what changes its workers.
    open_registrar: Callable[[str | None, str | None, Path], Registrar] = _open_registrar
    #: As before -> what changes its federation.
    open_federation: Callable[[str | None, str | None, Path], FederationRegistrar] = (
        _open_federation
    )
    #: The grid, then as before -> what measures its sessions.
    open_cost_meter: Callable[[Grid, str | None, str | None, Path], CostMeter] = _open_cost_meter
    find_config: Callable[[], Config] = config.find_config
    find_pool: Callable[[Config], UserPool] = find_pool
    open_cognito: Callable[[UserPool], Cognito] = HttpCognito
    open_users: Callable[[], Users] = _open_users
    #: Where logins are kept.
    home: Callable[[], Path] = Path.home
    #: Epoch seconds.
    now: Callable[[], float] = time.time


class InOrder(click.Group):
    """A group that lists its commands in the order in which they are used, not of the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


pass_app = click.make_pass_decorator(App, ensure=True)


def open_grid(app: App) -> Grid:
    """The grid, which is closed when the command ends. Raises ConfigurationError."""
    grid = app.open_grid()
    click.get_current_context().call_on_close(grid.close)
    return grid


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON for scripts: one object on each line."
)


def print_json(value: Any) -> None:
    """One line of JSON."""
    click.echo(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def print_model(model: Response, **more: str) -> None:
    """A model of the wire contract as it travels, after the keys in `more`."""
    print_json(more | model.model_dump(mode="json"))


def print_table(columns: Sequence[rendering.Column], rows: Iterable[Sequence[str]]) -> None:
    print_lines(rendering.table(columns, rows, colours_wanted()))


def print_fields(pairs: Iterable[tuple[str, str]]) -> None:
    print_lines(rendering.fields(pairs, colours_wanted()))


def print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)


def note(text: str) -> None:
    """For the person at the terminal; scripts read stdout and don't see it."""
    click.echo(text, err=True)


def colours_wanted() -> bool:
    """Colours are for terminals that can and people who want them (https://no-color.org)."""
    return (
        sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )
