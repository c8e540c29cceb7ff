"""Runs the tasks of a chunk by calling a registered function, once for each task.

    relay -- FunctionRunner --task--> FunctionCaller ==> the function, of any runtime
                            <--result or error--

It is a `ports.TaskRunner`, as `runner.Runner` is for packages. Calls are made one after the other.
What is over its timeout is given up, not stopped: Lambda can't take a call back. A call that was
throttled did not start, so it is no attempt: after a pause with jitter the run ends, and whoever
holds the chunk decides whether there is time for another one.

This module must not know about sessions, storage or AWS.
"""

import json
import random
from collections.abc import Callable, Generator, Sequence
from typing import Any

from .data_plane import TaskFault
from .errors import RequestError, ServiceError, Unavailable
from .function_failures import (
    describe_bad_result,
    describe_failure,
    describe_large_result,
    describe_large_task,
    describe_overdue,
    describe_refusal,
    describe_silence,
)
from .output_lines import finished_line
from .ports import (
    Clock,
    CommonInput,
    FailedTask,
    FinishedTasks,
    FunctionCall,
    FunctionCaller,
    FunctionReply,
    TaskOutcome,
    TaskSpan,
)
from .registration import PAYLOAD_LIMIT_BYTES
from .task_lines import split_lines

Outcomes = Generator[TaskOutcome | None, None, None]
Pauses = Generator[None, None, None]

POLL_SECONDS = 0.05
#: A call needs this long to reach Lambda: with less of the permit left it is not made.
START_SECONDS = 0.2
#: Pauses after throttled calls: full jitter below a bound that doubles.
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 0.5, 20.0


class FunctionRunner:
    """One function; one run at a time."""

    def __init__(
        self,
        function: str,
        caller: FunctionCaller,
        clock: Clock,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """function: its ARN. jitter: numbers from 0 to 1."""
        self._function = function
        self._caller = caller
        self._clock = clock
        self._jitter = jitter
        self._permit_until = clock.monotonic()
        self._throttled = 0  #: calls in a row
        self._calling = False

    @property
    def busy(self) -> bool:
        """See ports.TaskRunner."""
        return self._calling

    def permit(self, seconds: float) -> None:
        """See ports.TaskRunner."""
        self._permit_until = self._clock.monotonic() + seconds

    def run(
        self,
        spans: Sequence[TaskSpan],
        timeout_seconds: float,
        common: CommonInput | None = None,
    ) -> Outcomes:
        """See ports.TaskRunner. Closing it leaves the call under way to itself.

        A function is given its task alone: a submit with a common input is refused.
        """
        for span in spans:
            index = span.first
            for line in split_lines(span.read_lines()):
                if line is None:
                    yield from self._idle(POLL_SECONDS)
                    continue
                outcome = yield from self._run_task(index, span.attempt, line, timeout_seconds)
                if outcome is None:
                    return
                yield outcome
                index += 1

    def _run_task(
        self, index: int, attempt: int, line: bytes, timeout_seconds: float
    ) -> Generator[None, None, TaskOutcome | None]:
        """None if the task could not be started."""
        if len(line) > PAYLOAD_LIMIT_BYTES:
            return FailedTask(index, 0.0, describe_large_task(len(line), PAYLOAD_LIMIT_BYTES))
        yield from self._await_permit()
        started = self._clock.monotonic()
        answer = yield from self._call(line, timeout_seconds)
        if answer is None:
            self._throttled += 1
            yield from self._idle(pause_seconds(self._throttled, self._jitter()))
            return None
        self._throttled = 0
        milliseconds = (self._clock.monotonic() - started) * 1000
        result = answer if isinstance(answer, TaskFault) else read_reply(answer)
        if isinstance(result, TaskFault):
            return FailedTask(index, milliseconds, result)
        output = finished_line(index, attempt, milliseconds, result)
        return FinishedTasks(index, [milliseconds], output)

    def _await_permit(self) -> Pauses:
        while self._clock.monotonic() + START_SECONDS > self._permit_until:
            yield None
            self._clock.sleep(POLL_SECONDS)

    def _idle(self, seconds: float) -> Pauses:
        until = self._clock.monotonic() + seconds
        while (left := until - self._clock.monotonic()) > 0:
            yield None
            self._clock.sleep(min(POLL_SECONDS, left))

    def _call(
        self, line: bytes, timeout_seconds: float
    ) -> Generator[None, None, FunctionReply | TaskFault | None]:
        """The reply or the fault of one call; None if it was not started."""
        self._calling = True
        try:
            return (yield from self._await_reply(line, timeout_seconds))
        finally:
            self._calling = False

    def _await_reply(
        self, line: bytes, timeout_seconds: float
    ) -> Generator[None, None, FunctionReply | TaskFault | None]:
        give_up_at = self._clock.monotonic() + timeout_seconds
        call = self._caller.begin(self._function, line)
        while (left := give_up_at - self._clock.monotonic()) > 0:
            try:
                reply = _ask(call, min(POLL_SECONDS, left))
            except Unavailable:
                return None
            if reply is not None:
                return reply
            yield None
        return describe_overdue(self._function, timeout_seconds)


def pause_seconds(throttled: int, jitter: float) -> float:
    """How long to wait after so many throttled calls in a row."""
    bound = FIRST_PAUSE_SECONDS * 2.0 ** min(throttled - 1, 10)
    return min(LAST_PAUSE_SECONDS, bound) * jitter


def _ask(call: FunctionCall, seconds: float) -> FunctionReply | TaskFault | None:
    try:
        return call.wait(seconds)
    except Unavailable:
        raise
    except RequestError as error:
        return describe_refusal(error)
    except ServiceError as error:
        return describe_silence(error)


def read_reply(reply: FunctionReply) -> bytes | TaskFault:
    """The result as JSON text on one line, or why there is none. An empty answer is null."""
    payload = reply.payload
    if reply.failed:
        return describe_failure(payload)
    if len(payload) > PAYLOAD_LIMIT_BYTES:
        return describe_large_result(len(payload), PAYLOAD_LIMIT_BYTES)
    try:
        json.loads(payload or b"null", parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return describe_bad_result(payload, error)
    # JSON text has line breaks only between its tokens, and an output line must have none.
    return (payload or b"null").replace(b"\r", b" ").replace(b"\n", b" ").strip()


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON value")
