"""The wire contract: every request and response of the `/v1` API as a pydantic model.

Requests forbid unknown fields, so that a misspelt option is refused and not ignored; responses
tolerate them, so that an older SDK can read a newer grid. Schemas only grow. docs/openapi.json is
made from this module. It knows neither HTTP libraries nor AWS.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, model_validator

from .names import CLIENT_TOKEN, UPLOAD_ID, WORKER_NAME
from .states import EventKind, FailureReason, SessionState, TaskState

CONTRACT_VERSION = "1.0"
#: Lambda's hard limit is 900 s; 60 s stay for starting, handing back and committing
MAX_TASK_TIMEOUT_SECONDS = 840
MAX_SESSION_TIMEOUT_SECONDS = 30 * 86_400
MAX_WAIT_SECONDS = 20  # API Gateway answers for the function after 29 s
MAX_ATTEMPTS = 10
#: entries of `offsets`; as many chunks as a distributed Map may have at once
MAX_OFFSETS = 10_000
#: of a session's common input, as JSON text: a worker holds it beside its tasks
MAX_COMMON_BYTES = 64 * 1024 * 1024
#: sessions that one subscription may name: an event pattern has at most 2,048 characters
#: (EventBridge quotas), and an id with its quotes takes 39 of them
MAX_SUBSCRIBED_SESSIONS = 20
#: events in one answer; an SQS batch has no more
MAX_BATCH = 10

Count = Annotated[int, Field(ge=0)]
Tag = Annotated[str, StringConstraints(max_length=256)]
TagName = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class Request(BaseModel):
    """Types are taken at their word: "3" is no number, and true is none either."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Query(BaseModel):
    """Query parameters; they all arrive as text."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Response(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


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
        description="of one attempt of one task; left out: 300, or what the worker allows",
    )
    max_attempts: int = Field(
        3, ge=1, le=MAX_ATTEMPTS, description="how often a task is started before it fails"
    )
    priority: int = Field(4, ge=0, le=9, description="9 is the most urgent")
    max_concurrency: int | None = Field(None, ge=1, le=10_000, description="chunks run at once")
    chunk_size: int | None = Field(
        None, ge=1, le=1_000_000, description="tasks a worker takes at once; chosen when left out"
    )
    backend: Literal["auto", "lambda"] = "auto"
    task_seconds: float | None = Field(
        None, gt=0, le=MAX_TASK_TIMEOUT_SECONDS, description="hint: how long one task takes"
    )


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


class UploadRequest(Request):
    """POST /v1/uploads: where to PUT an input file, whole or in parts; or a common input.

    For more parts of the same file, ask again with its upload_id, multipart_id and first_part.
    Parts but the last have at least 5 MiB (S3 multipart upload limits). A common input is one PUT;
    where the grid has these very bytes of yours already, it answers no URL.
    """

    parts: int | None = Field(None, ge=1, le=1000, description="left out: one PUT, up to 5 GiB")
    upload_id: str | None = Field(None, pattern=UPLOAD_ID)
    multipart_id: str | None = Field(None, max_length=1024)
    first_part: int = Field(1, ge=1, le=10_000)
    common: CommonFile | None = None

    @model_validator(mode="after")
    def _common_is_one_put(self) -> Self:
        if self.common is not None and (self.parts or self.upload_id):
            raise ValueError("a common input is uploaded by one PUT: leave parts and upload_id out")
        return self

    @model_validator(mode="after")
    def _continuation_needs_both(self) -> Self:
        if (self.upload_id is None) != (self.multipart_id is None):
            raise ValueError("upload_id and multipart_id belong together")
        if self.upload_id is not None and self.parts is None:
            raise ValueError("parts says how many more URLs are wanted")
        if self.first_part + (self.parts or 1) - 1 > 10_000:
            raise ValueError("a file has at most 10,000 parts")
        return self


class CancelRequest(Request):
    session_ids: list[Annotated[str, StringConstraints(max_length=128)]] = Field(
        min_length=1, max_length=100
    )


class SessionUpdate(Request):
    """PATCH /v1/sessions/{id}: what may be changed of an open session."""

    priority: int | None = Field(None, ge=0, le=9, description="moves it in its worker's queue")
    paused: bool | None = Field(
        None,
        description="true: nothing more of it starts, what runs is finished; false: it goes on",
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.priority is None and self.paused is None:
            raise ValueError("give priority or paused")
        return self


class Upload(Response):
    upload_id: str
    multipart_id: str | None = None
    urls: list[str]
    expires_in_seconds: int


class TaskCounts(Response):
    """Tasks by state; they always add up to the session's tasks."""

    pending: Count = 0
    processing: Count = 0
    retrying: Count = 0
    finished: Count = 0
    failed: Count = 0
    cancelled: Count = 0


