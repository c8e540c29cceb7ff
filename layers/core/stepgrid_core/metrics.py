"""What is measured: the names of all metrics, and the pure rules by which they are made.

    submission    TasksSubmitted
    worker        TasksFinished, TasksFailed, TasksRetried, TaskTime, ChunkOverhead    of one chunk
    closing       TasksFailed, TasksCancelled (of tasks that never settled), QueueDelay,
                  SessionDuration                                                   of one session
    recorder      WorkersLost

Everything that happened at once leaves as one line: metrics cost log bytes, and no request. This
module knows neither the clock nor how metrics leave. docs/observability.md has them as a table.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from .records import Chunk, Session
from .states import ENDINGS, TaskState

NAMESPACE = "stepgrid"
#: The only dimension: the worker's name.
DIMENSION = "worker"
#: An EMF line takes 100 values of a metric.
MOST_VALUES = 99


class Metric(StrEnum):
    TASKS_SUBMITTED = "TasksSubmitted"
    TASKS_FINISHED = "TasksFinished"
    TASKS_FAILED = "TasksFailed"
    TASKS_CANCELLED = "TasksCancelled"
    TASKS_RETRIED = "TasksRetried"  #: starts that failed, and are followed by another one
    WORKERS_LOST = "WorkersLost"  #: environments that died, or never came so far as to claim
    SESSION_DURATION = "SessionDuration"  #: from the submit to the close
    QUEUE_DELAY = "QueueDelay"  #: from the submit to the session's first claim
    TASK_TIME = "TaskTime"  #: in user code, of one start of one task
    CHUNK_OVERHEAD = "ChunkOverhead"  #: a chunk's time in its worker that was not in user code


UNITS = {
    Metric.SESSION_DURATION: "Seconds",
    Metric.QUEUE_DELAY: "Seconds",
    Metric.TASK_TIME: "Milliseconds",
    Metric.CHUNK_OVERHEAD: "Milliseconds",
}
DEFAULT_UNIT = "Count"

Values = Mapping[Metric, Sequence[float]]


class ChunkMeter:
    """What one attempt at one chunk has to tell; filled while it runs."""

    def __init__(self, before: Chunk) -> None:
        self._before = before
        self._milliseconds: list[float] = []
        self._retried = 0

    def record(self, milliseconds: Sequence[float], settled: bool) -> None:
        """Starts of tasks have ended, each after so long."""
        self._milliseconds += milliseconds
        self._retried += 0 if settled else len(milliseconds)

    def values(self, published: Chunk, wall_seconds: float) -> Values:
        """`published` is the last row that the attempt could write."""
        overhead = wall_seconds * 1000 - sum(self._milliseconds)
        return {
            Metric.TASKS_FINISHED: [published.finished - self._before.finished],
            Metric.TASKS_FAILED: [published.failed - self._before.failed],
            Metric.TASKS_RETRIED: [self._retried],
            Metric.TASK_TIME: thin(self._milliseconds),
            Metric.CHUNK_OVERHEAD: [max(0.0, overhead)],
        }


def thin(values: Iterable[float], most: int = MOST_VALUES) -> list[float]:
    """At most so many of them, evenly spaced in order of size: the percentiles stay."""
    ordered = sorted(values)
    if len(ordered) <= most:
        return ordered
    return [ordered[round(place * (len(ordered) - 1) / (most - 1))] for place in range(most)]


def closing_values(session: Session, chunks: Iterable[Chunk]) -> Values:
    """Of a session that was closed just now; tasks that settled were told by their workers."""
    ended = dict.fromkeys(TaskState, 0)
    for chunk in chunks:
        if chunk.unsettled:
            ended[ENDINGS[chunk.state].task_state] += chunk.unsettled
    values: dict[Metric, Sequence[float]] = {
        Metric.TASKS_FAILED: [ended[TaskState.FAILED]],
        Metric.TASKS_CANCELLED: [ended[TaskState.CANCELLED]],
    }
    if session.closed_at is not None:
        values[Metric.SESSION_DURATION] = [session.closed_at - session.created_at]
    if session.first_claim_at is not None:
        values[Metric.QUEUE_DELAY] = [max(0.0, session.first_claim_at - session.created_at)]
    return values


def without_zeros(values: Values) -> Values:
    """Counts of nothing say nothing; a time of zero is a time."""
    return {
        metric: found
        for metric, found in values.items()
        if found and (metric in UNITS or any(found))
    }
