"""How long a task of a worker takes: what sessions have measured, to plan the next one. Pure.

Kept for each worker: the mean, and how long slow ones take. How far these are apart tells how much
the mean is worth: a worker may be given milliseconds by one client and minutes by another.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

#: How much one session moves the times of its worker at least, and of how many tasks it must be to
#: count as much as all before it.
LEAST_WEIGHT, EQUAL_TASKS = 0.3, 100
#: Of a session's tasks, so many are not slow.
USUAL_TASKS = 0.9
#: Times are written again only when a session moved one by more than this share.
TOLERANCE = 0.1


@dataclass(frozen=True, slots=True)
class TaskTime:
    """Seconds of one task in the user's function."""

    mean: float
    slow: float  #: nine of ten tasks take less, as far as chunks tell: they are timed as a whole


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one session tells."""

    time: TaskTime
    tasks: int


def slow_seconds(chunks: Iterable[tuple[float, int]]) -> float:
    """Of one task, in the slowest chunk that holds some of the usual tasks, the fastest ones.

    `chunks`: the seconds and the number of their settled tasks.
    """
    timed = sorted((seconds / tasks, tasks) for seconds, tasks in chunks if tasks)
    usual = USUAL_TASKS * sum(tasks for _, tasks in timed)
    totals = accumulate(tasks for _, tasks in timed)
    slow = (seconds for (seconds, _), total in zip(timed, totals, strict=True) if total >= usual)
    return next(slow, 0.0)


def learn(before: TaskTime | None, seen: Measurement | None) -> TaskTime | None:
    """The times of the worker from now on; None: as they were, or about.

    The slow time rises at once, and falls as the mean moves.
    """
    if seen is None:
        return None
    if before is None:
        return seen.time
    weight = max(LEAST_WEIGHT, seen.tasks / (seen.tasks + EQUAL_TASKS))
    slow = max(seen.time.slow, _move(before.slow, seen.time.slow, weight))
    after = TaskTime(_move(before.mean, seen.time.mean, weight), slow)
    return after if _differ(before.mean, after.mean) or _differ(before.slow, slow) else None


def _move(before: float, seen: float, weight: float) -> float:
    return before + weight * (seen - before)


def _differ(before: float, after: float) -> bool:
    return abs(after - before) > TOLERANCE * before
