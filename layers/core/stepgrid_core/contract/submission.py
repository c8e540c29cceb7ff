"""What a client sends to have tasks run."""

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, StringConstraints, field_validator, model_validator

from ..names import CLIENT_TOKEN, UPLOAD_ID, WORKER_NAME
from .container import ContainerOptions
from .model import Count, Request

#: Lambda's hard limit is 900 s; 60 s stay for starting, handing back and committing
MAX_LAMBDA_TASK_SECONDS = 840
#: of one attempt on Fargate, which knows no limit of its own
MAX_TASK_TIMEOUT_SECONDS = 7 * 86_400
MAX_SESSION_TIMEOUT_SECONDS = 30 * 86_400
MAX_ATTEMPTS = 10
#: entries of `offsets`; as many chunks as a distributed Map may have at once
MAX_OFFSETS = 10_000
#: sessions and jobs that one may wait for
MAX_DEPENDENCIES = 20
#: of a session's common input, as JSON text: a worker holds it beside its tasks
MAX_COMMON_BYTES = 64 * 1024 * 1024

HOW_TO_FEDERATE = (
    "what runs on nodes of organizations is a federated task, which POST /v1/federation/task "
    "makes, or POST /task by a client of vantage6"
)

Tag = Annotated[str, StringConstraints(max_length=256)]
TagName = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class SessionOptions(Request):
    """How a session is to be run. All have defaults."""

    name: str | None = Field(None, max_length=128, description="shown in lists; need not be unique")
    tags: dict[TagName, Tag] = Field(default_factory=dict, max_length=20)
    timeout_seconds: int = Field(
        86_400,
        ge=1,
        le=MAX_SESSION_TIMEOUT_SECONDS,
        description="tasks without a result when it passes fail, and so does the session",
    )
    task_timeout_seconds: float | None = Field(
        None,
        ge=0.05,
        le=MAX_TASK_TIMEOUT_SECONDS,
        description="of one attempt of one task; left out: 300, or what the worker allows. "
        "Over 840 it runs on Fargate",
    )
    max_attempts: int = Field(
        3, ge=1, le=MAX_ATTEMPTS, description="how often a task is started before it fails"
    )
    priority: int = Field(4, ge=0, le=9, description="9 is the most urgent")
    max_concurrency: int | None = Field(None, ge=1, le=10_000, description="chunks run at once")
    chunk_size: int | None = Field(
        None, ge=1, le=1_000_000, description="tasks a worker takes at once; chosen when left out"
    )
    backend: Literal["auto", "lambda", "fargate"] = Field(
        "auto", description="what runs it; auto: see docs/planning.md, and POST /v1/plans"
    )
    container: ContainerOptions | None = Field(
        None, description="size of its containers, where it runs on Fargate"
    )
    task_seconds: float | None = Field(
        None, gt=0, le=MAX_TASK_TIMEOUT_SECONDS, description="hint: how long one task takes"
    )

    @field_validator("backend", mode="before")
    @classmethod
    def _no_nodes(cls, value: object) -> object:
        if value == "node":
            raise ValueError(HOW_TO_FEDERATE)
        return value


class UploadedInput(Request):
    """An input file that was uploaded: JSON Lines, one task a line, each ended by a newline.

    `offsets` holds the byte where every `stride`-th line begins, so that the grid can cut the file
    into chunks without reading it: offsets[k] is the start of line k * stride; offsets[0] is 0.
    """

    upload_id: str = Field(pattern=UPLOAD_ID)
    multipart_id: str | None = Field(None, max_length=1024)
    etags: list[Annotated[str, StringConstraints(max_length=128)]] | None = Field(
        None, min_length=1, max_length=10_000, description="of the parts, in order"
    )
    tasks: int = Field(ge=1)
    size: int = Field(ge=1, description="bytes")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the file")
    stride: int = Field(ge=1)
    offsets: list[Count] = Field(min_length=1, max_length=MAX_OFFSETS)

    @model_validator(mode="after")
    def _offsets_must_fit(self) -> Self:
        if len(self.offsets) != -(-self.tasks // self.stride):
            raise ValueError(
                f"offsets has {len(self.offsets)} entries; "
                f"{self.tasks} tasks with a stride of {self.stride} need "
                f"{-(-self.tasks // self.stride)}"
            )
        if self.offsets[0] != 0:
            raise ValueError("offsets[0] must be 0, the start of the first line")
        if any(a >= b for a, b in zip(self.offsets, [*self.offsets[1:], self.size], strict=True)):
            raise ValueError("offsets must rise, and end before size")
        return self

    @model_validator(mode="after")
    def _parts_need_both(self) -> Self:
        if (self.multipart_id is None) != (self.etags is None):
            raise ValueError("multipart_id and etags belong together")
        return self


class CommonFile(Request):
    """A common input as JSON text, before it is uploaded."""

    size: int = Field(ge=1, le=MAX_COMMON_BYTES, description="bytes")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the bytes")


class UploadedCommon(CommonFile):
    """A common input that was uploaded."""

    upload_id: str = Field(pattern=UPLOAD_ID, description="as POST /v1/uploads gave it")


class SubmitRequest(Request):
    """POST /v1/sessions: `tasks` in the request itself, or an `input` file uploaded before.

    Data that all tasks share travels once: as `common`, or uploaded before as `common_upload`.
    """

    client_token: str = Field(
        pattern=CLIENT_TOKEN,
        description="chosen by the client: the same token and tasks give the same session",
    )
    worker: str = Field(pattern=WORKER_NAME)
    tasks: list[JsonValue] | None = Field(None, min_length=1)
    input: UploadedInput | None = None
    common: JsonValue = Field(
        None, description="shared by all tasks, as context.common; null: there is none"
    )
    common_upload: UploadedCommon | None = None
    depends_on: list[str] = Field(
        default_factory=list,
        max_length=MAX_DEPENDENCIES,
        description="own sessions and jobs that must have finished before this one starts",
    )
    options: SessionOptions = SessionOptions.model_validate({})

    @model_validator(mode="after")
    def _tasks_or_input(self) -> Self:
        if (self.tasks is None) == (self.input is None):
            raise ValueError("give either tasks or input")
        return self

    @model_validator(mode="after")
    def _one_common(self) -> Self:
        if self.common is not None and self.common_upload is not None:
            raise ValueError("give either common or common_upload")
        return self
