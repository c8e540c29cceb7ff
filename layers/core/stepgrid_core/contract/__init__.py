"""The wire contract: every request and response of the `/v1` API as a pydantic model.

Requests forbid unknown fields, so that a misspelt option is refused and not ignored; responses
tolerate them, so that an older SDK can read a newer grid. Schemas only grow. docs/openapi.json is
made from this module. It knows neither HTTP libraries nor AWS.
"""

from .error import ErrorBody, ErrorResponse
from .health import Health
from .login import LoginDescription
from .logs import LogLine, LogPage, LogsQuery
from .model import CONTRACT_VERSION, Count, CursorQuery, NoQuery, Query, Request, Response
from .results import (
    ChunkOutput,
    ResultPage,
    ResultsQuery,
    SessionReport,
    TaskDescription,
    TaskPage,
    TasksQuery,
)
from .session import (
    MAX_WAIT_SECONDS,
    CancelCounts,
    CancelRequest,
    CancelResponse,
    DeleteResponse,
    QuotaDescription,
    SessionDescription,
    SessionList,
    SessionsQuery,
    SessionSummary,
    SessionTimings,
    SessionUpdate,
    TaskCounts,
    WaitQuery,
)
from .submission import (
    MAX_ATTEMPTS,
    MAX_COMMON_BYTES,
    MAX_OFFSETS,
    MAX_SESSION_TIMEOUT_SECONDS,
    MAX_TASK_TIMEOUT_SECONDS,
    CommonFile,
    SessionOptions,
    SubmitRequest,
    Tag,
    TagName,
    UploadedCommon,
    UploadedInput,
)
from .subscription import (
    MAX_BATCH,
    MAX_SUBSCRIBED_SESSIONS,
    BusEvent,
    EventBatch,
    ReceiveRequest,
    SessionEvent,
    SubscribeRequest,
    Subscription,
    UnsubscribeResponse,
)
from .upload import MAX_PARTS, MIN_PART_BYTES, Upload, UploadRequest
from .worker import WorkerDescription, WorkerList

__all__ = [
    "CONTRACT_VERSION",
    "MAX_ATTEMPTS",
    "MAX_BATCH",
    "MAX_COMMON_BYTES",
    "MAX_OFFSETS",
    "MAX_PARTS",
    "MAX_SESSION_TIMEOUT_SECONDS",
    "MAX_SUBSCRIBED_SESSIONS",
    "MAX_TASK_TIMEOUT_SECONDS",
    "MAX_WAIT_SECONDS",
    "MIN_PART_BYTES",
    "BusEvent",
    "CancelCounts",
    "CancelRequest",
    "CancelResponse",
    "ChunkOutput",
    "CommonFile",
    "Count",
    "CursorQuery",
    "DeleteResponse",
    "ErrorBody",
    "ErrorResponse",
    "EventBatch",
    "Health",
    "LogLine",
    "LogPage",
    "LoginDescription",
    "LogsQuery",
    "NoQuery",
    "Query",
    "QuotaDescription",
    "ReceiveRequest",
    "Request",
    "Response",
    "ResultPage",
    "ResultsQuery",
    "SessionDescription",
    "SessionEvent",
    "SessionList",
    "SessionOptions",
    "SessionReport",
    "SessionSummary",
    "SessionTimings",
    "SessionUpdate",
    "SessionsQuery",
    "SubmitRequest",
    "SubscribeRequest",
    "Subscription",
    "Tag",
    "TagName",
    "TaskCounts",
    "TaskDescription",
    "TaskPage",
    "TasksQuery",
    "UnsubscribeResponse",
    "Upload",
    "UploadRequest",
    "UploadedCommon",
    "UploadedInput",
    "WaitQuery",
    "WorkerDescription",
    "WorkerList",
]
