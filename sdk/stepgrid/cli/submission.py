"""`stepgrid submit`: a file of tasks becomes a session."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from stepgrid.cli.context import App, json_option, note, open_grid, pass_app, print_model
from stepgrid.cli.exit_codes import ExitCode, session_exit_code
from stepgrid.cli.rendering import plural, session_summary, unsuccessful
from stepgrid.cli.results import STDOUT, results_file_option, write_results
from stepgrid.cli.session_options import (
    container_options,
    label_options,
    plan_options,
    read_given,
    with_options,
)
from stepgrid.cli.task_file import read_tasks, read_value
from stepgrid.cli.waiting import wait_for_end
from stepgrid_core.contract import SessionDescription
from stepgrid_core.errors import ServiceError

if TYPE_CHECKING:
    from stepgrid.session import Session


@click.command(short_help="Submit a file of tasks.")
@click.argument("worker")
@click.argument("file", type=click.File("rb"))
@with_options(*label_options, *plan_options, *container_options)
@click.option(
    "--common",
    "common_file",
    type=click.File("rb"),
    help="A file of one JSON value that all tasks share (context.common).",
)
@click.option(
    "--after",
    "depends_on",
    metavar="ID",
    multiple=True,
    help="Start when that session or job has finished well; may be given again.",
)
@click.option("--token", help="Makes the command repeatable: same token and tasks, same session.")
@click.option("--wait", is_flag=True, help="Wait until the session has ended.")
@results_file_option("--results", help="Wait, then write the results to FILE (-: standard output).")
@json_option
@pass_app
def submit(
    app: App,
    /,
    *,
    worker: str,
    file: BinaryIO,
    common_file: BinaryIO | None,
    token: str | None,
    wait: bool,
    results_path: Path | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Submit the tasks in FILE to WORKER, and print the session's id.

    FILE is JSON Lines: each line is one task, any JSON value; - is the standard input. A bad line
    is refused and nothing is submitted.

    \b
    Examples:
      stepgrid submit portfolio-pricing trades.jsonl --name nightly --tag desk=rates
      stepgrid submit mock-compute tasks.jsonl --wait --results results.jsonl
      stepgrid submit my-pricer trades.jsonl --common market.json
      stepgrid submit reporting desks.jsonl --after $SESSION
      stepgrid submit my-simulation runs.jsonl --task-timeout-seconds 3600 --vcpu 4 --on-demand
      SESSION=$(generate-tasks | stepgrid submit mock-compute - --task-seconds 0.5)
    """
    if as_json and results_path == STDOUT:
        raise click.UsageError("--json and --results - both want the standard output")
    given = read_given(options)
    if common_file is not None:
        given["common"] = read_value(common_file.read(), _name_of(common_file))
    tasks = read_tasks(file, _name_of(file))
    session, description = _submit(app, worker, tasks, token or str(uuid.uuid4()), given)
    if not as_json:
        click.echo(session.id, err=results_path == STDOUT)
    if not (wait or results_path):
        _print_outcome(description, f"submitted {plural(description.tasks, 'task')}", as_json)
        return ExitCode.OK
    wait_for_end(session)
    if results_path:
        write_results(session, results_path, as_json=False)
    description = session.status()
    _print_outcome(description, session_summary(description, app.now()), as_json)
    return session_exit_code(description.state, unsuccessful(description.counts))


def _name_of(file: BinaryIO) -> str:
    return str(getattr(file, "name", "<stdin>"))


def _print_outcome(description: SessionDescription, summary: str, as_json: bool) -> None:
    if as_json:
        print_model(description)
    else:
        note(f"stepgrid: {summary}")


def _submit(
    app: App, worker: str, tasks: Iterable[Any], token: str, options: dict[str, Any]
) -> tuple[Session, SessionDescription]:
    """Submit; when nobody knows whether that arrived, say how to repeat it without a second one."""
    try:
        session = open_grid(app).submit(worker, tasks, client_token=token, **options)
        return session, session.status()
    except (ServiceError, KeyboardInterrupt):
        note(f"stepgrid: it may have been submitted; to be safe, repeat it with --token {token}")
        raise
