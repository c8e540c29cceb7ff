"""How a call of a registered function failed, in the words of a task's error. Pure.

A function's runtime says errorType, errorMessage and stackTrace (Runtime API, invocation error);
what Lambda itself ended it says errorType `Sandbox...`, `Runtime...` or `Function...`.
"""

import json
import re
from typing import Any

from .data_plane import TaskFault
from .errors import NotFound
from .runner_failures import MESSAGE_LIMIT_BYTES, TRACEBACK_LIMIT_BYTES, cut_middle

#: Lambda's own error types -> ours
TYPES_OF_LAMBDA = {
    "Sandbox.Timedout": "TaskTimeout",
    "Runtime.OutOfMemory": "TaskOutOfMemory",
    "Runtime.ExitError": "TaskExited",
    "Function.ResponseSizeTooLarge": "ResultTooLarge",
}
#: Before errorType was there, Lambda said a timeout in these words alone.
_TIMED_OUT = re.compile(r"Task timed out after [0-9.]+ seconds")
#: In these a runtime may keep its trace: the documented word, and that of Node.js.
_TRACES = ("stackTrace", "trace")
UNTYPED = "FunctionError"


def describe_failure(payload: bytes) -> TaskFault:
    """The fault of a task whose function failed; `payload` is what Lambda answered."""
    error = _read(payload)
    message = str(error.get("errorMessage") or "the function failed and said nothing")
    kind = _kind(str(error.get("errorType") or ""), message)
    return TaskFault(
        cut_middle(kind, MESSAGE_LIMIT_BYTES),
        cut_middle(message, MESSAGE_LIMIT_BYTES),
        cut_middle(_trace(error), TRACEBACK_LIMIT_BYTES),
        retryable=kind != "ResultTooLarge",
    )


def _read(payload: bytes) -> dict[str, Any]:
    try:
        error = json.loads(payload)
    except ValueError:
        error = payload.decode(errors="replace")
    return error if isinstance(error, dict) else {"errorMessage": str(error)}


def _kind(said: str, message: str) -> str:
    if said == "Runtime.ExitError" and "signal:" in message:
        return "TaskCrashed"
    if not said and _TIMED_OUT.search(message):
        return "TaskTimeout"
    return TYPES_OF_LAMBDA.get(said, said or UNTYPED)


def _trace(error: dict[str, Any]) -> str:
    trace = next((error[name] for name in _TRACES if error.get(name)), "")
    if isinstance(trace, list):
        return "\n".join(str(frame).rstrip("\n") for frame in trace)
    return str(trace)


def describe_refusal(error: Exception) -> TaskFault:
    """The fault of a task whose function can't be called; another try may find it allowed again."""
    message = cut_middle(str(error), MESSAGE_LIMIT_BYTES)
    return TaskFault(type(error).__name__, message, retryable=not isinstance(error, NotFound))


def describe_silence(error: Exception) -> TaskFault:
    """The fault of a task of which nobody knows whether it ran: it counts as started."""
    return TaskFault("WorkerLost", cut_middle(str(error), MESSAGE_LIMIT_BYTES))


def describe_overdue(function: str, timeout_seconds: float) -> TaskFault:
    return TaskFault(
        "TaskTimeout",
        f"{function} gave no answer within the task's timeout of {timeout_seconds:g} s; "
        "it may run on until its own timeout",
    )


def describe_large_task(size: int, limit: int) -> TaskFault:
    message = f"the task has {size} bytes; a registered function can be given {limit} at most"
    return TaskFault("InputError", message, retryable=False)


def describe_large_result(size: int, limit: int) -> TaskFault:
    message = f"the function answered {size} bytes; {limit} are allowed"
    return TaskFault("ResultTooLarge", message, retryable=False)


def describe_bad_result(payload: bytes, reason: Exception) -> TaskFault:
    begins = cut_middle(payload[:64].decode(errors="replace"), MESSAGE_LIMIT_BYTES)
    message = f"the function answered what is not JSON: {reason}; it begins {begins!r}"
    return TaskFault("ResultNotSerializable", message, retryable=False)
