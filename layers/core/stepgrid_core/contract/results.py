"""What became of a session's chunks and tasks."""

from pydantic import Field

from ..states import FailureReason, SessionState, TaskState
from .model import Count, CursorQuery, Query, Response
from .session import MAX_WAIT_SECONDS, SessionDescription


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
    by_parts: bool = Field(
        False,
        description="there is never a URL: without lines, an output of any size is read by "
        "GET .../outputs/{chunk}",
    )


class ResultPage(Response):
    """Outputs of consecutive chunks: of all, or of those that are news to the client."""

    session_id: str
    state: SessionState = Field(description="running until the session is closed")
    first_chunk: Count = Field(
        description="of the page, whether its output is in this answer or not"
    )
    chunk_count: Count = Field(description="of the page")
    chunks: list[ChunkOutput]
    cursor: str | None = Field(None, description="of the next page; it stays good")


class OutputPart(Response):
    """Some bytes of an output that no URL leads to."""

    session_id: str
    chunk: Count
    data: str = Field(description="base64")
    size: Count = Field(description="of the whole output, in bytes")
    next_offset: Count | None = Field(None, description="where the next part begins")


class OutputQuery(Query):
    offset: Count = Field(0, description="the first byte that is wanted")


class SessionReport(SessionDescription):
    """A session as it is now, with the beginning of its results once it has ended."""

    results: ResultPage | None = Field(
        None, description="the first page, if it was asked for and the session has ended"
    )


class ResultsQuery(CursorQuery):
    """A page of results; with `seen` what is new on it, with `wait` once there is anything new."""

    seen: str | None = Field(
        None,
        pattern=r"^[0-9a-fA-F]{1,64}$",
        description="hexadecimal number whose bit k stands for the page's chunk k: answer only "
        "chunks that are final and not among these",
    )
    wait: float = Field(
        0.0,
        ge=0,
        le=MAX_WAIT_SECONDS,
        description="seconds to wait for a final chunk that was not seen, or the session's end",
    )


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
