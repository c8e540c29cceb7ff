"""The command `stepgrid`: what the SDK does, from a shell.

    exit_codes  exit codes, and which error leads to which
    rendering   text for people (pure)
    task_file   JSON Lines in
    context     the doors to the grid and the local cloud; printing
    waiting     for the end of a session, until Ctrl-C
    session_options
                options of commands that submit or plan
    planning, submission, results, sessions, events, jobs, logs, grid, login, users, workers,
    quota, federation, local, bench, cost, simulation, session_cost, node
                the commands
    operating   options of commands that work on the deployed stack

Commands are thin: they read options, make one call of the SDK and print its answer.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import Any, NoReturn

import click

from stepgrid.cli import (
    bench,
    events,
    exit_codes,
    federation,
    grid,
    jobs,
    local,
    login,
    logs,
    node,
    planning,
    quota,
    results,
    session_cost,
    sessions,
    submission,
    users,
    workers,
)
from stepgrid.cli.context import InOrder
from stepgrid.cli.exit_codes import ExitCode
from stepgrid_core import __version__

__all__ = ["cli", "main"]


class _CommandLine(InOrder):
    """A group whose commands return their exit code, and whose errors are one line on stderr."""

    def main(self, *arguments: Any, **options: Any) -> NoReturn:
        """Run a command and leave with its exit code. Takes what click.Group.main takes.

        `standalone_mode` is always off: click's own way to end a program has other codes.
        """
        try:
            code = super().main(*arguments, **(options | {"standalone_mode": False}))
        except Exception as error:
            code = _report(error)
        sys.exit(int(code or ExitCode.OK))

    def invoke(self, ctx: click.Context) -> Any:
        # click would turn these two into exits with code 1, which here means "a task failed".
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except KeyboardInterrupt:
            click.echo("stepgrid: interrupted", err=True)
            return ExitCode.INTERRUPTED
        except BrokenPipeError:
            _forget_stdout()
            return ExitCode.BROKEN_PIPE
        return code

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_paragraph()
        formatter.write("Exit codes:\n" + exit_codes.help_text() + "\n")


def _report(error: Exception) -> ExitCode:
    if os.environ.get("STEPGRID_DEBUG") == "1":
        traceback.print_exception(error)
    click.echo(exit_codes.error_line(error), err=True)
    return exit_codes.exit_code(error)


def _forget_stdout() -> None:
    """Else Python tries to write the rest when it ends, and complains that it can't."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


@click.group(
    "stepgrid",
    cls=_CommandLine,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="stepgrid", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Submit sessions of tasks to a stepgrid and fetch their results.

    \b
    A first session, on this machine:
      stepgrid local up
      stepgrid workers
      echo '{"worker_arguments": ["1000", "1", "1"]}' | stepgrid submit mock-compute - --wait

    \b
    On AWS, after `sam deploy`:
      stepgrid connect --stack stepgrid --region eu-west-1
      stepgrid submit portfolio-pricing trades.jsonl --wait --results prices.jsonl

    Every command takes --json for scripts. An error is one line on stderr; STEPGRID_DEBUG=1 adds
    the traceback.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for command in (
    submission.submit,
    planning.plan,
    sessions.status,
    results.results,
    sessions.tasks,
    sessions.failures,
    logs.logs,
    sessions.cancel,
    sessions.pause,
    sessions.resume,
    sessions.priority,
    sessions.delete,
    sessions.list_sessions,
    events.events,
    jobs.jobs,
    workers.workers,
    session_cost.cost,
    quota.quota,
    grid.health,
    grid.connect,
    login.login,
    login.logout,
    users.users,
    federation.federation,
    local.local,
    bench.bench,
    node.node,
):
    cli.add_command(command)


def main() -> NoReturn:
    """The console script."""
    cli.main()
