"""What runs user code."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..data_plane import TaskFault


@dataclass(frozen=True, slots=True)
class TaskInput:
    """One task as the runner gets it; `line` is its JSON text."""

    index: int
    task_id: str
    attempt: int
    line: bytes


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """What became of one start of a task: a result (JSON text) or a fault."""

    index: int
    milliseconds: float
    result: bytes | None = None
    fault: TaskFault | None = None


@dataclass(frozen=True, slots=True)
class CommonInput:
    """What all tasks of a session share; `text` is its JSON text."""

    session_id: str
    text: bytes = field(repr=False)


class TaskRunner(Protocol):
    """Runs user code, one task after the other."""

    def run(
        self,
        tasks: Sequence[TaskInput],
        timeout_seconds: float,
        common: CommonInput | None = None,
    ) -> Generator[TaskOutcome | None, None, None]:
        """One outcome for each task, in order; None now and then while nothing happens.

        It may end early, after a pause, where a task can't be started now; that is no outcome.
        Closing the generator early kills the task that runs, and starts none of the others.
        """

    def permit(self, seconds: float) -> None:
        """Tasks may start for so many seconds from now; after that none does, until the next."""
