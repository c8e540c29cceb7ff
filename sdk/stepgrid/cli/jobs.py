"""`stepgrid jobs`: scripts with inputs and outputs, in containers."""

from __future__ import annotations

import json
import shlex
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stepgrid.cli import job_rendering
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
from stepgrid.cli.session_options import (
    container_options,
    parse_pairs,
    read_given,
    with_options,
)
from stepgrid.job_inputs import make_inputs
from stepgrid_core.errors import DeadlineExceeded, InvalidRequest, ServiceError
from stepgrid_core.states import TERMINAL_JOBS, JobState

if TYPE_CHECKING:
    from stepgrid.client import Grid
    from stepgrid.jobs import Job
    from stepgrid_core.contract import JobDescription


@click.group(cls=InOrder, short_help="Scripts with files, in containers.", no_args_is_help=False)
def jobs() -> None:
    """Jobs: a command with inputs and outputs, in a container of a queue.

    \b
    Examples:
      stepgrid jobs submit --input fit.py --output '*.png' -- python3 fit.py
      stepgrid jobs wait $JOB && stepgrid jobs outputs $JOB --download results
    """


@jobs.command("submit", short_help="Submit a job, or an array of them.")
@click.argument("words", metavar="JOB.json | -- COMMAND...", nargs=-1, required=True)
@click.option("--queue", help="How many run at once, how large, how long.  [default: Test]")
@click.option(
    "--walltime-seconds", type=int, help="Killed when it runs longer.  [default: its queue's]"
)
@click.option(
    "--input", "inputs", multiple=True, metavar="URL|FILE", help="Fetched first; may be repeated."
)
@click.option(
    "--output", "outputs", multiple=True, metavar="NAME", help="Kept; * ? []; may be repeated."
)
@click.option(
    "--env",
    "environment",
    metavar="KEY=VALUE",
    multiple=True,
    callback=parse_pairs,
    help="A variable of its process; may be repeated.",
)
@with_options(*container_options)
@click.option("--array", type=int, help="So many jobs, told apart by STEPGRID_JOB_INDEX.")
@click.option(
    "--after",
    "depends_on",
    multiple=True,
    metavar="ID",
    help="Start when that job or session has finished well; may be repeated.",
)
@click.option("--retention-days", type=int, help="Outputs are kept for 1, 7, 30, 90 or 365.")
@click.option("--name", help="Shown in lists; need not be unique.")
@click.option("--tag", "tags", metavar="KEY=VALUE", multiple=True, callback=parse_pairs)
@click.option("--token", help="Makes the command repeatable: same token and job, same job.")
@json_option
@pass_app
def submit_job(
    app: App,
    /,
    *,
    words: tuple[str, ...],
    inputs: tuple[str, ...],
    token: str | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Submit COMMAND, or the job in the file JOB.json, and print its id.

    The file is one JSON object with the fields of POST /v1/jobs, in which an input may be text, as
    for --input; options win over it, and stand before a command. Inputs that are no URL are files
    of this machine, which are uploaded.

    \b
    Examples:
      stepgrid jobs submit job.json --queue Prod
      stepgrid jobs submit --input data.csv --output sums.txt -- sha256sum data.csv
    """
    fields = _read_command(words) | _read_options(options)
    fields["client_token"] = token or str(uuid.uuid4())
    grid = open_grid(app)
    try:
        _upload_inputs(grid, fields, inputs)
        job = grid.jobs.send(fields)
    except (ServiceError, KeyboardInterrupt):
        repeat = fields["client_token"]
        note(f"stepgrid: it may have been submitted; to be safe, repeat it with --token {repeat}")
        raise
    if as_json:
        print_model(job.status())
    else:
        click.echo(job.id)
    return ExitCode.OK


def _read_options(options: dict[str, Any]) -> dict[str, Any]:
    """Those that were given, as fields of the job."""
    given = read_given(options)
    if "container" in given:
        given["resources"] = given.pop("container")
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in given.items()
    }


def _read_command(words: Sequence[str]) -> dict[str, Any]:
    """The fields of the job: of a file, if the first word names one."""
    if not words[0].endswith(".json"):
        return {"executable": shlex.join(words)}
    if len(words) > 1:
        raise click.UsageError(f"{words[0]} is a job, and has its command in it: give one of them")
    try:
        job = json.loads(Path(words[0]).read_bytes())
    except ValueError as error:
        raise InvalidRequest(f"{words[0]} is not JSON: {error}") from error
    if not isinstance(job, dict) or "executable" not in job:
        raise InvalidRequest(f"{words[0]} is no job: one JSON object with at least an executable")
    return job


def _upload_inputs(grid: Grid, fields: dict[str, Any], more: Sequence[str]) -> None:
    """All that is text, of the file and of the options; other inputs of the file stay."""
    own = fields.get("inputs", [])
    if not isinstance(own, list):
        return
    texts = [*(each for each in own if isinstance(each, str)), *more]
    kept = [each for each in own if not isinstance(each, str)]
    if texts:
        fields["inputs"] = [*kept, *make_inputs(grid.connection, map(_read_input, texts))]


def _read_input(text: str) -> str | Path:
    return text if "://" in text else Path(text)


@jobs.command("status", short_help="State, times and outcome of a job.")
@click.argument("job_id", metavar="JOB")
@json_option
@pass_app
def status(app: App, job_id: str, as_json: bool) -> int:
    """Show how far JOB has come. Exits with 0 for a job in any state.

    \b
    Example:
      stepgrid jobs status $JOB --json | jq -r .state
    """
    _show(open_grid(app).jobs.get(job_id).status(), as_json)
    return ExitCode.OK


@jobs.command("wait", short_help="Wait for the end of a job.")
@click.argument("job_id", metavar="JOB")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="So long at most.")
@json_option
@pass_app
def wait(app: App, job_id: str, timeout: float | None, as_json: bool) -> int:
    """Wait until JOB has ended. Exits with 0 if it completed, 3 if the time was not enough.

    \b
    Example:
      stepgrid jobs wait $JOB --timeout 600 && echo done
    """
    job = open_grid(app).jobs.get(job_id)
    description = _wait(job, timeout)
    _show(description, as_json)
    if description.state not in TERMINAL_JOBS:
        note(f"stepgrid: {job_id} has not ended after {timeout:g} s; it goes on")
        return ExitCode.UNREACHABLE
    return ExitCode.OK if description.state is JobState.COMPLETED else ExitCode.FAILED


def _wait(job: Job, timeout: float | None) -> JobDescription:
    try:
        return job.wait(timeout)
    except DeadlineExceeded:
        return job.status()
    except KeyboardInterrupt:
        note(f"\nstepgrid: the job goes on; end it: stepgrid jobs cancel {job.id}")
        raise


@jobs.command("outputs", short_help="Files that a job left.")
@click.argument("job_id", metavar="JOB")
@click.option(
    "--download",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Save them there.",
)
@json_option
@pass_app
def outputs(app: App, job_id: str, folder: Path | None, as_json: bool) -> int:
    """List the files that JOB left and should have left, or save them in DIR.

    \b
    Examples:
      stepgrid jobs outputs $JOB
      stepgrid jobs outputs $JOB --download results
    """
    job = open_grid(app).jobs.get(job_id)
    if folder is not None:
        for path in job.download(folder):
            if as_json:
                print_json({"path": str(path)})
            else:
                click.echo(path)
        return ExitCode.OK
    found = job.outputs()
    if as_json:
        for output in found:
            print_model(output)
    else:
        print_table(job_rendering.OUTPUT_COLUMNS, map(job_rendering.output_row, found))
    return ExitCode.OK


@jobs.command("cancel", short_help="End jobs.")
@click.argument("job_ids", metavar="JOB...", nargs=-1, required=True)
@json_option
@pass_app
def cancel(app: App, job_ids: tuple[str, ...], as_json: bool) -> int:
    """End JOB, an array as a whole. One that has ended stays as it is.

    \b
    Example:
      stepgrid jobs cancel $JOB
    """
    grid = open_grid(app)
    for job_id in job_ids:
        description = grid.jobs.get(job_id).cancel()
        if as_json:
            print_model(description)
        else:
            click.echo(f"{description.job_id}  {description.state.value}")
    return ExitCode.OK


@jobs.command("list", short_help="List your jobs, newest first.")
@click.option(
    "--limit", type=click.IntRange(min=0), default=50, show_default=True, help="0: all of them."
)
@json_option
@pass_app
def list_jobs(app: App, limit: int, as_json: bool) -> int:
    """List your jobs, newest first. An array is one line.

    \b
    Example:
      stepgrid jobs list --limit 10
    """
    found = open_grid(app).jobs.list(limit or None)
    if as_json:
        for job in found:
            print_model(job)
        return ExitCode.OK
    now = app.now()
    print_table(job_rendering.JOB_COLUMNS, (job_rendering.job_row(job, now) for job in found))
    return ExitCode.OK


def _show(description: JobDescription, as_json: bool) -> None:
    if as_json:
        print_model(description)
    else:
        print_fields(job_rendering.job_fields(description))
