"""A TaskRunner that calls the function in this very process: quick, and on a virtual clock.

It keeps the promises that a real runner keeps where a function call can: exceptions, exits, results
that are not JSON, timeouts (by the clock that the function itself moves). It can't kill anything.
"""

import traceback
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from stepgrid_core.codec import decode, encode
from stepgrid_core.data_plane import TaskFault
from stepgrid_core.memory import VirtualClock
from stepgrid_core.ports import CommonInput, TaskInput, TaskOutcome

Handler = Callable[[Any, Any], Any]


class EnvironmentDied(BaseException):
    """Raised by a worker function to say: the whole environment died here, without a word."""


@dataclass(frozen=True, slots=True)
class TaskContext:
    """The second argument of a worker function."""

    task_id: str
    attempt: int
    function_name: str
    aws_request_id: str
    #: the session's common input; the same object for all of its tasks: only read it
    common: Any = field(default=None, repr=False)
    memory_limit_in_mb: int = 1769

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


class InlineRunner:
    def __init__(self, function_name: str, handler: Handler, clock: VirtualClock) -> None:
        self._name = function_name
        self._handler = handler
        self._clock = clock
        self._permit_until = clock.monotonic()

    def permit(self, seconds: float) -> None:
        self._permit_until = self._clock.monotonic() + seconds

    def run(
        self,
        tasks: Sequence[TaskInput],
        timeout_seconds: float,
        common: CommonInput | None = None,
    ) -> Generator[TaskOutcome | None, None, None]:
        shared = decode(common.text) if common else None
        for task in tasks:
            while self._clock.monotonic() > self._permit_until:
                yield None
                self._clock.advance(0.05)
            yield self._call(task, timeout_seconds, shared)

    def _call(self, task: TaskInput, timeout_seconds: float, common: Any) -> TaskOutcome:
        started = self._clock.monotonic()
        context = TaskContext(task.task_id, task.attempt, self._name, task.task_id, common)
        result, fault = self._outcome(task, context)
        seconds = self._clock.monotonic() - started
        if seconds > timeout_seconds:
            fault = TaskFault("TaskTimeout", f"the task ran longer than {timeout_seconds:g} s")
        return TaskOutcome(task.index, seconds * 1000, None if fault else result, fault)

    def _outcome(self, task: TaskInput, context: TaskContext) -> tuple[bytes, TaskFault | None]:

        try:
            value = self._handler(decode(task.line), context)
        except EnvironmentDied:
            raise
        except SystemExit as error:
            return b"", TaskFault("TaskExited", f"the task ended its process: exit({error.code})")
        except BaseException as error:
            text = "".join(traceback.format_exception(error))
            return b"", TaskFault(type(error).__name__, str(error), text)
        try:
            return encode(value), None
        except (TypeError, ValueError, RecursionError) as error:
            message = f"the result is not JSON: {error}"
            return b"", TaskFault("ResultNotSerializable", message, retryable=False)
