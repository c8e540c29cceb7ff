"""Tasks for a TaskRunner, and its outcomes one by one."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from stepgrid_core.data_plane import TaskFault, read_heads
from stepgrid_core.ports import FailedTask, TaskOutcome, TaskSpan
from stepgrid_core.task_lines import ArrivingLines


@dataclass(frozen=True)
class Ended:
    """What became of one task."""

    index: int
    milliseconds: float
    result: bytes | None
    fault: TaskFault | None


def make_spans(*lines: bytes, attempt: int = 1) -> list[TaskSpan]:
    """One span of tasks of the session "ses"."""
    return [TaskSpan("ses", 0, len(lines), attempt, listed(*lines))]


def listed(*lines: bytes, first: int = 0) -> ArrivingLines:
    """Lines that have all arrived."""
    return ArrivingLines(first, len(lines), iter([b"".join(line + b"\n" for line in lines)]))


def each_task(outcomes: Iterable[TaskOutcome | None]) -> Iterator[Ended]:
    """The tasks one by one, in order; pauses are left out."""
    for outcome in outcomes:
        if isinstance(outcome, FailedTask):
            yield Ended(outcome.index, outcome.milliseconds, None, outcome.fault)
        elif outcome is not None:
            lines = outcome.lines.removesuffix(b"\n").split(b"\n")
            places = enumerate(zip(outcome.milliseconds, lines, strict=True), outcome.first)
            for index, (milliseconds, line) in places:
                assert next(read_heads(line))[0].index == index
                yield Ended(index, milliseconds, read_result(line), None)


def read_result(line: bytes) -> bytes:
    """The JSON text of the result in an output line."""
    return line.partition(b',"result":')[2].removesuffix(b"}")
