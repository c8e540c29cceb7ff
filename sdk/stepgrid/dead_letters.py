"""Dead letters: the failed tasks of a session, each with the reason why it will not be tried again.

They are kept as long as the session is. Pure: no requests.
"""

from dataclasses import dataclass

from stepgrid_core.contract import TaskDescription
from stepgrid_core.errors import reason_of
from stepgrid_core.states import FailureReason


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A task that has failed for good."""

    task_id: str
    index: int  #: its place in the tasks that were submitted, from 0: that one can be sent again
    reason: FailureReason
    error_type: str  #: the exception's class, or one of the grid's own errors
    message: str  #: the traceback is with the results
    attempts: int | None  #: how often it was started; None if it ended with its session or chunk


def read_dead_letter(task: TaskDescription) -> DeadLetter:
    """What a failed task's description says. An older grid names no reason: its error tells."""
    error = task.error or {}
    error_type = error.get("type", "unknown error")
    return DeadLetter(
        task_id=task.task_id,
        index=task.index,
        reason=task.reason or reason_of(error_type),
        error_type=error_type,
        message=error.get("message", ""),
        attempts=task.attempts,
    )
