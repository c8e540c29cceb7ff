"""How the tasks of a batch are sent to the child, and how its replies become outcomes."""

import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from stepgrid_core.data_plane import TaskFault
from stepgrid_core.ports import TaskInput, TaskOutcome
from stepgrid_core.runner_failures import Fault
from stepgrid_core.runner_protocol import (
    FINISHED,
    SAME_COMMON,
    Reply,
    cut,
    encode_batch,
    encode_task,
)


def encode_tasks(
    batch: Sequence[TaskInput], timeout_seconds: float, common: bytes | None
) -> Iterator[bytes]:
    """common: what is to be sent of it; None: the child has it."""
    size = SAME_COMMON if common is None else len(common)
    frames = (encode_task(task.task_id, task.attempt, task.line) for task in batch)
    header = encode_batch(len(batch), timeout_seconds, size)
    return chain([header], cut(common or b""), frames)


def settle(pending: deque[TaskInput], replies: Iterable[Reply]) -> Iterator[TaskOutcome]:
    """Match replies with the first pending tasks: the child answers in order."""
    for reply in replies:
        task = pending.popleft()
        if reply.kind == FINISHED:
            yield TaskOutcome(task.index, reply.milliseconds, result=reply.body)
        else:
            yield fail(task, reply.milliseconds, Fault(**json.loads(reply.body)))


def fail_all(pending: deque[TaskInput], fault: Fault) -> Iterator[TaskOutcome]:
    while pending:
        yield fail(pending.popleft(), 0.0, fault)


def fail(task: TaskInput, milliseconds: float, fault: Fault) -> TaskOutcome:
    told = TaskFault(fault.type, fault.message, fault.traceback, fault.retryable)
    return TaskOutcome(task.index, milliseconds, fault=told)