class SessionTimings(Response):
    """When each stage of the session began (epoch seconds), and how long the stages took."""

    created_at: float
    deadline_at: float
    dispatched_at: float | None = Field(None, description="its newest execution was started")
    first_claim_at: float | None = Field(None, description="a worker took the first chunk")
    closed_at: float | None = None
    queue_seconds: float | None = Field(None, description="from created_at to first_claim_at")
    run_seconds: float | None = Field(None, description="from first_claim_at to closed_at")
    task_seconds: float | None = Field(
        None, description="sum of the time that its settled tasks spent in user code"
    )


class SessionDescription(Response):
    session_id: str
    state: SessionState
    worker: str
    tasks: Count
    counts: TaskCounts
    timings: SessionTimings
    chunk_size: int
    chunks: int
    route: str
    priority: int
    waiting: bool = Field(False, description="for room on its worker, in order of priority and age")
    paused: bool = False
    slots: Count = Field(0, description="chunks of it that may run at once, once it was started")
    max_attempts: int
    task_timeout_seconds: float
    execution: str | None = Field(None, description="ARN of its newest state machine execution")
    name: str | None = None
    tags: dict[str, str] = Field(default_factory=dict)


class SessionEvent(SessionDescription):
    """News of a session, as a subscription hands it out: the session as it was at that moment.

    It may come twice (drop what has a known `event_id`), late (`sequence` rises within a session)
    or never (the session itself is the truth).
    """

    contract_version: str = CONTRACT_VERSION
    event_id: str = Field(description="the same for every repeat of the same event")
    kind: EventKind
    sequence: int = Field(ge=0, le=100, description="of the session's events; 100: it has ended")
    at: float = Field(description="epoch seconds")
    percent: int | None = Field(
        None, ge=1, le=99, description="of progressed: at least so many of its tasks are settled"
    )


class BusEvent(SessionEvent):
    """The `detail` of an event on the bus. Its `source` is stepgrid, its detail-type `Session` and
    the kind, and its only resource the session's id.
    """

    owner: str = Field(description="the verified identity that the session belongs to")


class SubscribeRequest(Request):
    """POST /v1/subscriptions: which of the caller's own events to keep for it from now on."""

    client_token: str = Field(
        pattern=CLIENT_TOKEN, description="the same token and filters give the same subscription"
    )
    session_ids: list[Annotated[str, StringConstraints(max_length=128)]] | None = Field(
        None, min_length=1, max_length=MAX_SUBSCRIBED_SESSIONS, description="left out: all sessions"
    )
    kinds: list[EventKind] | None = Field(None, min_length=1, description="left out: all kinds")


class Subscription(Response):
    subscription_id: str
    idle_seconds: int = Field(description="it is removed if nobody asks for events for so long")


class ReceiveRequest(Request):
    """POST /v1/subscriptions/{subscription_id}/events: the next events, once there are any.

    Events that are not acknowledged come again.
    """

    wait_seconds: float = Field(0.0, ge=0, le=MAX_WAIT_SECONDS)
    ack: list[Annotated[str, StringConstraints(min_length=1, max_length=2048)]] = Field(
        default_factory=list, max_length=MAX_BATCH, description="of an earlier answer"
    )


class EventBatch(Response):
    events: list[SessionEvent]
    ack: list[str] = Field(description="send it with the next request, when these are done")


class UnsubscribeResponse(Response):
    subscription_id: str
    deleted: Literal[True] = True


class SessionSummary(Response):
    """A line of the session list; counts only once the session is closed."""

    session_id: str
    state: SessionState | Literal["open"]
    worker: str
    tasks: Count
    created_at: float
    closed_at: float | None = None
    counts: TaskCounts | None = None
    name: str | None = None


class SessionList(Response):
    sessions: list[SessionSummary]
    cursor: str | None = None


class ChunkOutput(Response):
    """The outcome of one chunk. `lines` (inline) or `url` once something in it is settled.

    Each line is one task: {"i": index, "state": "finished", "attempts", "ms", "result"} or
    {"i", "state": "failed", "attempts", "ms", "error": {"type", "message", "traceback"}}.
    A line with the state "retrying" has the error of the last attempt; once the chunk is final, it
    says nothing. Tasks that have no line are in `others`: a task state, with an error where failed.
    """

    chunk: Count
    first_task: Count
    tasks: Count
    final: bool = Field(description="no task of the chunk will change any more")
    finished: Count
    failed: Count
    others: TaskState | None = None
    error: dict[str, str] | None = None
    lines: str | None = None
    url: str | None = None
    size: Count = 0
    digest: str | None = Field(None, description="first 12 bytes of SHA-256, base64url")


