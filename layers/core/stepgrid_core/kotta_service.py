"""What Cloud Kotta's routes ask of the jobs API, as one value: tests give them another."""

from collections.abc import Callable
from dataclasses import dataclass

from . import contract
from .job_description import cancel_job, describe_job, list_jobs, list_outputs
from .job_submission import submit_job
from .submission import create_upload
from .wiring import Grid


def _upload(grid: Grid, owner: str, name: str) -> str:
    request = contract.UploadRequest.model_validate({"file": {"name": name}})
    return create_upload(grid, owner, request).urls[0]


@dataclass(frozen=True, slots=True)
class JobService:
    """The use cases; each gets the grid and the owner first."""

    submit: Callable[[Grid, str, contract.JobRequest], str] = submit_job
    describe: Callable[[Grid, str, str], contract.JobDescription] = describe_job
    list_page: Callable[[Grid, str, str | None], contract.JobList] = list_jobs
    list_outputs: Callable[[Grid, str, str], contract.JobOutputs] = list_outputs
    cancel: Callable[[Grid, str, str], contract.JobDescription] = cancel_job
    #: A file's name -> where to PUT it. The bucket is the first word of the host's name.
    upload: Callable[[Grid, str, str], str] = _upload
