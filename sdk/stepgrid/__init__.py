"""stepgrid: sessions of many tasks on a serverless grid.

    from stepgrid import Grid

    grid = Grid()                                   # finds it: see stepgrid.config
    session = grid.submit("mock-compute", [{"worker_arguments": ["100", "1", "1"]}] * 50)
    print(session.results())                        # in the order of the tasks

Names that are not listed here may change; stepgrid.config, stepgrid.login, stepgrid.users,
stepgrid.htcgrid, stepgrid.testing and stepgrid.local have public names of their own.
"""

from stepgrid_core import __version__
from stepgrid_core.contract import (
    CancelCounts,
    ContainerOptions,
    ContainerPlan,
    ContainerUse,
    Estimate,
    Health,
    LogLine,
    PlanDescription,
    QuotaDescription,
    SessionDescription,
    SessionSummary,
    SessionTimings,
    TaskCounts,
    TaskDescription,
    WorkerDescription,
)
from stepgrid_core.errors import (
    AccessDenied,
    ConfigurationError,
    Conflict,
    DeadlineExceeded,
    DependencyFailed,
    InputError,
    InvalidRequest,
    JobFailed,
    LocalCloudError,
    LoginError,
    LoginExpired,
    LoginRefused,
    MethodNotAllowed,
    NewPasswordRequired,
    NotFound,
    PayloadCorrupted,
    QuotaExceeded,
    RequestError,
    RequestTooLarge,
    ResultNotSerializable,
    ResultTooLarge,
    ServiceError,
    SessionTimeout,
    StepgridError,
    TaskCancelled,
    TaskCrashed,
    TaskError,
    TaskExited,
    TaskFailed,
    TaskOutOfMemory,
    TaskTimeout,
    Unavailable,
    WorkerLost,
)
from stepgrid_core.states import EventKind, FailureReason, SessionState, TaskState

from .client import Grid
from .config import Config
from .dead_letters import DeadLetter
from .events import EventStream, SessionEvent, Subscription
from .executor import GridExecutor
from .session import Session, Task

__all__ = [
    "AccessDenied",
    "CancelCounts",
    "Config",
    "ConfigurationError",
    "Conflict",
    "ContainerOptions",
    "ContainerPlan",
    "ContainerUse",
    "DeadLetter",
    "DeadlineExceeded",
    "DependencyFailed",
    "Estimate",
    "EventKind",
    "EventStream",
    "FailureReason",
    "Grid",
    "GridExecutor",
    "Health",
    "InputError",
    "InvalidRequest",
    "JobFailed",
    "LocalCloudError",
    "LogLine",
    "LoginError",
    "LoginExpired",
    "LoginRefused",
    "MethodNotAllowed",
    "NewPasswordRequired",
    "NotFound",
    "PayloadCorrupted",
    "PlanDescription",
    "QuotaDescription",
    "QuotaExceeded",
    "RequestError",
    "RequestTooLarge",
    "ResultNotSerializable",
    "ResultTooLarge",
    "ServiceError",
    "Session",
    "SessionDescription",
    "SessionEvent",
    "SessionState",
    "SessionSummary",
    "SessionTimeout",
    "SessionTimings",
    "StepgridError",
    "Subscription",
    "Task",
    "TaskCancelled",
    "TaskCounts",
    "TaskCrashed",
    "TaskDescription",
    "TaskError",
    "TaskExited",
    "TaskFailed",
    "TaskOutOfMemory",
    "TaskState",
    "TaskTimeout",
    "Unavailable",
    "WorkerDescription",
    "WorkerLost",
    "__version__",
]
