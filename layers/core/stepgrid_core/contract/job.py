"""Jobs: a script with staged inputs and outputs, as a client submits it and sees it.

A job is a session of one task, an array of jobs one of many; the words are Cloud Kotta's.
"""

import shlex
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from ..job_environment import check_text, check_variable
from ..job_paths import check_apart, check_destination, check_pattern, default_name, shorten
from ..job_urls import check_url
from ..names import CLIENT_TOKEN
from ..states import JobState
from .container import ContainerOptions
from .model import Count, CursorQuery, Request, Response
from .submission import MAX_DEPENDENCIES, Tag, TagName

MAX_SCRIPT_BYTES = 256 * 1024
MAX_JOB_FILES = 100
MAX_ARRAY = 10_000
MAX_WALLTIME_SECONDS = 7 * 86_400

Text = Annotated[str, StringConstraints(max_length=8192), AfterValidator(check_text)]
Destination = Annotated[str, AfterValidator(check_destination)]
Pattern = Annotated[str, AfterValidator(check_pattern)]
Variable = Annotated[str, AfterValidator(check_variable)]
#: days that outputs can be kept: the lifecycle rules of the bucket
RetentionDays = Literal[1, 7, 30, 90, 365]


class JobInput(Request):
    """A file that is fetched before the job begins."""

    url: Annotated[str, AfterValidator(check_url)] = Field(description="http, https or s3")
    name: Destination | None = Field(
        None, description="where it goes in the job's folder; left out: the last part of the URL"
    )
    sha256: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="refused if it is anything else"
    )

    @property
    def destination(self) -> str:
        """Its name in the job's folder."""
        return self.name if self.name is not None else default_name(self.url)

    @model_validator(mode="after")
    def _has_a_name(self) -> Self:
        _ = self.destination
        return self


class JobSpec(Request):
    """What one job does."""

    executable: Text = Field(
        min_length=1, description="command line, cut into words as a shell would"
    )
    args: list[Text] = Field(default_factory=list, max_length=1000)
    shell: bool = Field(False, description="give the command line to a shell")
    script: str | None = Field(
        None, max_length=MAX_SCRIPT_BYTES, description="text of a file made in the job's folder"
    )
    script_name: Destination | None = Field(None, description="its name; it may be executed")
    inputs: list[JobInput] = Field(default_factory=list, max_length=MAX_JOB_FILES)
    outputs: list[Pattern] = Field(
        default_factory=list, max_length=MAX_JOB_FILES, description="names and patterns (*, ?, [])"
    )
    environment: dict[Variable, Text] = Field(default_factory=dict, max_length=100)
    walltime_seconds: int | None = Field(
        None, ge=1, le=MAX_WALLTIME_SECONDS, description="then it is killed; left out: its queue's"
    )

    @model_validator(mode="after")
    def _has_words(self) -> Self:
        # A shell has its own opinion of quotes: a comment may have one.
        if not (self.executable.split() if self.shell else self._cut()):
            raise ValueError("executable has no word: say what is to be run")
        return self

    def _cut(self) -> list[str]:
        try:
            return shlex.split(self.executable)
        except ValueError as error:
            raise ValueError(f"executable {shorten(self.executable)}: {error}") from None

    @model_validator(mode="after")
    def _files_have_names_of_their_own(self) -> Self:
        if (self.script is None) != (self.script_name is None):
            raise ValueError("script and script_name go together: give both, or neither")
        own = [] if self.script_name is None else [self.script_name]
        check_apart([*own, *(one.destination for one in self.inputs)])
        return self


class JobRequest(JobSpec):
    """POST /v1/jobs."""

    client_token: str = Field(
        pattern=CLIENT_TOKEN, description="the same token and job give the same job"
    )
    queue: str = Field("Test", min_length=1, max_length=64)
    resources: ContainerOptions | None = None
    array: int = Field(
        1, ge=1, le=MAX_ARRAY, description="so many jobs, told apart by STEPGRID_JOB_INDEX"
    )
    depends_on: list[str] = Field(
        default_factory=list,
        max_length=MAX_DEPENDENCIES,
        description="sessions and jobs that must have finished",
    )
    retention_days: RetentionDays | None = Field(None, description="how long outputs are kept")
    name: str | None = Field(None, max_length=128)
    tags: dict[TagName, Tag] = Field(default_factory=dict, max_length=20)


class JobStages(Response):
    """Seconds that each stage took; null: it has not ended."""

    staging_inputs: float | None = None
    processing: float | None = None
    staging_outputs: float | None = None


class JobOutput(Response):
    """A file or pattern that the job said it would leave, or its STDOUT, STDERR or script."""

    name: str
    available: bool
    size: Count | None = None
    sha256: str | None = None
    url: str | None = Field(None, description="to GET it, for a while; null: it is not there")


class JobDescription(Response):
    """A job as it is now. Of an array it tells the whole; each of its jobs has an id of its own."""

    job_id: str
    state: JobState
    name: str | None = None
    queue: str
    executable: str
    args: list[str] = Field(default_factory=list)
    script_name: str | None = None
    inputs: list[str] = Field(default_factory=list, description="their URLs, as submitted")
    array: int
    walltime_seconds: int
    created_at: float
    started_at: float | None = None
    completed_at: float | None = None
    stages: JobStages = JobStages()
    exit_code: int | None = None
    error: str | None = None
    error_code: int | None = Field(
        None, description="1001: walltime exceeded; 1002: cancelled; otherwise the exit code"
    )
    missing: list[str] = Field(default_factory=list, description="outputs that were not left")
    depends_on: list[str] = Field(default_factory=list)
    counts: dict[JobState, int] | None = Field(None, description="of an array, by state")
    tags: dict[str, str] = Field(default_factory=dict)


class JobSummary(Response):
    """A line of the job list."""

    job_id: str
    state: JobState
    name: str | None = None
    queue: str
    array: int
    created_at: float
    completed_at: float | None = None


class JobList(Response):
    jobs: list[JobSummary]
    cursor: str | None = None


class JobOutputs(Response):
    job_id: str
    outputs: list[JobOutput]


class JobsQuery(CursorQuery):
    """GET /v1/jobs."""
