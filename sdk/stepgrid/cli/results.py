"""`stepgrid results`: the results of a session as JSON Lines, in the order of its tasks."""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click

from stepgrid.cli.context import App, json_option, note, open_grid, pass_app
from stepgrid.cli.exit_codes import ExitCode
from stepgrid.cli.rendering import plural
from stepgrid.cli.waiting import attachable, wait_for_end
from stepgrid_core.errors import TaskCancelled, TaskError

if TYPE_CHECKING:
    from stepgrid.session import Session

Command = TypeVar("Command", bound=Callable[..., Any])


#: What `-` means where a file to write is asked for.
STDOUT = Path("-")


def _check_folder(
    context: click.Context, parameter: click.Parameter, path: Path | None
) -> Path | None:
    """Refuse early what could not be written after hours of waiting."""
    if path is None or path == STDOUT or not _is_replaced(path):
        return path
    if not os.access(path.parent, os.W_OK | os.X_OK):
        problem = "can't be written to" if path.parent.exists() else "does not exist"
        raise click.BadParameter(f"the folder of {path} {problem}", context, parameter)
    return path


def results_file_option(*names: str, help: str) -> Callable[[Command], Command]:
    """An option that gives the parameter `results_path`."""
    return click.option(
        *names,
        "results_path",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        callback=_check_folder,
        help=help,
    )


@click.command(short_help="Results as JSON Lines, in order.")
@click.argument("session_id", metavar="SESSION")
@results_file_option(
    "--output", "-o", help="Write to FILE, which is replaced once all is there.  [default: -]"
)
@json_option
@pass_app
def results(app: App, session_id: str, results_path: Path | None, as_json: bool) -> int:
    """Print the result of each task of SESSION on a line of its own, in order of submission.

    A task without a result has the line {"error": {"type", "message", "traceback"}}, and the exit
    code is 1. With --json each line is {"index", "state", "result" or "error"}. Tasks that have
    not ended are waited for.

    \b
    Examples:
      stepgrid results $SESSION --output results.jsonl
      stepgrid results $SESSION | head -3
      stepgrid results $SESSION --json | jq -c 'select(.state == "failed") | .error.message'
    """
    session = open_grid(app).session(session_id)
    path = results_path or STDOUT
    if path != STDOUT:  # else lines are printed as they come
        wait_for_end(session)
    unsuccessful = write_results(session, path, as_json)
    if unsuccessful:
        tasks = plural(unsuccessful, "task")
        note(f"stepgrid: {tasks} without a result; see: stepgrid failures {session_id}")
    return ExitCode.FAILED if unsuccessful else ExitCode.OK


def write_results(session: Session, path: Path, as_json: bool) -> int:
    """Write all results to a file or STDOUT; how many tasks have none. Raises OSError."""
    with attachable(session.id):
        if path == STDOUT:
            return _write_lines(session, sys.stdout, as_json)
        with replacing(path) as file:
            return _write_lines(session, file, as_json)


def _write_lines(session: Session, file: TextIO, as_json: bool) -> int:
    unsuccessful = 0
    for index, outcome in enumerate(session.stream(return_exceptions=True)):
        unsuccessful += isinstance(outcome, TaskError)
        file.write(result_line(index, outcome, as_json))
    return unsuccessful


def result_line(index: int, outcome: Any, as_json: bool) -> str:
    """The line of one task. outcome: its result, or the TaskError that it has instead."""
    answer, state = {"result": outcome}, "finished"
    if isinstance(outcome, TaskError):
        answer, state = {"error": _error(outcome)}, _state(outcome)
    value = {"index": index, "state": state} | answer if as_json else answer.get("result", answer)
    # ASCII: a result may hold half of a surrogate pair, which no UTF-8 file can.
    return json.dumps(value, separators=(",", ":")) + "\n"


def _state(error: TaskError) -> str:
    return "cancelled" if isinstance(error, TaskCancelled) else "failed"


def _error(error: TaskError) -> dict[str, str]:
    """What the worker said; of a task that never got so far, what the SDK says."""
    return {
        "type": error.remote_type or type(error).__name__,
        "message": error.remote_message or str(error),
        "traceback": error.traceback,
    }


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """A text file that takes the place of `path` when all went well, and is gone otherwise."""
    if not _is_replaced(path):
        with path.open("w", encoding="utf-8") as file:
            yield file
        return
    target = path.resolve()  # a link stays a link
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with part.open("x", encoding="utf-8") as file:
            yield file
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _is_replaced(path: Path) -> bool:
    """Pipes and devices are written to as they are: they can't be replaced."""
    return path.is_file() or not path.exists()
