"""What a handler is given beside its task: who calls it, and what its session shares.

Part of the child process. It knows nothing of pipes.
"""

import time
from dataclasses import dataclass
from typing import Any

from stepgrid_core.codec import decode
from stepgrid_core.runner_failures import TaskRefused
from stepgrid_core.runner_protocol import Launch


def decode_json(text: bytes, what: str) -> Any:
    """Return the JSON value. Raises TaskRefused that names `what` if it is none."""
    try:
        return decode(text)
    except (ValueError, RecursionError) as exc:
        raise TaskRefused("InputError", f"{what} is not JSON: {exc}.") from None


class CommonInput:
    """What all tasks of a session share. Decoded when a task asks first, and then kept."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._value: Any = None

    def value(self) -> Any:
        """Return the decoded value. Raises TaskRefused if it is not JSON."""
        if self._text:
            self._value = decode_json(self._text, "The session's common input")
            self._text = b""
        return self._value


@dataclass(frozen=True, slots=True)
class SpanContext:
    """What the contexts of tasks that follow each other share."""

    launch: Launch
    session_id: str
    attempt: int
    common: CommonInput


class TaskContext:
    """The handler's second argument: what AWS Lambda passes, and what the task is called.

    One is made for each task, so it works out what it is asked for.
    """

    client_context = None
    identity = None
    log_group_name = ""
    log_stream_name = ""

    def __init__(self, span: SpanContext, index: int, deadline: float) -> None:
        self._span = span
        self._index = index
        self._deadline = deadline

    @property
    def function_name(self) -> str:
        return self._span.launch.function_name

    @property
    def function_version(self) -> str:
        return self._span.launch.function_version

    @property
    def invoked_function_arn(self) -> str:
        return self._span.launch.invoked_function_arn

    @property
    def memory_limit_in_mb(self) -> int:
        return self._span.launch.memory_mib

    @property
    def task_id(self) -> str:
        return f"{self._span.session_id}_{self._index}"

    @property
    def aws_request_id(self) -> str:
        """Lambda's word for the same."""
        return self.task_id

    @property
    def attempt(self) -> int:
        """From 1."""
        return self._span.attempt

    @property
    def common(self) -> Any:
        """The session's common input; None if it has none.

        All tasks of the session that run in this process get the same object: only read it.
        """
        return self._span.common.value()

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the task's timeout, never less than 0."""
        return max(0, int((self._deadline - time.monotonic()) * 1000))
