"""Cloud Kotta's job JSON, whose values are all text, as a JobRequest. Pure.

    executable, args                 the command line; a shell gets it if walltime is over 300 s
    script, script_name              a file made in the job's folder
    inputs, input_url*               URLs, those of `inputs` with commas between
    outputs, output_*                names, those of `outputs` with commas between
    walltime                         minutes
    queue, jobname, jobtype

Any other key is ignored, as it was: `user_email` too, in whose place stands the user's own.
"""

import shlex
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from pydantic import ValidationError

from .contract import JobInput, JobRequest, read_faults
from .contract.job import MAX_JOB_FILES
from .errors import InvalidRequest
from .job_paths import shorten

JOB_TYPES = ("script",)
#: Files that every job leaves, so nobody needs to name them.
ALWAYS_LEFT = ("STDOUT.txt", "STDERR.txt")
#: Longer jobs were given to a shell, by the old rule; seconds.
SHELL_FROM = 301
MAX_FAULT = 512  #: characters of a reason
#: Of a command line: the time to cut a word grows with the square of its length.
MAX_LINE_CHARACTERS = 64 * 1024


def read_job(form: Mapping[str, str], client_token: str) -> JobRequest:
    """Raises InvalidRequest, in the old words where there were any."""
    _check_type(form.get("jobtype"))
    walltime = _read_walltime(form.get("walltime"))
    values: dict[str, Any] = {
        "client_token": client_token,
        "name": form.get("jobname") or None,
        "walltime_seconds": walltime,
        "inputs": _read_inputs(form),
        **_queue(form),
        **_command(form, shell=walltime >= SHELL_FROM),
        **_script(form),
    }
    left = (*ALWAYS_LEFT, values["script_name"])
    values["outputs"] = [name for name in dict.fromkeys(_outputs(form)) if name not in left]
    try:
        return JobRequest.model_validate(values)
    except ValidationError as error:
        raise InvalidRequest(first_fault(error)) from None


def invalid_queue(name: str | None) -> InvalidRequest:
    return InvalidRequest(f"Queue : [{name}] is not valid")


def _queue(form: Mapping[str, str]) -> dict[str, Any]:
    name = form.get("queue")
    if not name:
        raise invalid_queue(name or None)
    return {"queue": name}


def _check_type(jobtype: str | None) -> None:
    if (jobtype or "").strip() not in JOB_TYPES:
        supported = ", ".join(JOB_TYPES)
        raise InvalidRequest(f"jobtype : [{jobtype}] is not valid; supported: {supported}")


def _read_walltime(minutes: str | None) -> int:
    """Seconds."""
    if not minutes:
        raise InvalidRequest('walltime missing; give it in minutes: "walltime" : "5"')
    try:
        seconds = int(minutes) * 60
    except ValueError:
        seconds = 0
    if seconds < 1:
        raise InvalidRequest(f"walltime : [{minutes[:32]}] is not valid; give it in whole minutes")
    return seconds


def _command(form: Mapping[str, str], shell: bool) -> dict[str, Any]:
    executable, args = form.get("executable", "").strip(), form.get("args", "").strip()
    if not executable:
        raise InvalidRequest("executable missing")
    if len(executable) + len(args) > MAX_LINE_CHARACTERS:
        raise InvalidRequest(
            f"executable and args have more than {MAX_LINE_CHARACTERS} characters; use a script"
        )
    if shell:
        return {"executable": f"{executable} {args}".rstrip(), "shell": True}
    try:
        shlex.split(executable)
        return {"executable": executable, "args": shlex.split(args)}
    except ValueError as error:
        raise InvalidRequest(f"executable and args are no command line: {error}") from None


def _script(form: Mapping[str, str]) -> dict[str, Any]:
    """A name without a script is refused: the job could only fail."""
    script, name = form.get("script"), form.get("script_name")
    if script is None and name:
        raise InvalidRequest(f"script missing, though script_name is {name[:128]}")
    if script and not name:
        raise InvalidRequest("script_name missing")
    text = (script or "").replace("\r\n", "\n").rstrip("\r")
    return {"script": text if name else None, "script_name": name or None}


def _read_inputs(form: Mapping[str, str]) -> list[JobInput]:
    """These files have no names but their own: what has none, or that of another, can't be had."""
    names: set[str] = set()
    inputs = []
    for url in islice(dict.fromkeys(_inputs(form)), MAX_JOB_FILES + 1):  # one too many tells
        try:
            one = JobInput.model_validate({"url": url})
        except ValidationError as error:
            raise InvalidRequest(f"inputs : {read_faults(error)[0][1]}"[:MAX_FAULT]) from None
        if one.destination in names:
            shown = shorten(one.destination)
            raise InvalidRequest(f"inputs : two of them are called {shown}; rename one where it is")
        names.add(one.destination)
        inputs.append(one)
    return inputs


def _inputs(form: Mapping[str, str]) -> Iterator[str]:
    for key, value in form.items():
        if key == "inputs":
            yield from _names(value)
        elif key.startswith("input_url") and value.strip():
            yield value.strip()


def _outputs(form: Mapping[str, str]) -> Iterator[str]:
    yield from _names(form.get("outputs", ""))
    for key, value in form.items():
        if key.startswith("output_") and value.strip():
            yield value.strip()


def _names(text: str) -> Iterator[str]:
    """The names in a list with commas."""
    return (name.strip() for name in text.split(",") if name.strip())


def first_fault(error: ValidationError) -> str:
    """Where and what, never the value."""
    where, what = read_faults(error)[0]
    return (f"{where} : {what}" if where else what)[:MAX_FAULT]
