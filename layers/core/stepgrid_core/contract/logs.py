"""What the workers wrote about a session."""

from typing import Literal

from pydantic import Field, JsonValue

from .model import Count, Query, Response


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


class LogsQuery(Query):
    task: int | None = Field(None, ge=0, description="only what this task printed")
    since: float | None = Field(None, ge=0, le=1e11, description="epoch seconds; from then on")
    all: bool = Field(False, description="also what the grid itself wrote about the session")
    cursor: str | None = Field(
        None, min_length=1, max_length=4096, description="of the page before"
    )
