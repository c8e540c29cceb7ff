"""How a job ended: from what happened to its process to what its record and its task say.

Pure rules.
"""

import signal
from dataclasses import dataclass, replace

from ..codec import encode
from ..data_plane import TaskFault
from ..records import KILLED_BY_REQUEST, WALLTIME_EXCEEDED, JobRecord
from ..runner_failures import MESSAGE_LIMIT_BYTES, cut_middle
from ..states import JobState
from .process import Exit


@dataclass(frozen=True, slots=True)
class Verdict:
    """`fault` is the type of the task's error, for jobs that failed."""

    state: JobState
    error: str | None = None
    error_code: int | None = None
    exit_code: int | None = None
    fault: str = "JobFailed"


def judge_exit(ended: Exit) -> Verdict:
    """Of a process that ended by itself."""
    code = ended.code
    if ended.error:
        return Verdict(JobState.FAILED, ended.error, code, code)
    if code is None:
        return Verdict(JobState.FAILED, "The process that watched the job was killed.")
    if code == 0:
        return Verdict(JobState.COMPLETED, exit_code=0)
    if code < 0:
        text = f"The job's process was ended by {_name_signal(-code)}."
    else:
        text = f"The job's process ended with exit code {code}."
    return Verdict(JobState.FAILED, text, code, code)


def judge_overdue(ended: Exit | None, seconds: float) -> Verdict:
    """Of a process that was killed, because it had run for so long."""
    text = f"The job ran longer than its walltime of {round(seconds, 1):g} s and was killed."
    code = ended.code if ended else None
    return Verdict(JobState.FAILED, text, WALLTIME_EXCEEDED, code, "TaskTimeout")


def judge_killed(exit_code: int | None = None) -> Verdict:
    """Of a job that nobody waits for any more."""
    text = "The job was killed by request."
    return Verdict(JobState.CANCELLED, text, KILLED_BY_REQUEST, exit_code)


def judge_inputs(error: str) -> Verdict:
    """Of a job without its inputs."""
    return Verdict(JobState.FAILED, error, fault="InputError")


def judge_container(error: OSError) -> Verdict:
    """Of a job for which there was no room, or no process."""
    return Verdict(JobState.FAILED, f"The container could not run the job: {error}.")


def with_missing(verdict: Verdict, missing: str | None) -> Verdict:
    """Outputs that were not left are told, but fail no job: as Cloud Kotta has it."""
    if missing is None:
        return verdict
    return replace(verdict, error=f"{verdict.error} {missing}" if verdict.error else missing)


def to_result(record: JobRecord) -> bytes:
    """The result of the task of a job that completed."""
    files = [{"name": one.name, "size": one.size, "sha256": one.sha256} for one in record.outputs]
    told = {
        "state": str(record.state),
        "exit_code": record.exit_code,
        "outputs": files,
        "missing": list(record.missing),
    }
    return encode(told)


def to_fault(verdict: Verdict) -> TaskFault:
    """The error of the task of a job that did not: another start would do the same again."""
    message = cut_middle(verdict.error or "", MESSAGE_LIMIT_BYTES)
    return TaskFault(verdict.fault, message, retryable=False)


def _name_signal(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:  # a real-time signal has no name
        return f"signal {number}"
