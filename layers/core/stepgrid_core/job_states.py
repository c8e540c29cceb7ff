"""What a job's state is, by its row, by what its container reported, and by its session. Pure.

    row pending, held     pending: whatever was reported is of a container that is gone
    row running           as reported; an end that is reported but not committed is staging_outputs
    row ended             completed or failed, as the task has a result or an error
    row cancelled         cancelled
    row ended otherwise   failed

A job that failed fails its task, so that rows and counts tell without any report. It knows no I/O.
"""

from collections.abc import Mapping

from .contract import JobStages
from .records import Chunk, JobRecord, Session
from .states import ChunkState, JobState, SessionState, TaskState


def state_of(session: Session, row: Chunk | None, record: JobRecord | None) -> JobState:
    """Of one job. row: None where the session has none yet, or ended before it had any."""
    if row is None:
        return _without_row(session)
    if row.state is ChunkState.RUNNING:
        return reported(record)
    if not row.terminal:
        return JobState.PENDING
    if row.state is ChunkState.CANCELLED and not row.finished + row.failed:
        return JobState.CANCELLED
    if row.failed or not row.finished:
        return JobState.FAILED
    return record.state if record is not None and record.terminal else JobState.COMPLETED


def reported(record: JobRecord | None) -> JobState:
    """Of a job whose row is open. Another container may still have to do it again."""
    if record is None:
        return JobState.PENDING
    return JobState.STAGING_OUTPUTS if record.terminal else record.state


def _without_row(session: Session) -> JobState:
    if session.verdict is None:
        return JobState.PENDING
    return JobState.CANCELLED if session.verdict is SessionState.CANCELLED else JobState.FAILED


def closed_state(session: Session) -> JobState:
    """Of a closed session as a whole, by its verdict and counts."""
    if session.verdict is SessionState.CANCELLED:
        return JobState.CANCELLED
    failed = (session.counts or {}).get(TaskState.FAILED, 0)
    if session.verdict is SessionState.FAILED or failed:
        return JobState.FAILED
    return JobState.COMPLETED


def array_state(session: Session, counts: Mapping[JobState, int]) -> JobState:
    """Of an array: processing as soon as one of its jobs is begun, until all have ended."""
    if session.verdict is not None:
        return closed_state(session)
    begun = counts.get(JobState.PENDING, 0) < session.tasks
    return JobState.PROCESSING if begun else JobState.PENDING


#: What the tasks of an array are as jobs. How far a running one has come only its report tells.
JOB_STATES = {
    TaskState.PENDING: JobState.PENDING,
    TaskState.PROCESSING: JobState.PROCESSING,
    TaskState.RETRYING: JobState.PROCESSING,
    TaskState.FINISHED: JobState.COMPLETED,
    TaskState.FAILED: JobState.FAILED,
    TaskState.CANCELLED: JobState.CANCELLED,
}


def array_counts(tasks: Mapping[TaskState, int]) -> dict[JobState, int]:
    """The jobs of an array by state; states without a job are left out."""
    counts: dict[JobState, int] = {}
    for state, number in tasks.items():
        if number:
            counts[JOB_STATES[state]] = counts.get(JOB_STATES[state], 0) + number
    return counts


def stages_of(record: JobRecord | None) -> JobStages:
    """How long each stage took that has ended; one that was left out has no time."""
    if record is None:
        return JobStages()
    fetched, ran, stored, ended = (
        record.staging_inputs_at,
        record.processing_at,
        record.staging_outputs_at,
        record.ended_at,
    )
    return JobStages(
        staging_inputs=_between(fetched, ran, stored, ended),
        processing=_between(ran, stored, ended),
        staging_outputs=_between(stored, ended),
    )


def _between(start: float | None, *ends: float | None) -> float | None:
    end = next((end for end in ends if end is not None), None)
    return None if start is None or end is None else max(0.0, end - start)
