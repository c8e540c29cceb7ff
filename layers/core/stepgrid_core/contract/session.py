"""A session as its owner sees it, and what may be done to it."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from ..states import SessionState
from .container import ContainerUse
from .model import Count, CursorQuery, Query, Request, Response

MAX_WAIT_SECONDS = 20  # API Gateway answers for the function after 29 s


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


class FederationDescription(Response):
    """The federated task that a session is. Chunk k is the run of organization k."""

    task_id: int
    collaboration_id: int
    organization_ids: list[int]


class SessionDescription(Response):
    """A session as it is now: state, counts, timings, and the options it runs with."""

    session_id: str
    state: SessionState
    worker: str
    tasks: Count
    counts: TaskCounts
    timings: SessionTimings
    chunk_size: int = Field(description="tasks in its largest chunk")
    chunks: int
    layout: str = Field(
        description="tasks in each chunk, in order: 3x10,5 is three chunks of 10 and one of 5"
    )
    route: str
    backend: str = "lambda"
    backend_reason: str | None = Field(None, description="why it runs there, in words")
    reason: str | None = Field(None, description="why it failed, if that is not its tasks' fault")
    depends_on: list[str] = Field(default_factory=list)
    blocked: bool = Field(False, description="waits for the sessions that it depends on")
    containers: list[ContainerUse] = Field(
        default_factory=list, description="on Fargate: those that have asked for its chunks"
    )
    priority: int
    waiting: bool = Field(False, description="for room on its worker, in order of priority and age")
    paused: bool = False
    slots: Count = Field(0, description="chunks of it that may run at once, once it was started")
    max_attempts: int
    task_timeout_seconds: float
    execution: str | None = Field(None, description="ARN of its newest state machine execution")
    name: str | None = None
    tags: dict[str, str] = Field(default_factory=dict)
    federation: FederationDescription | None = Field(
        None, description="of the backend node: the federated task that it is"
    )


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


class WaitQuery(Query):
    wait: float = Field(0.0, ge=0, le=MAX_WAIT_SECONDS, description="seconds to wait for its end")
    results: bool = Field(
        False, description="answer the first page of results too, once the session has ended"
    )


class SessionsQuery(CursorQuery):
    state: SessionState | None = Field(None, description="pending and running: all open ones")
