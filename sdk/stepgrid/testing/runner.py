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
from stepgrid_core.names import task_id
from stepgrid_core.output_lines import finished_line
from stepgrid_core.ports import CommonInput, FailedTask, FinishedTasks, TaskOutcome, TaskSpan
from stepgrid_core.task_lines import split_lines

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

    @property
    def busy(self) -> bool:
        """A call is over before anybody can ask."""
        return False

    def permit(self, seconds: float) -> None:
        self._permit_until = self._clock.monotonic() + seconds

    def run(
        self,
        spans: Sequence[TaskSpan],
        timeout_seconds: float,
        common: CommonInput | None = None,
    ) -> Generator[TaskOutcome | None, None, None]:
        shared = decode(common.text) if common else None
        for span in spans:
            lines = (line for line in split_lines(span.read_lines()) if line is not None)
            for index, line in enumerate(lines, span.first):
                while self._clock.monotonic() >= self._permit_until:
                    yield None
                    self._clock.advance(0.05)
                name = task_id(span.session_id, index)
                context = TaskContext(name, span.attempt, self._name, name, shared)
                yield self._call(index, line, context, timeout_seconds)

    def _call(
        self, index: int, line: bytes, context: TaskContext, timeout_seconds: float
    ) -> TaskOutcome:
        started = self._clock.monotonic()
        result, fault = self._outcome(line, context)
        seconds = self._clock.monotonic() - started
        if seconds > timeout_seconds:
            fault = TaskFault("TaskTimeout", f"the task ran longer than {timeout_seconds:g} s")
        if fault:
            return FailedTask(index, seconds * 1000, fault)
        output = finished_line(index, context.attempt, seconds * 1000, result)
        return FinishedTasks(index, [seconds * 1000], output)

    def _outcome(self, line: bytes, context: TaskContext) -> tuple[bytes, TaskFault | None]:

        try:
            value = self._handler(decode(line), context)
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
