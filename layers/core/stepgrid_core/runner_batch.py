"""A batch of tasks: how it is sent to the child, and how the child's replies become outcomes."""

import json
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain

from stepgrid_core.data_plane import TaskFault
from stepgrid_core.ports import FailedTask, FinishedTasks, TaskOutcome, TaskSpan
from stepgrid_core.runner_failures import Fault
from stepgrid_core.runner_prints import PrintingTask
from stepgrid_core.runner_protocol import BATCH_HEADER, SAME_COMMON, SPAN_HEADER, cut
from stepgrid_core.runner_replies import Replies


class Batch:
    """The tasks that have no outcome yet, in order."""

    def __init__(self, spans: Sequence[TaskSpan]) -> None:
        self._spans = deque(span for span in spans if span.count)
        self._count = sum(span.count for span in self._spans)

    def __len__(self) -> int:
        return self._count

    def encode(self, timeout_seconds: float, common: bytes | None) -> Iterator[bytes]:
        """What the child is sent; an empty block where the next lines have not arrived yet.

        common: what is to be sent of it; None: the child has it.
        """
        size = SAME_COMMON if common is None else len(common)
        header = BATCH_HEADER.pack(self._count, timeout_seconds, size)
        spans = chain.from_iterable(_encode_span(span) for span in tuple(self._spans))
        return chain([header], cut(common or b""), spans)

    def find_task(self) -> "TaskFinder":
        """Knows the tasks by their number in the batch as it is now, from 1."""
        return TaskFinder(tuple(self._spans))

    def settle(self, replies: Replies) -> Iterator[TaskOutcome]:
        """Match replies with the first tasks: the child answers in order."""
        start = 0
        while start < len(replies):
            failure = replies.first_failure(start)
            stop = min(start + self._spans[0].count, failure) if start < failure else start + 1
            text, milliseconds = replies.texts(start, stop), replies.milliseconds[start:stop]
            if start == failure:
                yield self.fail(milliseconds[0], Fault(**json.loads(text)))
            else:
                yield FinishedTasks(self._advance(stop - start), milliseconds, text)
            start = stop

    def fail(self, milliseconds: float, fault: Fault) -> FailedTask:
        """The outcome of the first task."""
        told = TaskFault(fault.type, fault.message, fault.traceback, fault.retryable)
        return FailedTask(self._advance(1), milliseconds, told)

    def fail_all(self, fault: Fault) -> Iterator[FailedTask]:
        while self._count:
            yield self.fail(0.0, fault)

    def _advance(self, count: int) -> int:
        """So many tasks of the first span have ended; answers the index of the first of them."""
        span = self._spans.popleft()
        if count < span.count:
            rest = replace(span, first=span.first + count, count=span.count - count)
            self._spans.appendleft(rest)
        self._count -= count
        return span.first


class TaskFinder:
    """The tasks of a batch by their number, from 1."""

    def __init__(self, spans: Sequence[TaskSpan]) -> None:
        self._spans = spans

    def __call__(self, number: int) -> PrintingTask | None:
        """None if there is no such task."""
        place = number - 1
        for span in self._spans if place >= 0 else ():
            if place < span.count:
                index = span.first + place
                return PrintingTask(f"{span.session_id}_{index}", index, span.attempt)
            place -= span.count
        return None


def _encode_span(span: TaskSpan) -> Iterator[bytes]:
    session = span.session_id.encode()
    yield SPAN_HEADER.pack(span.first, span.count, span.attempt, len(session)) + session
    yield from span.read_lines()
