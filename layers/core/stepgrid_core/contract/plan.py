"""How a session would run, or runs, and why: said before it is submitted, and afterwards."""

from pydantic import Field

from ..names import WORKER_NAME
from .model import Count, Request, Response
from .submission import SessionOptions


class PlanRequest(Request):
    """POST /v1/plans: what would be submitted. Nothing is stored, nothing starts."""

    worker: str = Field(pattern=WORKER_NAME)
    tasks: int = Field(ge=1)
    size: int | None = Field(
        None, ge=1, description="bytes of its tasks as JSON Lines; left out: 1,000 for each task"
    )
    options: SessionOptions = SessionOptions.model_validate({})


class ContainerPlan(Response):
    """The containers of a session on Fargate."""

    count: int
    vcpu: float
    memory_mib: int
    storage_gib: int
    spot: bool
    architecture: str


class Estimate(Response):
    """What a session would take on a backend, at the prices of `PlanDescription.prices`."""

    backend: str
    seconds: float = Field(description="from the submit to its end, if there is room at once")
    dollars: float
    task_seconds: float = Field(description="what one task was taken to need")


class PlanDescription(Response):
    """Where a session runs and why, in which chunks, for how long and for how much."""

    backend: str
    reason: str = Field(description="why this backend")
    route: str
    chunks: int
    chunk_size: int = Field(description="tasks in its largest chunk")
    layout: str
    slots: Count = Field(description="chunks that can run at once")
    containers: ContainerPlan | None = None
    estimate: Estimate
    others: list[Estimate] = Field(default_factory=list, description="what it could run on as well")
    prices: str = Field(description="when the prices were looked up, and for which Region")
