"""The console script `kotta`: the flags of Cloud Kotta's client.py, and what it prints.

    kotta -r submit|status|fetch|list|cancel [-a AUTH] -j JOB [-s SCRIPT] [-v]

Scripts read what it prints, so that lines and columns are the old ones. Exit codes: 0; 1 where the
server refused (the old client said 0); 255 after an [ERROR]; 2 for wrong usage.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from stepgrid_core.errors import ConfigurationError, NotFound, StepgridError

from .auth import choose_server, find_auth, read_auth
from .client import KottaClient
from .fetching import check_job_id, download, place
from .jobfile import read_job
from .status import OutputFile, read_items, read_output, read_outputs

OK, REFUSED, ERROR = 0, 1, 255
GREEN, YELLOW, RED, PLAIN = "\033[92m", "\033[93m", "\033[91m", "\033[0m"

_ROW = "{0:40}|{1:15}|{2:10}|{3:20}"
_UNKNOWN_JOB = "[ERROR] Failed to fetch job, please check jobid"
_LOG_IN = "log in with `stepgrid login --kotta FILE`, then give it with -a, or set KOTTA_AUTH"


@dataclass(frozen=True, slots=True)
class _Command:
    client: KottaClient
    job: str  #: a job's id, or the file that describes one
    script: str | None
    verbose: bool

    def say_details(self, text: str) -> None:
        if self.verbose:
            _say(text)


def _say(text: str) -> None:
    """click takes the colours out where nobody sees them."""
    click.echo(text, color=False if os.environ.get("NO_COLOR") else None)


def _submit(command: _Command) -> int:
    script = Path(command.script) if command.script else None
    return _say_result(command.client.submit(read_job(Path(command.job), script)))


def _status(command: _Command) -> int:
    answer = _ask_status(command)
    for key, value in read_items(answer):
        shown = _paint(read_output(value)) if key == "outputs" else _printable(value)
        _say(f"{key:20}  | {shown:50}")
    _say(_printable(str(answer["status"])))
    return OK


def _fetch(command: _Command) -> int:
    answer = _ask_status(command)
    if answer.get("status") != "completed":
        _say(f"JOB[{command.job}] is not in completed state. Results cannot be fetched")
        return ERROR
    _say(f"Creating directory : {command.job}")
    Path(command.job).mkdir(exist_ok=True)
    codes = [_fetch_file(command.job, file) for file in read_outputs(answer)]
    return max(codes, default=OK)


def _fetch_file(folder: str, file: OutputFile) -> int:
    """One that can't be had does not keep the others away."""
    if file.url is None:
        _say(f"File not available : {RED}{_printable(file.name)}{PLAIN}")
        return OK
    try:
        target = place(Path(folder), file.name)
        _say(f"Downloading file   : {GREEN}{target}{PLAIN}")
        download(file, target)
    except (StepgridError, OSError) as error:
        _say(f"[ERROR] {error}")
        return ERROR
    return OK


def _list(command: _Command) -> int:
    answer = command.client.list()
    if answer.get("status") != "Success":
        return _say_result(answer)
    _say(_ROW.format("JOBID", "STATUS", "JOBTYPE", "SUBMIT_STAMP"))
    for item in answer["items"].values():
        keys = ("job_id", "status", "jobtype", "submit_stamp")
        _say(_ROW.format(*(_printable(str(item[key])) for key in keys)))
    return OK


def _cancel(command: _Command) -> int:
    command.say_details(f"Cancelling task : {command.job}")
    return _say_result(command.client.cancel(check_job_id(command.job)))


_REQUESTS = {
    "submit": _submit,
    "status": _status,
    "cancel": _cancel,
    "fetch": _fetch,
    "list": _list,
}


def _ask_status(command: _Command) -> dict[str, Any]:
    command.say_details(f"Status task : {command.job}")
    return command.client.status(check_job_id(command.job))


def _say_result(answer: Mapping[str, Any]) -> int:
    status = answer.get("status")
    if status == "Success":
        _say(f"[{status}] Job_id: {_printable(str(answer['job_id']))}")
        return OK
    _say(f"[{status}] Reason: {_printable(str(answer.get('reason')))}")
    return REFUSED


def _paint(file: OutputFile) -> str:
    colour = GREEN if file.url else RED if file.told else YELLOW
    return f"{colour}{_printable(file.name)}{PLAIN}"


def _printable(text: str) -> str:
    """Names and reasons come from others: none of them commands the terminal."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("kotta", description="Jobs of Cloud Kotta, on a stepgrid.")
    parser.add_argument("-j", "--jobinfo", required=True, help="json job description or jobid")
    parser.add_argument("-a", "--authfile", help="File with auth info  [default: found]")
    parser.add_argument(
        "-r",
        "--request",
        required=True,
        help="Request type [submit, status, cancel, fetch, list]",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="Verbose output")
    parser.add_argument("-s", "--script", help="script filename")
    parser.add_argument("--url", help="the server's address  [default: KOTTA_URL, or the auth's]")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The console script; answers its exit code."""
    options = _parser().parse_args(arguments)
    request = _REQUESTS.get(options.request.lower())
    if request is None:
        _say("Unknown request")
        return ERROR
    try:
        client = _open_client(options)
        try:
            return request(_Command(client, options.jobinfo, options.script, options.verbose))
        finally:
            client.close()
    except NotFound as error:
        _say(_UNKNOWN_JOB)
        click.echo(f"kotta: {_printable(error.message)}", err=True)
    except (StepgridError, OSError) as error:
        _say(f"[ERROR] {error}")
    except KeyboardInterrupt:
        click.echo("kotta: interrupted", err=True)
        return 130
    return ERROR


def _open_client(options: argparse.Namespace) -> KottaClient:
    path = find_auth(options.authfile, os.environ, Path.cwd(), Path.home())
    if path is None:
        click.echo(f"kotta: {_LOG_IN}", err=True)
        raise ConfigurationError("Authfile missing. Cannot submit job without authfile")
    auth = read_auth(path)
    return KottaClient(choose_server(options.url, os.environ, auth), auth.token)
