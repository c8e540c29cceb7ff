"""What became of tasks, read from the outputs of their chunks, task by task.

Lines are taken apart when they are reached, and results decoded when they are asked for; see
`lines` for those who want all results. Pure: no requests, no waiting.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stepgrid_core.codec import decode
from stepgrid_core.contract import ChunkOutput
from stepgrid_core.data_plane import OutcomeHead, read_heads
from stepgrid_core.errors import TASK_ERRORS, PayloadCorrupted, TaskCancelled, TaskError, TaskFailed
from stepgrid_core.names import task_id
from stepgrid_core.states import TERMINAL_TASKS, TaskState


@dataclass(frozen=True, slots=True)
class Outcome:
    """The state of one task, with its output line if there is one."""

    index: int
    state: TaskState
    attempts: int | None = None
    milliseconds: float | None = None  #: of the last attempt
    line: bytes | None = None
    #: of a task that ended with its chunk: type, message, traceback
    error: Mapping[str, str] | None = None

    @property
    def final(self) -> bool:
        return self.state in TERMINAL_TASKS


def read_chunk(chunk: ChunkOutput, data: bytes) -> Iterator[Outcome]:
    """The outcome of each task of a chunk, in order; `data` is its checked output.

    Raises PayloadCorrupted if the output does not say of every task what the chunk says.
    """
    lines = _lines(data, chunk.final)
    head, line = next(lines, (None, b""))
    for index in range(chunk.first_task, chunk.first_task + chunk.tasks):
        if head is not None and head.index == index:
            yield Outcome(index, TaskState(head.state), head.attempts, head.milliseconds, line)
            head, line = next(lines, (None, b""))
        elif chunk.others is not None:
            yield Outcome(index, chunk.others, error=chunk.error)
        else:
            raise PayloadCorrupted(f"the output of chunk {chunk.chunk} has no line of task {index}")


def _lines(data: bytes, final: bool) -> Iterator[tuple[OutcomeHead | None, bytes]]:
    """Lines of tasks that have ended, and until the chunk is final of those to be tried again."""
    heads = read_heads(data)
    return ((head, line) for head, line in heads if head.state in TERMINAL_TASKS or not final)


def result_of(outcome: Outcome, session_id: str) -> Any:
    """The result of a task that has ended. Raises the TaskError that it has instead."""
    error = error_of(outcome, session_id)
    if error is not None:
        raise error
    return decode(outcome.line or b"{}")["result"]


def error_of(outcome: Outcome, session_id: str) -> TaskError | None:
    """Why a task that has ended has no result; None if it has one."""
    if outcome.state is TaskState.FINISHED:
        return None
    error = outcome.error
    if error is None and outcome.line is not None:
        error = decode(outcome.line).get("error")
    return task_error(session_id, outcome.index, outcome.state, error)


def task_error(
    session_id: str, index: int, state: TaskState, error: Mapping[str, str] | None
) -> TaskError:
    """What the result of a task raises that has ended without one."""
    name = task_id(session_id, index)
    if state is TaskState.CANCELLED:
        return TaskCancelled(f"task {name} was cancelled before it ended", name)
    error = error or {}
    remote_type, message = error.get("type", "unknown error"), error.get("message", "")
    traceback = error.get("traceback") or ""
    text = f"task {name} failed: {remote_type}: {message}"
    if traceback:
        text += f"\n\nIn the worker:\n{traceback.rstrip()}"
    return TASK_ERRORS.get(remote_type, TaskFailed)(text, name, traceback, remote_type, message)
