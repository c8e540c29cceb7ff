"""`stepgrid workers`: list them, try one; register, unregister and limit are for operators."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from stepgrid.cli import rendering
from stepgrid.cli.context import (
    App,
    InOrder,
    json_option,
    note,
    open_grid,
    pass_app,
    print_fields,
    print_json,
    print_model,
    print_table,
)
from stepgrid.cli.exit_codes import ExitCode
from stepgrid.cli.operating import operator_options
from stepgrid.cli.task_file import read_value
from stepgrid.cli.waiting import wait_for_end
from stepgrid_core.errors import TaskError

if TYPE_CHECKING:
    from stepgrid.session import Session

#: Chunks that run at once; see contract.SessionOptions.
MOST_CONCURRENCY = 10_000


@click.group(cls=InOrder, invoke_without_command=True, short_help="List, try and register workers.")
@json_option
@click.pass_context
def workers(context: click.Context, as_json: bool) -> int | None:
    """List the workers that tasks can be submitted to, and their limits.

    \b
    Examples:
      stepgrid workers
      stepgrid workers --json | jq -r .name
      stepgrid workers test mock-compute event.json
      stepgrid workers register pricer --function pricer-cpp
    """
    if context.invoked_subcommand is not None:
        return None
    return int(context.invoke(list_workers, as_json=as_json))


@workers.command("list", short_help="List them with their limits.")
@json_option
@pass_app
def list_workers(app: App, as_json: bool) -> int:
    """List the workers: their kind, runtime and limits.

    A package is deployed with the grid; a function is a plain Lambda that was registered.

    \b
    Example:
      stepgrid workers list --json | jq -r 'select(.kind == "function") | .name'
    """
    found = open_grid(app).workers()
    if as_json:
        for worker in found:
            print_model(worker)
    else:
        print_table(rendering.WORKER_COLUMNS, map(rendering.worker_row, found))
    return ExitCode.OK


@workers.command("test", short_help="Run one event through a worker.")
@click.argument("name")
@click.argument("file", type=click.File("rb"), metavar="EVENT")
@click.option("--timeout-seconds", type=float, help="For the task.  [default: the worker's]")
@json_option
@pass_app
def run_once(
    app: App, name: str, file: BinaryIO, timeout_seconds: float | None, as_json: bool
) -> int:
    """Run the worker NAME once, with the JSON value in the file EVENT (- is the standard input).

    It goes through the grid, as a session of one task with one attempt. Prints the result, or the
    error with the worker's traceback and exits with 1.

    \b
    Examples:
      stepgrid workers test mock-compute event.json
      echo '{"worker_arguments": ["100", "1", "1"]}' | stepgrid workers test mock-compute -
    """
    event = read_value(file.read(), str(getattr(file, "name", "<stdin>")))
    options: dict[str, Any] = {"max_attempts": 1, "name": f"test of {name}"}
    if timeout_seconds is not None:
        options["task_timeout_seconds"] = timeout_seconds
    session = open_grid(app).submit(name, [event], **options)
    wait_for_end(session)
    return _print_outcome(session, as_json)


def _print_outcome(session: Session, as_json: bool) -> int:
    (task,) = session.tasks()
    (outcome,) = session.stream(return_exceptions=True)
    seconds = (task.milliseconds or 0.0) / 1000
    failed = isinstance(outcome, TaskError)
    if as_json:
        answer = {"session_id": session.id, "state": task.state, "attempts": task.attempts}
        told = {"error": _error(outcome)} if failed else {"result": outcome}
        print_json({**answer, "milliseconds": task.milliseconds, **told})
    elif failed:
        if outcome.traceback:
            note(outcome.traceback)
        note(f"stepgrid: {_headline(outcome)}")
    else:
        click.echo(json.dumps(outcome, indent=2, ensure_ascii=False))
    if not as_json:
        attempts = rendering.plural(task.attempts or 0, "attempt")
        note(f"stepgrid: {task.state} in {rendering.duration(seconds)}, {attempts}")
    return ExitCode.FAILED if failed else ExitCode.OK


def _error(error: TaskError) -> dict[str, str]:
    return {
        "type": error.remote_type or type(error).__name__,
        "message": error.remote_message or str(error),
        "traceback": error.traceback,
    }


def _headline(error: TaskError) -> str:
    told = _error(error)
    return rendering.printable(f"{told['type']}: {told['message']}")


@workers.command(short_help="Make a plain Lambda a worker.")
@click.argument("name")
@click.option("--function", required=True, help="Name or ARN of the Lambda function.")
@click.option(
    "--timeout-seconds",
    type=click.IntRange(1, 900),
    help="That a task may take at most.  [default: the function's own timeout]",
)
@click.option(
    "--concurrency", type=click.IntRange(1, MOST_CONCURRENCY), help="Chunks that run at once."
)
@operator_options
@json_option
@pass_app
def register(
    app: App,
    /,
    *,
    name: str,
    function: str,
    timeout_seconds: int | None,
    concurrency: int | None,
    stack: str | None,
    region: str | None,
    project_dir: Path,
    as_json: bool,
) -> int:
    """Let tasks be submitted to FUNCTION, a Lambda of any runtime, under NAME.

    It is called once for each task, with the task as its event, and needs to know nothing of
    stepgrid. This writes to the grid's table and tags the function, with your AWS credentials.

    \b
    Examples:
      stepgrid workers register pricer --function pricer-cpp
      stepgrid workers register pricer --function arn:aws:lambda:...:function:pricer:live
    """
    done = app.open_registrar(stack, region, project_dir).register(
        name, function, timeout_seconds=timeout_seconds, concurrency=concurrency
    )
    if as_json:
        print_json(asdict(done))
    else:
        print_fields(
            [
                ("worker", done.name),
                ("function", done.target),
                ("runtime", done.runtime or rendering.NONE),
                ("timeout", rendering.duration(done.timeout_seconds)),
                ("chunks at once", str(done.concurrency or "the grid's number")),
            ]
        )
    return ExitCode.OK


@workers.command(short_help="Forget a registered function.")
@click.argument("name")
@operator_options
@json_option
@pass_app
def unregister(
    app: App,
    /,
    *,
    name: str,
    stack: str | None,
    region: str | None,
    project_dir: Path,
    as_json: bool,
) -> int:
    """Take no more tasks for NAME; the function itself is left as it is.

    \b
    Example:
      stepgrid workers unregister pricer
    """
    app.open_registrar(stack, region, project_dir).unregister(name)
    if as_json:
        print_json({"name": name, "registered": False})
    else:
        click.echo(f"{name}  unregistered")
    return ExitCode.OK


@workers.command(short_help="Limit the chunks of a worker that run at once.")
@click.argument("name")
@click.argument("concurrency", metavar="N|none")
@operator_options
@json_option
@pass_app
def limit(
    app: App,
    /,
    *,
    name: str,
    concurrency: str,
    stack: str | None,
    region: str | None,
    project_dir: Path,
    as_json: bool,
) -> int:
    """Let N chunks of the worker NAME run at once, over all sessions; none: the grid's own number.

    \b
    Examples:
      stepgrid workers limit pricer 50
      stepgrid workers limit pricer none
    """
    most = None if concurrency == "none" else _read_limit(concurrency)
    app.open_registrar(stack, region, project_dir).limit(name, most)
    if as_json:
        print_json({"name": name, "concurrency": most})
    else:
        told = "the grid's number of chunks" if most is None else rendering.plural(most, "chunk")
        click.echo(f"{name}  {told} at once")
    return ExitCode.OK


def _read_limit(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST_CONCURRENCY:
        raise click.BadParameter(
            f"{text!r} is neither a number from 1 to {MOST_CONCURRENCY} nor none",
            click.get_current_context(),
            param_hint="'N|none'",
        )
    return int(text)