class ResultPage(Response):
    session_id: str
    state: SessionState = Field(description="running until the session is closed")
    chunks: list[ChunkOutput]
    cursor: str | None = None


class TaskDescription(Response):
    task_id: str
    index: Count
    state: TaskState
    attempts: Count | None = None
    milliseconds: float | None = None
    error: dict[str, str] | None = Field(None, description="while retrying: of the last attempt")
    reason: FailureReason | None = Field(None, description="of a failed task")


class TaskPage(Response):
    session_id: str
    tasks: list[TaskDescription]
    cursor: str | None = None


class CancelCounts(Response):
    """How many tasks this call cancelled, by the state they were in."""

    cancelled_retrying: Count = 0
    cancelled_pending: Count = 0
    cancelled_processing: Count = 0
    total_cancelled_tasks: Count = 0


class CancelResponse(Response):
    sessions: dict[str, CancelCounts]


class QuotaDescription(Response):
    """What the caller's open sessions hold, and what they may hold (null: no limit)."""

    owner: str = Field(description="who the caller is to the grid")
    sessions: Count
    max_sessions: int | None = None
    tasks: Count
    max_tasks: int | None = None
    max_concurrency: int | None = Field(None, description="chunks at once on one worker")


class DeleteResponse(Response):
    session_id: str
    deleted: Literal[True] = True


class LogLine(Response):
    """One line of the workers' log about a session: printed by a task, or written by the grid."""

    at: float = Field(description="epoch seconds")
    message: str
    level: str = "INFO"
    chunk: Count | None = None
    task: Count | None = Field(None, description="index of the task that printed it")
    attempt: Count | None = None
    printed: Literal["stdout", "stderr"] | None = Field(
        None, description="where the task printed it; left out in the grid's own lines"
    )
    fields: dict[str, JsonValue] = Field(default_factory=dict, description="whatever else it says")


class LogPage(Response):
    """Oldest first. It may be empty and still have a cursor: the search goes on there."""

    session_id: str
    lines: list[LogLine]
    cursor: str | None = None


class WorkerDescription(Response):
    name: str
    backends: list[str]
    timeout_seconds: int
    memory_mib: int
    max_task_timeout_seconds: float
    task_seconds: float | None = Field(None, description="measured running mean of one task")
    kind: Literal["package", "function"] = Field(
        "package", description="function: a plain Lambda that was registered"
    )
    runtime: str = Field("", description="as Lambda calls it; empty for a container image")
    concurrency: int | None = Field(
        None, description="its chunks that run at once; left out: the grid's number"
    )


class WorkerList(Response):
    workers: list[WorkerDescription]
    default: str | None = Field(None, description="for clients that name none, as HTC-Grid's")


class Health(Response):
    status: Literal["ok"] = "ok"
    version: str
    contract_version: str


class LoginDescription(Response):
    """Where users of this grid log in: public identifiers, no secrets."""

    region: str
    user_pool_id: str
    user_pool_client_id: str
    identity_pool_id: str
    aws_endpoint_url: str | None = Field(None, description="of Cognito, on a local cloud")


class ErrorBody(Response):
    code: str
    message: str
    details: JsonValue = None


class ErrorResponse(Response):
    error: ErrorBody
    request_id: str


class NoQuery(Query):
    """A route without query parameters."""


class WaitQuery(Query):
    wait: float = Field(0.0, ge=0, le=MAX_WAIT_SECONDS, description="seconds to wait for its end")


class CursorQuery(Query):
    cursor: str | None = Field(None, max_length=128, description="of the page before")


class SessionsQuery(CursorQuery):
    state: SessionState | None = Field(None, description="pending and running: all open ones")


class LogsQuery(Query):
    task: int | None = Field(None, ge=0, description="only what this task printed")
    since: float | None = Field(None, ge=0, le=1e11, description="epoch seconds; from then on")
    all: bool = Field(False, description="also what the grid itself wrote about the session")
    cursor: str | None = Field(
        None, min_length=1, max_length=4096, description="of the page before"
    )


class TasksQuery(CursorQuery):
    state: TaskState | None = None
