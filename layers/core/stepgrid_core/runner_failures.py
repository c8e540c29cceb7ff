"""How a task failed, in words: from an exception, an exit, a signal or a timeout to a `Fault`.

Pure rules, used on both sides of the runner. It must not know about pipes or processes, and it
imports only the standard library.
"""

import importlib
import math
import os
import signal
import traceback
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

MESSAGE_LIMIT_BYTES = 1024
TRACEBACK_LIMIT_BYTES = 16 * 1024

_OWN_FILES = os.path.join(os.path.dirname(__file__), "runner_")
_IMPORT_FILES = (importlib.__file__, "<frozen importlib")


@dataclass(frozen=True)
class Fault:
    """Why a task failed, before it leaves the runner as `ports.TaskFault`.

    The child builds it too, and would pay for the imports of `ports` at every start.
    """

    #: Class of the exception, with its module unless builtin, or one of our own: TaskTimeout,
    #: TaskExited, TaskCrashed, InputError, ResultNotSerializable, ResultTooLarge.
    type: str
    message: str
    #: Formatted traceback of the user's own frames, or the empty string.
    traceback: str = ""
    #: False where another attempt of the same task must end in the same way.
    retryable: bool = True


class TaskRefused(Exception):
    """A task fails by its input or its result, as every attempt would. `type` goes on the wire."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.type = error_type


def cut_middle(text: str, limit_bytes: int) -> str:
    """Return `text` as valid UTF-8 of about `limit_bytes` at most; the middle goes, the ends stay.

    The last line of a traceback and the first words of a message say the most.
    """
    data = text.encode(errors="backslashreplace")
    if len(data) <= limit_bytes:
        return data.decode()
    half = limit_bytes // 2 - 16
    head, tail = data[:half].decode(errors="ignore"), data[-half:].decode(errors="ignore")
    return f"{head} ... [{len(data) - 2 * half} bytes cut] ... {tail}"


def describe_exception(exc: BaseException, memory_limit_bytes: int | None) -> Fault:
    """Return the fault of a task, or of the import of its handler, that raised `exc`."""
    if isinstance(exc, TaskRefused):
        return Fault(exc.type, cut_middle(str(exc), MESSAGE_LIMIT_BYTES), retryable=False)
    type_name, message = _name_exception(exc, memory_limit_bytes)
    return Fault(
        cut_middle(type_name, MESSAGE_LIMIT_BYTES),
        cut_middle(message, MESSAGE_LIMIT_BYTES),
        cut_middle(_format_traceback(exc), TRACEBACK_LIMIT_BYTES),
    )


def describe_timeout(timeout_seconds: float) -> Fault:
    """Return the fault of a task that was killed because it ran longer than `timeout_seconds`."""
    message = f"The task ran longer than its timeout of {timeout_seconds:g} s and was killed."
    return Fault("TaskTimeout", message)


def describe_death(returncode: int, memory_limit_bytes: int | None, crash_trace: str) -> Fault:
    """Return the fault of the task that ran when the child died on its own.

    Args:
        returncode: as of `subprocess`: the exit code, or minus the number of the signal.
        memory_limit_bytes: the limit the child had, if any.
        crash_trace: what the child's faulthandler wrote, or the empty string.
    """
    if returncode >= 0:
        message = f"The task ended its process with exit code {returncode}."
        return Fault("TaskExited", message)
    if _died_in_codec(crash_trace):
        message = f"The task ran out of memory{_name_limit(memory_limit_bytes)}"
        return Fault("TaskOutOfMemory", message + " while its result was written as JSON.")
    message = f"The task's process was killed by {_name_signal(-returncode)}"
    if returncode == -signal.SIGKILL:
        message += f", probably out of memory{_name_limit(memory_limit_bytes)}"
    trace = cut_middle(_strip_crash_trace(crash_trace), TRACEBACK_LIMIT_BYTES)
    return Fault("TaskCrashed", message + ".", trace)


def describe_import_death(fault: Fault, handler: str) -> Fault:
    """Return `fault`, that of a dead child, for a batch whose handler was still being imported."""
    message = f"While {handler} was imported: {fault.message}"
    return replace(fault, message=cut_middle(message, MESSAGE_LIMIT_BYTES))


def describe_slow_import(handler: str, timeout_seconds: float) -> Fault:
    """Return the fault of a batch whose handler was not imported in `timeout_seconds`."""
    message = f"The import of {handler} took longer than {timeout_seconds:g} s."
    return Fault("TaskTimeout", message)


def describe_idle_deaths(count: int) -> Fault:
    """Return the fault of a batch given up because `count` children died with nothing started."""
    message = (
        f"The child process died {count} times in a row before any task could start: "
        "look for a thread that the handler's module starts."
    )
    return Fault("TaskCrashed", message)


def describe_result(result: Any, reason: Exception) -> str:
    """Return why `result` is not JSON: where in it, and what is there."""
    fault = _find_fault(result, "result", depth=0)
    return fault or f"The result is not JSON: {reason}."


def _name_exception(exc: BaseException, memory_limit_bytes: int | None) -> tuple[str, str]:
    if isinstance(exc, SystemExit):
        if exc.code is None or isinstance(exc.code, int):
            return "TaskExited", f"The task called sys.exit with code {exc.code or 0}."
        return "TaskExited", f"The task called sys.exit with code 1: {_read_message(exc)}"
    if isinstance(exc, MemoryError):
        told = f" {_read_message(exc)}".rstrip()
        return (
            "TaskOutOfMemory",
            f"The task ran out of memory{_name_limit(memory_limit_bytes)}.{told}",
        )
    cls = type(exc)
    prefix = "" if cls.__module__ == "builtins" else f"{cls.__module__}."
    return prefix + cls.__qualname__, _read_message(exc)


def _read_message(exc: BaseException) -> str:
    try:
        return str(exc)
    except Exception as broken:  # the user's __str__ may raise anything
        return f"(its message can't be read: {type(broken).__name__})"


def _format_traceback(exc: BaseException) -> str:
    try:
        own = _skip_own_frames(exc.__traceback__)
        return "".join(traceback.format_exception(type(exc), exc, own))
    except Exception:  # out of memory while formatting: the type and the message must still go out
        return ""


def _skip_own_frames(entry: TracebackType | None) -> TracebackType | None:
    while entry and entry.tb_frame.f_code.co_filename.startswith((_OWN_FILES, *_IMPORT_FILES)):
        entry = entry.tb_next
    return entry


def _strip_crash_trace(trace: str) -> str:
    lines = trace.splitlines()
    kept = [line for line in lines if _OWN_FILES not in line and "<frozen " not in line]
    return "\n".join(kept)


def _died_in_codec(trace: str) -> bool:
    """orjson crashes where there is no memory for its text; Python would raise MemoryError."""
    newest = next((line for line in trace.splitlines() if line.startswith("  File ")), "")
    return f'{os.path.join("stepgrid_core", "codec.py")}"' in newest


def _name_signal(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:  # a real-time signal has no name
        return f"signal {number}"


def _name_limit(memory_limit_bytes: int | None) -> str:
    if memory_limit_bytes is None:
        return ""
    return f" (the limit is {memory_limit_bytes / 2**20:g} MiB)"


def _find_fault(value: Any, path: str, depth: int) -> str | None:
    if depth > 50:
        return f"The result is nested too deeply, or in a circle, at {path[:100]}."
    if isinstance(value, dict):
        return _find_fault_in_dict(value, path, depth)
    if isinstance(value, (list, tuple)):
        items = ((item, f"{path}[{number}]") for number, item in enumerate(value))
        return next(filter(None, (_find_fault(*item, depth + 1) for item in items)), None)
    return _find_scalar_fault(value, path)


def _find_fault_in_dict(value: dict[Any, Any], path: str, depth: int) -> str | None:
    for key, item in value.items():
        if not isinstance(key, (str, int, float, type(None))):
            return f"{path} has a key of type {type(key).__name__}, which is not JSON."
        if fault := _find_fault(item, f"{path}[{key!r}]", depth + 1):
            return fault
    return None


def _find_scalar_fault(value: Any, path: str) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return f"{path} is {value}, which is not JSON: return a finite number, a string or None."
    if value is None or isinstance(value, (str, int, float)):
        return None
    return f"{path} is of type {type(value).__qualname__}, which is not JSON."
