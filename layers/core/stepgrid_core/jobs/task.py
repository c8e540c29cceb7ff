"""JobTask: one start of one job, and the files and words that tell of it."""

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ..codec import decode
from ..contract import JobSpec, first_fault
from ..ports import CommonInput


class NoJob(Exception):
    """What was given to the runner describes no job; the message says why."""


@dataclass(frozen=True, slots=True)
class JobTask:
    session_id: str
    index: int  #: in its session, and in its array
    count: int  #: jobs of the array; 1: it is none
    attempt: int

    @property
    def job_id(self) -> str:
        if self.count == 1:
            return self.session_id
        return self.task_id

    @property
    def task_id(self) -> str:
        return f"{self.session_id}_{self.index}"


def read_task(session_id: str, index: int, attempt: int, line: bytes) -> JobTask:
    """From its line: {"index": i}, with "count" where it is one of an array. Raises NoJob."""
    try:
        values: Any = decode(line)
    except ValueError:
        values = None
    told = values.get("index") if isinstance(values, dict) else None
    if told != index:
        raise NoJob(f'The task\'s input is not {{"index": {index}}}.')
    count = values.get("count", index + 1)
    if not isinstance(count, int) or count <= index:
        raise NoJob("The task's count is no number of jobs.")
    return JobTask(session_id, index, count, attempt)


def read_spec(common: CommonInput | None) -> JobSpec:
    """Raises NoJob."""
    if common is None:
        raise NoJob("The session has no common input, which says what its jobs do.")
    try:
        return JobSpec.model_validate_json(common.text)
    except ValidationError as error:
        fault = first_fault(error, "all of it")
        raise NoJob(f"The session's common input describes no job: {fault}") from None
