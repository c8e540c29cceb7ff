"""Exit codes, and which error leads to which: one table, shown in `stepgrid --help`.

Scripts branch on these numbers: an existing one never changes its meaning.
This module must not know the commands.
"""

import os
from enum import IntEnum

import botocore.exceptions
import click

from stepgrid_core.errors import (
    AccessDenied,
    ConfigurationError,
    LocalCloudError,
    LoginError,
    MethodNotAllowed,
    NotFound,
    QuotaExceeded,
    RequestError,
    ServiceError,
    StepgridError,
    TaskError,
)
from stepgrid_core.states import SessionState


class ExitCode(IntEnum):
    """What a script can tell from the number."""

    OK = 0
    FAILED = 1  #: a task failed, or the session failed or was cancelled
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4
    BUG = 70  #: EX_SOFTWARE of sysexits.h
    INTERRUPTED = 130  #: as shells report a process ended by SIGINT
    BROKEN_PIPE = 141  #: as shells report a process ended by SIGPIPE


MEANINGS = {
    ExitCode.OK: "done",
    ExitCode.FAILED: "a task failed, or the session failed or was cancelled",
    ExitCode.USAGE: "wrong usage, bad input, or a file that can't be read or written",
    ExitCode.UNREACHABLE: "the grid was not found, not reached, over its quota or not in time",
    ExitCode.REFUSED: "not found, access denied, or not logged in",
    ExitCode.BUG: "an error that stepgrid did not expect",
    ExitCode.INTERRUPTED: "interrupted (Ctrl-C)",
    ExitCode.BROKEN_PIPE: "whoever read the output went away",
}

#: The first that fits counts, so a class comes before its base.
_CODES: tuple[tuple[type[BaseException], ExitCode], ...] = (
    (click.ClickException, ExitCode.USAGE),
    (KeyboardInterrupt, ExitCode.INTERRUPTED),
    (click.Abort, ExitCode.INTERRUPTED),
    (BrokenPipeError, ExitCode.BROKEN_PIPE),
    (NotFound, ExitCode.REFUSED),
    (AccessDenied, ExitCode.REFUSED),
    (LoginError, ExitCode.REFUSED),
    (QuotaExceeded, ExitCode.UNREACHABLE),
    (MethodNotAllowed, ExitCode.UNREACHABLE),  # a proxy or another API answers at the endpoint
    (RequestError, ExitCode.USAGE),
    (ServiceError, ExitCode.UNREACHABLE),
    (ConfigurationError, ExitCode.UNREACHABLE),
    (LocalCloudError, ExitCode.UNREACHABLE),
    (TaskError, ExitCode.FAILED),
    (StepgridError, ExitCode.UNREACHABLE),
    (botocore.exceptions.BotoCoreError, ExitCode.UNREACHABLE),
    (botocore.exceptions.ClientError, ExitCode.UNREACHABLE),
    (OSError, ExitCode.USAGE),  # files that can't be read or written
)


def exit_code(error: BaseException) -> ExitCode:
    """What the command ends with when `error` comes out of it."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.BUG)


def session_exit_code(state: str, unsuccessful_tasks: int) -> ExitCode:
    """What waiting for a session ends with: 0 only if every task has a result."""
    if state != SessionState.FINISHED or unsuccessful_tasks:
        return ExitCode.FAILED
    return ExitCode.OK


def error_line(error: BaseException) -> str:
    """The one line that is printed for an error: what happened, and what to do."""
    if exit_code(error) is ExitCode.BUG:
        text = (
            f"unexpected {type(error).__name__}: {error}; "
            "run it again with STEPGRID_DEBUG=1 for the traceback, and report it"
        )
    elif isinstance(error, click.ClickException):
        text = _usage_text(error)
    else:
        text = _message(error)
    # Some messages quote the output of other programs: one error stays one line for `grep`.
    return "stepgrid: error: " + "; ".join(filter(None, map(str.strip, text.splitlines())))


def _usage_text(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    hint = f" (see `{context.command_path} --help`)" if context else ""
    return error.format_message().rstrip(".") + hint


def _message(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{os.fspath(error.filename)!s}: {error.strerror}"
    return str(error) or type(error).__name__


def help_text() -> str:
    """The table for `stepgrid --help`."""
    return "\n".join(f"  {code:>3}  {meaning}" for code, meaning in MEANINGS.items())
