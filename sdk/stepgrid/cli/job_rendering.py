"""Text about jobs for people. Pure, as rendering, which it builds on."""

from collections.abc import Mapping

from stepgrid.cli.rendering import NONE, Column, age, duration, moment, number
from stepgrid_core.contract import JobDescription, JobOutput, JobSummary
from stepgrid_core.states import JobState

JOB_COLUMNS = (
    Column("JOB"),
    Column("STATE"),
    Column("QUEUE"),
    Column("JOBS", right=True),
    Column("CREATED", right=True),
    Column("TOOK", right=True),
    Column("NAME"),
)


def job_row(job: JobSummary, now: float) -> tuple[str, ...]:
    completed = job.completed_at
    return (
        job.job_id,
        job.state.value,
        job.queue,
        number(job.array),
        age(job.created_at, now),
        duration(completed - job.created_at) if completed is not None else NONE,
        job.name or "",
    )


OUTPUT_COLUMNS = (
    Column("OUTPUT"),
    Column("SIZE", right=True),
    Column("SHA256"),
)


def output_row(output: JobOutput) -> tuple[str, ...]:
    if not output.available:
        return output.name, NONE, "not there"
    return output.name, NONE if output.size is None else number(output.size), output.sha256 or NONE


def job_fields(job: JobDescription) -> list[tuple[str, str]]:
    """Name and value of what is known."""
    stages = job.stages.model_dump()
    pairs = [
        ("job", job.job_id),
        ("state", job.state.value),
        ("name", job.name),
        ("queue", job.queue),
        ("runs", job.executable),
        ("jobs", number(job.array) if job.array > 1 else None),
        ("counts", job_counts(job.counts) if job.counts else None),
        ("walltime", duration(job.walltime_seconds)),
        ("created", moment(job.created_at)),
        ("started", _moment(job.started_at)),
        ("ended", _moment(job.completed_at)),
        *((stage, None if took is None else duration(took)) for stage, took in stages.items()),
        ("exit code", None if job.exit_code is None else str(job.exit_code)),
        ("error", job.error),
        # The exit code once more says nothing; 1001 and 1002 are Cloud Kotta's.
        ("error code", None if job.error_code in (None, job.exit_code) else str(job.error_code)),
        ("missing", ", ".join(job.missing) or None),
        ("after", ", ".join(job.depends_on) or None),
        ("tags", ", ".join(f"{key}={value}" for key, value in job.tags.items()) or None),
    ]
    return [(name, value) for name, value in pairs if value is not None]


def _moment(epoch_seconds: float | None) -> str | None:
    return None if epoch_seconds is None else moment(epoch_seconds)


def job_counts(counts: Mapping[JobState, int]) -> str:
    """`9 completed, 1 failed`, in the order of the states."""
    return ", ".join(f"{number(counts[state])} {state}" for state in JobState if state in counts)
