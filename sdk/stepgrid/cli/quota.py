"""`stepgrid quota`: what you may have at work; set and show are for operators."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from stepgrid.cli import rendering
from stepgrid.cli.context import (
    App,
    InOrder,
    json_option,
    open_grid,
    pass_app,
    print_fields,
    print_json,
    print_model,
)
from stepgrid.cli.exit_codes import ExitCode
from stepgrid.cli.operating import operator_options

_MOST = click.IntRange(min=0)


@click.group(
    cls=InOrder, invoke_without_command=True, short_help="What you have at work, and may have."
)
@json_option
@click.pass_context
def quota(context: click.Context, as_json: bool) -> int | None:
    """Show who you are to the grid, what your open sessions hold, and what they may hold.

    \b
    Examples:
      stepgrid quota
      stepgrid quota --json | jq .max_tasks
      stepgrid quota set arn:aws:iam::123456789012:user/ada --sessions 10 --tasks 100000
    """
    if context.invoked_subcommand is not None:
        return None
    return int(context.invoke(show_own, as_json=as_json))


@quota.command("own", short_help="What you have at work, and may have.")
@json_option
@pass_app
def show_own(app: App, as_json: bool) -> int:
    """Show what your open sessions hold, and what they may hold; as `stepgrid quota` does.

    \b
    Example:
      stepgrid quota own --json | jq -r .owner
    """
    found = open_grid(app).quota()
    if as_json:
        print_model(found)
    else:
        print_fields(rendering.quota_fields(found))
    return ExitCode.OK


@quota.command("set", short_help="Give one owner quotas of its own.")
@click.argument("owner")
@click.option("--sessions", type=_MOST, help="Open sessions.")
@click.option("--tasks", type=_MOST, help="Tasks in its open sessions.")
@click.option("--concurrency", type=_MOST, help="Chunks at once on one worker.")
@operator_options
@json_option
@pass_app
def set_quota(
    app: App,
    /,
    *,
    owner: str,
    sessions: int | None,
    tasks: int | None,
    concurrency: int | None,
    stack: str | None,
    region: str | None,
    project_dir: Path,
    as_json: bool,
) -> int:
    """Set what OWNER may have at work; what is left out is as for everybody.

    OWNER is what `stepgrid quota` shows to it. It holds a minute later at most. This writes to the
    grid's table, with your AWS credentials.

    \b
    Examples:
      stepgrid quota set cognito:eu-west-1:6f1c... --sessions 10
      stepgrid quota set arn:aws:iam::123456789012:user/ada
    """
    registrar = app.open_registrar(stack, region, project_dir)
    registrar.set_quota(owner, sessions=sessions, tasks=tasks, concurrency=concurrency)
    return _show(owner, **asdict(registrar.read_quota(owner)), as_json=as_json)


@quota.command("show", short_help="The quotas of one owner.")
@click.argument("owner")
@operator_options
@json_option
@pass_app
def show_quota(
    app: App,
    /,
    *,
    owner: str,
    stack: str | None,
    region: str | None,
    project_dir: Path,
    as_json: bool,
) -> int:
    """Show what was set for OWNER, in place of what holds for everybody.

    \b
    Example:
      stepgrid quota show arn:aws:iam::123456789012:user/ada
    """
    registrar = app.open_registrar(stack, region, project_dir)
    return _show(owner, **asdict(registrar.read_quota(owner)), as_json=as_json)


def _show(
    owner: str, *, sessions: int | None, tasks: int | None, slots: int | None, as_json: bool
) -> int:
    if as_json:
        limits = {"max_sessions": sessions, "max_tasks": tasks, "max_concurrency": slots}
        print_json({"owner": owner, **limits})
    else:
        print_fields(rendering.set_quota_fields(owner, sessions, tasks, slots))
    return ExitCode.OK
