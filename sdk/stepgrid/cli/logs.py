"""`stepgrid logs`: what the tasks of a session printed."""

from __future__ import annotations

import click

from stepgrid.cli import rendering
from stepgrid.cli.context import App, json_option, open_grid, pass_app, print_model
from stepgrid.cli.exit_codes import ExitCode
from stepgrid.cli.waiting import attachable


@click.command(short_help="What the tasks of a session printed.")
@click.argument("session_id", metavar="SESSION")
@click.argument("task", metavar="[TASK]", type=click.IntRange(min=0), required=False)
@click.option("--follow", "-f", is_flag=True, help="Go on until the session has ended.")
@click.option("--all", "every", is_flag=True, help="Also what the grid itself wrote about it.")
@json_option
@pass_app
def logs(
    app: App, session_id: str, task: int | None, *, follow: bool, every: bool, as_json: bool
) -> int:
    """Show what the tasks of SESSION printed, or only the one with the index TASK, oldest first.

    A line is there some seconds after it was printed. Workers that are plain Lambda functions of
    another runtime write to a log group of their own, and nothing of them is found here.

    \b
    Examples:
      stepgrid logs $SESSION 17
      stepgrid logs $SESSION --follow
      stepgrid logs $SESSION --json | jq -r 'select(.printed == "stderr") | .message'
    """
    session = open_grid(app).session(session_id)
    with attachable(session_id):
        for line in session.logs(task, every=every, follow=follow):
            if as_json:
                print_model(line)
            else:
                click.echo(rendering.log_line(line))
    return ExitCode.OK
