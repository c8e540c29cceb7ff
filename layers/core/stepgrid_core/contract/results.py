"""What became of a session's chunks and tasks."""

from pydantic import Field

from ..states import FailureReason, SessionState, TaskState
from .model import Count, CursorQuery, Response


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
    """What the grid says of a task without opening its result."""

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


class TasksQuery(CursorQuery):
    state: TaskState | None = None
