"""A job as Cloud Kotta's clients read it: one-key items in a fixed order, files as links. Pure.

The clients cut names out of the links by position, so that a link has exactly one form, and the
`&` of its URL is no entity. Times are UTC; they were the old server's own. Outputs stand in the
order of the old client's manual (what the job declared, its script, STDOUT, STDERR), though the
old server's code has the script first: no client goes by the order.
"""

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from .contract import JobDescription, JobOutput, JobSummary
from .kotta_jobs import ALWAYS_LEFT
from .ports import Caller
from .states import TERMINAL_JOBS, JobState

#: There was another, doc_to_vec.
JOB_TYPE = "script"
CANCEL_REASON = "User request cancel"

Pair = tuple[str, Any]


def describe_status(
    job: JobDescription, outputs: list[JobOutput], caller: Caller
) -> dict[str, object]:
    """The answer of status_task. outputs: of a job that has ended."""
    pairs = [*_facts(job, caller), *_progress(job), *_files(job, outputs)]
    items = {str(index): {key: value} for index, (key, value) in enumerate(pairs)}
    return {"status": job.state, "items": items}


def describe_list(jobs: list[JobSummary]) -> dict[str, object]:
    """The answer of list_tasks."""
    items = {
        str(index): {
            "job_id": job.job_id,
            "status": job.state,
            "jobtype": JOB_TYPE,
            "submit_stamp": stamp(job.created_at),
        }
        for index, job in enumerate(jobs)
    }
    return {"status": "Success", "items": items}


def stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def link(name: str, url: str | None) -> str:
    """url: None where there is no such file."""
    return f"<i>{name}</i>" if url is None else f'<a href="{url}">{name}</a>'


def _facts(job: JobDescription, caller: Caller) -> Iterator[Pair]:
    """What is there, or may be there, of every job; a duration only once it is known."""
    submitted = stamp(job.created_at)
    ended = job.completed_at
    pairs: list[Pair] = [
        ("queue", job.queue),
        ("submit_stamp", submitted),
        ("submit_time", submitted),
        ("status", job.state),
        ("user_email", caller.email or ""),
        ("z_processing_dur", job.stages.processing),
        ("walltime", job.walltime_seconds),
        ("jobtype", JOB_TYPE),
        ("z_stageout_dur", job.stages.staging_outputs),
        ("username", caller.username),
        ("job_id", job.job_id),
        ("jobname", job.name),
        ("executable", job.executable),
        ("args", shlex.join(job.args) or None),
        ("z_stagein_dur", job.stages.staging_inputs),
        ("complete_time", None if ended is None else stamp(ended)),
    ]
    return (pair for pair in pairs if pair[1] is not None)


def _progress(job: JobDescription) -> Iterator[Pair]:
    if job.started_at is not None:
        yield "start_time", stamp(job.started_at)
    if job.error is not None:
        yield "ERROR", job.error
    if job.error_code is not None:
        yield "ERROR_CODE", job.error_code
    if job.state is JobState.CANCELLED:
        yield "reason", CANCEL_REASON


def _files(job: JobDescription, outputs: list[JobOutput]) -> Iterator[Pair]:
    """Of the inputs only the first, as it was."""
    for url in job.inputs[:1]:
        yield "inputs", link(url.partition("?")[0].rpartition("/")[2], url)
    if job.state in TERMINAL_JOBS:
        for output in sorted(outputs, key=lambda output: _place(output.name, job)):
            yield "outputs", link(output.name, output.url if output.available else None)


def _place(name: str, job: JobDescription) -> int:
    """Sorting keeps the order of those in the same place."""
    last = [job.script_name, *ALWAYS_LEFT]
    return last.index(name) + 1 if name in last else 0
