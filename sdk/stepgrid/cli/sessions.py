"""Commands about sessions that exist: status, tasks, cancel, delete, list."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import click

from stepgrid.cli import rendering
from stepgrid.cli.context import (
    App,
    json_option,
    note,
    open_grid,
    pass_app,
    print_fields,
    print_json,
    print_model,
    print_table,
)
from stepgrid.cli.exit_codes import ExitCode, session_exit_code
from stepgrid.cli.waiting import wait_for_end
from stepgrid_core.errors import DeadlineExceeded
from stepgrid_core.states import TERMINAL_SESSIONS, FailureReason, SessionState, TaskState

if TYPE_CHECKING:
    from stepgrid.session import Session
    from stepgrid_core.contract import SessionDescription

Item = TypeVar("Item")


def _choice_of(states: Iterable[str]) -> click.ParamType:
    return click.Choice([str(state) for state in states])


def _limited(items: Iterable[Item], limit: int) -> Iterable[Item]:
    return islice(items, limit) if limit else items


@click.command(short_help="State, counts and times of a session.")
@click.argument("session_id", metavar="SESSION")
@click.option(
    "--wait",
    "wait_seconds",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Wait for its end, so long at most; exit code 3 if it has not ended by then.",
)
@json_option
@pass_app
def status(app: App, session_id: str, wait_seconds: float | None, as_json: bool) -> int:
    """Show the state, the counts and the times of SESSION.

    Exits with 0 for a session in any state; with --wait, with 1 unless every task has a result.

    \b
    Examples:
      stepgrid status 1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed
      stepgrid status $SESSION --wait 600 && echo done
      stepgrid status $SESSION --json | jq .counts.failed
    """
    session = open_grid(app).session(session_id)
    if wait_seconds is not None:
        _wait_at_most(session, wait_seconds)
    description = session.status()
    if as_json:
        print_model(description)
    else:
        print_fields(rendering.session_fields(description, app.now()))
    if wait_seconds is None:
        return ExitCode.OK
    if description.state not in TERMINAL_SESSIONS:
        note(f"stepgrid: {session_id} has not ended after {wait_seconds:g} s; it goes on")
        return ExitCode.UNREACHABLE
    return session_exit_code(description.state, rendering.unsuccessful(description.counts))


def _wait_at_most(session: Session, seconds: float) -> None:
    try:
        wait_for_end(session, seconds)
    except DeadlineExceeded:
        return  # the description says how far it has come


@click.command(short_help="List the tasks of a session.")
@click.argument("session_id", metavar="SESSION")
@click.option("--state", type=_choice_of(TaskState), help="Only the tasks in this state.")
@click.option("--limit", type=click.IntRange(min=0), default=0, help="0, the default: all.")
@json_option
@pass_app
def tasks(app: App, session_id: str, state: str | None, limit: int, as_json: bool) -> int:
    """List the tasks of SESSION in order: state, attempts, time and error.

    \b
    Examples:
      stepgrid tasks $SESSION --state failed
      stepgrid tasks $SESSION --state failed --json | jq -r .error.message
    """
    session = open_grid(app).session(session_id)
    wanted = TaskState(state) if state else None
    found = _limited(session.tasks(state=wanted), limit)
    if as_json:
        for task in found:
            print_model(task)
    else:
        print_table(rendering.TASK_COLUMNS, map(rendering.task_row, found))
    return ExitCode.OK


@click.command(short_help="List the failed tasks of a session, with reasons.")
@click.argument("session_id", metavar="SESSION")
@click.option("--reason", type=_choice_of(FailureReason), help="Only those that failed for it.")
@click.option("--limit", type=click.IntRange(min=0), default=0, help="0, the default: all.")
@json_option
@pass_app
def failures(app: App, session_id: str, reason: str | None, limit: int, as_json: bool) -> int:
    """List the tasks of SESSION that have failed for good: reason, attempts and error.

    \b
    Examples:
      stepgrid failures $SESSION --reason timeout
      stepgrid failures $SESSION --json | jq -r .reason | sort | uniq -c
    """
    letters = open_grid(app).session(session_id).dead_letters()
    found = _limited((x for x in letters if reason in (None, x.reason)), limit)
    if as_json:
        for letter in found:
            print_json(asdict(letter))
    else:
        print_table(rendering.FAILURE_COLUMNS, map(rendering.failure_row, found))
    return ExitCode.OK


@click.command(short_help="End sessions.")
@click.argument("session_ids", metavar="SESSION...", nargs=-1, required=True)
@json_option
@pass_app
def cancel(app: App, session_ids: tuple[str, ...], as_json: bool) -> int:
    """End sessions. What has finished keeps its result; nothing starts once this has answered.

    It may be repeated: counts are the tasks that this call cancelled.

    \b
    Examples:
      stepgrid cancel $SESSION
      stepgrid list --state running --json | jq -r .session_id | xargs stepgrid cancel
    """
    for session_id, counts in open_grid(app).cancel(list(session_ids)).items():
        if as_json:
            print_model(counts, session_id=session_id)
        else:
            click.echo(f"{session_id}  {rendering.cancelled(counts)}")
    return ExitCode.OK


@click.command(short_help="Start nothing more of sessions.")
@click.argument("session_ids", metavar="SESSION...", nargs=-1, required=True)
@json_option
@pass_app
def pause(app: App, session_ids: tuple[str, ...], as_json: bool) -> int:
    """Start nothing more of SESSION until it is resumed; what runs is finished.

    \b
    Example:
      stepgrid pause $SESSION && stepgrid resume $SESSION
    """
    return _show_each(app, session_ids, lambda session: session.pause(), as_json)


@click.command(short_help="Let paused sessions go on.")
@click.argument("session_ids", metavar="SESSION...", nargs=-1, required=True)
@json_option
@pass_app
def resume(app: App, session_ids: tuple[str, ...], as_json: bool) -> int:
    """Let a paused SESSION go on; it waits for its turn by priority and age.

    \b
    Example:
      stepgrid resume $SESSION && stepgrid status $SESSION --wait 600
    """
    return _show_each(app, session_ids, lambda session: session.resume(), as_json)


@click.command(short_help="Change how urgent a session is.")
@click.argument("session_id", metavar="SESSION")
@click.argument("level", metavar="0-9", type=click.IntRange(0, 9))
@json_option
@pass_app
def priority(app: App, session_id: str, level: int, as_json: bool) -> int:
    """Move SESSION in the queue of its worker: 9 is the most urgent.

    \b
    Example:
      stepgrid priority $SESSION 9
    """
    return _show_each(app, [session_id], lambda session: session.set_priority(level), as_json)


def _show_each(
    app: App,
    session_ids: Iterable[str],
    change: Callable[[Session], SessionDescription],
    as_json: bool,
) -> int:
    grid = open_grid(app)
    for session_id in session_ids:
        description = change(grid.session(session_id))
        if as_json:
            print_model(description)
        else:
            click.echo(f"{session_id}  {rendering.standing(description)}")
    return ExitCode.OK


@click.command(short_help="Delete an ended session and its results.")
@click.argument("session_id", metavar="SESSION")
@json_option
@pass_app
def delete(app: App, session_id: str, as_json: bool) -> int:
    """Delete the state and the results of SESSION, which must have ended. This can't be undone.

    \b
    Example:
      stepgrid cancel $SESSION && stepgrid delete $SESSION
    """
    open_grid(app).session(session_id).delete()
    if as_json:
        print_json({"session_id": session_id, "deleted": True})
    else:
        click.echo(f"{session_id}  deleted")
    return ExitCode.OK


@click.command("list", short_help="List your sessions, newest first.")
@click.option(
    "--state", type=_choice_of(SessionState), help="pending and running both list all open ones."
)
@click.option(
    "--limit", type=click.IntRange(min=0), default=50, show_default=True, help="0: all of them."
)
@json_option
@pass_app
def list_sessions(app: App, state: str | None, limit: int, as_json: bool) -> int:
    """List your sessions, newest first.

    \b
    Examples:
      stepgrid list --state running
      stepgrid list --limit 0 --json | jq -r 'select(.name == "nightly") | .session_id'
    """
    wanted = SessionState(state) if state else None
    found = open_grid(app).sessions(state=wanted, limit=limit or None)
    if as_json:
        for summary in found:
            print_model(summary)
        return ExitCode.OK
    now = app.now()
    print_table(
        rendering.SESSION_COLUMNS, (rendering.session_row(summary, now) for summary in found)
    )
    return ExitCode.OK
