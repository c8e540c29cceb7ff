"""Every error of stepgrid, in one tree.

    StepgridError
    |- RequestError                what the caller sent can't be done (HTTP 4xx)
    |  |- InvalidRequest           400   |- Conflict          409
    |  |- AccessDenied             403   |- RequestTooLarge   413
    |  |- NotFound                 404   `- QuotaExceeded     429
    |  `- MethodNotAllowed         405
    |- ServiceError                the grid could not do it now (HTTP 5xx, throttled, unreachable)
    |  |- Unavailable              503   `- DeadlineExceeded  the caller's own time ran out
    |- TaskError                   a task has no result
    |  |- TaskFailed               |- TaskTimeout    |- TaskExited      |- TaskCrashed
    |  |- TaskOutOfMemory          |- ResultNotSerializable  |- ResultTooLarge
    |  |- InputError               |- WorkerLost     |- SessionTimeout  |- JobFailed
    |  |- DependencyFailed         `- TaskCancelled
    |- PayloadCorrupted            bytes read are not the bytes that were committed
    |- LoginError                  a user can't be logged in, or not any more
    |  |- LoginRefused             |- LoginExpired   `- NewPasswordRequired
    |- ConfigurationError          the client does not know where its grid is
    `- LocalCloudError             the local cloud could not be started, deployed or stopped

A message says what happened, to which id, and what to do.
"""

from typing import ClassVar

from .states import FailureReason


class StepgridError(Exception):
    """Anything that stepgrid raises on purpose."""


class RequestError(StepgridError):
    """The request can't be carried out as it was sent; nothing was changed."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "invalid_request"

    def __init__(self, message: str, details: object = None) -> None:
        super().__init__(message)
        self.message = message
        #: more for a program: for example one entry for each field that is wrong
        self.details = details


class InvalidRequest(RequestError):
    """A field is missing, unknown, of the wrong type or out of its range."""


class AccessDenied(RequestError):
    """The caller's identity or signature was refused."""

    status = 403
    code = "access_denied"


class NotFound(RequestError):
    """There is no such thing, or it is not the caller's: the two are answered alike."""

    status = 404
    code = "not_found"


class MethodNotAllowed(RequestError):
    """The route exists, but not with this HTTP method."""

    status = 405
    code = "method_not_allowed"


class Conflict(RequestError):
    """The request contradicts what is stored, for example a client_token used for other tasks."""

    status = 409
    code = "conflict"


class RequestTooLarge(RequestError):
    """The request, its input or its number of tasks is over a limit."""

    status = 413
    code = "request_too_large"


class QuotaExceeded(RequestError):
    """The owner or the stage is over its quota; wait, then try again."""

    status = 429
    code = "quota_exceeded"


class ServiceError(StepgridError):
    """The grid could not do it; the request was right, and may be sent again."""


class Unavailable(ServiceError):
    """A service that the grid needs did not answer, or is throttling."""


class DeadlineExceeded(ServiceError, TimeoutError):
    """The time that the caller gave ran out; what it waited for goes on."""


class TaskError(StepgridError):
    """A task has no result. The message tells all of it; the attributes are for programs."""

    def __init__(
        self,
        message: str,
        task_id: str = "",
        traceback: str = "",
        remote_type: str = "",
        remote_message: str = "",
    ) -> None:
        super().__init__(message)
        self.task_id = task_id
        self.traceback = traceback  #: of the worker, if there is one
        self.remote_type = remote_type  #: class of the exception that the function raised
        self.remote_message = remote_message


class TaskFailed(TaskError):
    """The worker's function raised an exception."""

    reason: ClassVar[FailureReason] = FailureReason.EXCEPTION


class TaskTimeout(TaskFailed):
    """The task ran longer than its task_timeout_seconds and was killed."""

    reason = FailureReason.TIMEOUT


class TaskExited(TaskFailed):
    """The task ended the process it ran in, by sys.exit or os._exit."""

    reason = FailureReason.EXITED


class TaskCrashed(TaskFailed):
    """The process was killed by a signal, for example a segmentation fault."""

    reason = FailureReason.CRASHED


class TaskOutOfMemory(TaskFailed):
    """The task wanted more memory than its worker has."""

    reason = FailureReason.OUT_OF_MEMORY


class ResultNotSerializable(TaskFailed):
    """The function returned something that JSON can't say."""

    reason = FailureReason.BAD_RESULT


class ResultTooLarge(TaskFailed):
    """The function returned more bytes than a result may have."""

    reason = FailureReason.BAD_RESULT


class InputError(TaskFailed):
    """The task's input could not be read, or is not JSON."""

    reason = FailureReason.BAD_INPUT


class WorkerLost(TaskFailed):
    """The whole worker environment died while the task ran, at every attempt."""

    reason = FailureReason.WORKER_LOST


class SessionTimeout(TaskFailed):
    """The session's deadline passed before the task ended."""

    reason = FailureReason.SESSION_TIMEOUT


class JobFailed(TaskFailed):
    """The process of a job did not end with 0, or could not be started."""

    reason = FailureReason.EXITED


class DependencyFailed(TaskFailed):
    """A session that the task's own depends on did not succeed, so the task was never started."""

    reason = FailureReason.DEPENDENCY_FAILED


class TaskCancelled(TaskError):
    """The session was cancelled before the task ended."""


class PayloadCorrupted(StepgridError):
    """Bytes read from the payload store are not those that were written."""


class LoginError(StepgridError):
    """A user can't be logged in."""


class LoginRefused(LoginError):
    """The username or the password is wrong: the two are told alike."""


class LoginExpired(LoginError):
    """A login has ended: its tokens did, or were revoked, or the user was removed."""


class NewPasswordRequired(LoginError):
    """The user has a temporary password, and has to choose one."""


class ConfigurationError(StepgridError):
    """The client can't find its grid or its credentials."""


class LocalCloudError(StepgridError):
    """The local cloud could not do what was asked."""


#: error types as they travel in outputs; any other type is the user's own exception: TaskFailed
TASK_ERRORS: dict[str, type[TaskFailed]] = {
    kind.__name__: kind
    for kind in (
        TaskTimeout,
        TaskExited,
        TaskCrashed,
        TaskOutOfMemory,
        ResultNotSerializable,
        ResultTooLarge,
        InputError,
        WorkerLost,
        SessionTimeout,
        JobFailed,
        DependencyFailed,
    )
}


def reason_of(error_type: str) -> FailureReason:
    """Why a task failed whose error is of this type, as outputs name it."""
    return TASK_ERRORS.get(error_type, TaskFailed).reason


#: `code` of an error answer -> what the SDK raises
REQUEST_ERRORS: dict[str, type[RequestError]] = {
    kind.code: kind
    for kind in (
        InvalidRequest,
        AccessDenied,
        NotFound,
        MethodNotAllowed,
        Conflict,
        RequestTooLarge,
        QuotaExceeded,
    )
}
