"""The command `events`: what happened, and what happens."""

from __future__ import annotations

import click

from stepgrid.cli import rendering
from stepgrid.cli.context import App, json_option, open_grid, pass_app, print_model
from stepgrid.cli.exit_codes import ExitCode
from stepgrid.client import Grid
from stepgrid.events import SessionEvent, so_far
from stepgrid_core.states import EventKind

#: Without a session, the past of so many is shown.
NEWEST = 20


@click.command(short_help="What happened to sessions, and what happens.")
@click.option("--session", "session_ids", multiple=True, metavar="ID", help="Only it; repeatable.")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice([str(kind) for kind in EventKind]),
    help="Only events of this kind; repeatable.",
)
@click.option("--follow", "-f", is_flag=True, help="From now on, as it happens, until Ctrl-C.")
@json_option
@pass_app
def events(
    app: App, *, session_ids: tuple[str, ...], kinds: tuple[str, ...], follow: bool, as_json: bool
) -> int:
    """Show when sessions were accepted, started and ended; with --follow, as it happens.

    With --follow and --session it ends when these sessions have ended. Without --follow, what is
    shown comes from the sessions themselves, the newest ones if none is named: their progress is
    told while they run, and not kept.

    \b
    Examples:
      stepgrid events --follow
      stepgrid events --session $SESSION --follow --kind finished --kind failed
      stepgrid events --json | jq -r .event_id
    """
    grid = open_grid(app)
    if follow:
        with grid.events(session_ids or None, kinds or None) as stream:
            for event in stream:
                _show(event, as_json)
        return ExitCode.OK
    for event in sorted(_past(grid, session_ids), key=lambda event: (event.at, event.sequence)):
        if not kinds or event.kind in kinds:
            _show(event, as_json)
    return ExitCode.OK


def _past(grid: Grid, session_ids: tuple[str, ...]) -> list[SessionEvent]:
    names = session_ids or [each.session_id for each in grid.sessions(limit=NEWEST)]
    return [event for name in names for event in so_far(grid.session(name).status())]


def _show(event: SessionEvent, as_json: bool) -> None:
    if as_json:
        print_model(event)
    else:
        click.echo(rendering.event_line(event))
