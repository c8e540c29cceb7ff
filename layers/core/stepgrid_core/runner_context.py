"""What a handler is given beside its task: who calls it, and what its session shares.

Part of the child process. It knows nothing of pipes.
"""

import time
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


class TaskContext:
    """The handler's second argument: what AWS Lambda passes, and what the task is called."""

    client_context = None
    identity = None
    log_group_name = ""
    log_stream_name = ""

    def __init__(
        self, launch: Launch, task_id: str, attempt: int, deadline: float, common: CommonInput
    ) -> None:
        self.function_name = launch.function_name
        self.function_version = launch.function_version
        self.invoked_function_arn = launch.invoked_function_arn
        self.memory_limit_in_mb = launch.memory_mib
        self.aws_request_id = task_id
        self.task_id = task_id
        self.attempt = attempt
        self._deadline = deadline
        self._common = common

    @property
    def common(self) -> Any:
        """The session's common input; None if it has none.

        All tasks of the session that run in this process get the same object: only read it.
        """
        return self._common.value()

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the task's timeout, never less than 0."""
        return max(0, int((self._deadline - time.monotonic()) * 1000))
