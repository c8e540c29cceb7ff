"""What runs tasks here."""

from typing import Literal

from pydantic import Field

from .model import Response


class WorkerDescription(Response):
    """A worker that tasks can be submitted to, and its limits."""

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
