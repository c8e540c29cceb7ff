"""What runs user code."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..data_plane import TaskFault


class TaskLines(Protocol):
    """The JSON texts of tasks that follow each other in their session, as they arrive."""

    def read(self, first: int, count: int) -> Iterator[bytes]:
        """Those of `count` tasks from index `first` on, a line each, cut anywhere into blocks.

        An empty block says that nothing more has arrived yet. Raises NotFound, PayloadCorrupted or
        Unavailable where the rest can't be had.
        """


@dataclass(frozen=True, slots=True)
class TaskSpan:
    """Tasks that follow each other in their session, all to be started for the same time."""

    session_id: str
    first: int  #: index of the first one
    count: int
    attempt: int
    lines: TaskLines = field(repr=False)

    def read_lines(self) -> Iterator[bytes]:
        """See TaskLines.read."""
        return self.lines.read(self.first, self.count)


@dataclass(frozen=True, slots=True)
class FinishedTasks:
    """Tasks that follow each other in their session, each with a result."""

    first: int  #: index of the first one
    milliseconds: Sequence[float]  #: that each of them took
    lines: bytes = field(repr=False)  #: their output lines, see output_lines.finished_line


@dataclass(frozen=True, slots=True)
class FailedTask:
    """One start of a task that came to no result."""

    index: int
    milliseconds: float
    fault: TaskFault


TaskOutcome = FinishedTasks | FailedTask


@dataclass(frozen=True, slots=True)
class CommonInput:
    """What all tasks of a session share; `text` is its JSON text."""

    session_id: str
    text: bytes = field(repr=False)


class TaskRunner(Protocol):
    """Runs user code, one task after the other."""

    def run(
        self,
        spans: Sequence[TaskSpan],
        timeout_seconds: float,
        common: CommonInput | None = None,
    ) -> Generator[TaskOutcome | None, None, None]:
        """The outcomes of all tasks, in order; None now and then while nothing happens.

        It may end early, after a pause, where a task can't be started now; that is no outcome.
        Closing the generator early kills the task that runs, and starts none of the others.
        Raises what reading the lines raises.
        """

    @property
    def busy(self) -> bool:
        """Does a task run? Asked between two outcomes."""

    def permit(self, seconds: float) -> None:
        """Tasks may start for so many seconds from now; after that none does, until the next."""
