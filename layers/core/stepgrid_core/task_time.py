"""How long a task of a worker takes: what sessions have measured, to plan the next one. Pure.

Kept for each worker: the mean, and how long slow ones take. How far these are apart tells how much
the mean is worth: a worker may be given milliseconds by one client and minutes by another.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

#: How much one session moves the times of its worker at least, and of how many tasks it must be to
#: count as much as all before it.
LEAST_WEIGHT, EQUAL_TASKS = 0.4, 100
#: Seconds that make no difference: nothing is planned by them.
ALIKE_SECONDS = 0.002
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


def measure(chunks: Iterable[tuple[float, int]]) -> Measurement | None:
    """From the seconds and the number of the tasks of each chunk; None if there are none."""
    chunks = list(chunks)
    tasks = sum(count for _, count in chunks)
    if not tasks:
        return None
    mean = sum(seconds for seconds, _ in chunks) / tasks
    return Measurement(TaskTime(mean, slow_seconds(chunks)), tasks)


def slow_seconds(chunks: Iterable[tuple[float, int]]) -> float:
    """Of one task, in the slowest chunk that holds some of the usual tasks, the fastest ones.

    `chunks`: as those of `measure`.
    """
    timed = sorted((seconds / tasks, tasks) for seconds, tasks in chunks if tasks)
    usual = USUAL_TASKS * sum(tasks for _, tasks in timed)
    totals = accumulate(tasks for _, tasks in timed)
    slow = (seconds for (seconds, _), total in zip(timed, totals, strict=True) if total >= usual)
    return next(slow, 0.0)


def learn(before: TaskTime | None, seen: Measurement | None) -> TaskTime | None:
    """The times of the worker from now on; None: as they were, or about.

    The slow time rises at once. It falls no faster for a large session than for a small one: many
    short tasks of one client say nothing of the long ones of another.
    """
    if seen is None:
        return None
    if before is None:
        return seen.time
    weight = max(LEAST_WEIGHT, seen.tasks / (seen.tasks + EQUAL_TASKS))
    slow = max(seen.time.slow, _move(before.slow, seen.time.slow, LEAST_WEIGHT))
    after = TaskTime(_move(before.mean, seen.time.mean, weight), slow)
    return after if _differ(before.mean, after.mean) or _differ(before.slow, slow) else None


def _move(before: float, seen: float, weight: float) -> float:
    """By a part of the ratio, not of the difference: times of two kinds of tasks, milliseconds and
    minutes, have their middle at a second, far from both, so that it is seen to be worth little."""
    ratio = (seen + ALIKE_SECONDS) / (before + ALIKE_SECONDS)
    return max(0.0, (before + ALIKE_SECONDS) * math.pow(ratio, weight) - ALIKE_SECONDS)


def _differ(before: float, after: float) -> bool:
    return abs(after - before) > TOLERANCE * before
