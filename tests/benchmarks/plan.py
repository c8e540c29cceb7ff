"""What is measured, in which order, how often, and what is left out: pure decisions.

    for each round: for each contender, in another order every time: for each measure

Rounds are interleaved, so that a busy minute of the machine does not fall on one contender. A
measure is left out where the contender's own speed so far says that it would take longer than the
cap, and repeated only until its runs have taken `repeat_seconds` together.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.benchmarks.quantiles import quantile
from tests.benchmarks.records import Outcome, Record

#: The part of an efficiency run's tasks that is run before it, to warm up.
WARM_UP_SHARE = 0.1
CANCELLED_NAP_MILLISECONDS = 100
HAND_CUT_CHUNK = 1000
#: A latency measure is at least one session to warm up, and one that counts.
MIN_SESSIONS = 2
FEW_TASKS = 500
#: Short sessions differ: one of them may meet workers that must be started first.
THROUGHPUT_REPEATS = 5
#: Of the measure that the contenders are compared by: whoever can do it in minutes is measured.
LONG_CAP_SECONDS = 300.0
CREDIT = 4
#: The start of a contender, which is no command to it.
START = "start"


@dataclass(frozen=True)
class Measure:
    """One thing to measure; `kind` names a function of module `measures`."""

    kind: str
    tasks: int = 1
    #: of each task, where it sleeps
    milliseconds: int = 0
    #: in how many rounds at most
    rounds: int = 3
    #: what the function gets besides `tasks`
    arguments: dict[str, Any] = field(default_factory=dict)
    #: a run that would take longer is left out; None: as the profile says
    cap_seconds: float | None = None

    @property
    def key(self) -> str:
        """Its name in records."""
        time = f" {self.milliseconds} ms" if self.kind == "efficiency" else ""
        return f"{self.kind} {self.tasks}" + time if self.kind != "first_task" else self.kind

    @property
    def command(self) -> dict[str, Any]:
        """What the client process is told."""
        arguments = dict(self.arguments)
        if self.kind != "first_task":
            arguments["tasks"] = self.tasks
        if self.milliseconds:
            arguments["milliseconds"] = self.milliseconds
        return {"measure": self.kind, **arguments}


@dataclass(frozen=True)
class Profile:
    """How thoroughly to measure."""

    name: str
    rounds: int
    #: a run that would take longer is left out, of a measure that says nothing else
    cap_seconds: float
    #: no more repeats once the runs of a measure took so long together
    repeat_seconds: float
    measures: tuple[Measure, ...]

    def cap_of(self, measure: Measure) -> float:
        """Seconds that a run may take by its forecast."""
        return measure.cap_seconds or self.cap_seconds

    def patience_with(self, measure: Measure) -> float:
        """Seconds after which a run is given up: its forecast was wrong, or it hangs."""
        return 3 * self.cap_of(measure) + 60


def plan_latency(tasks: int, repeats: int, limit_seconds: float) -> Measure:
    """Sessions of `tasks` no-op tasks, one after the other."""
    return Measure("latency", tasks, arguments={"repeats": repeats, "limit_seconds": limit_seconds})


def plan_throughput(tasks: int, cap_seconds: float | None = None) -> Measure:
    """Map calls of `tasks` no-op tasks: several in each round, as long as they are short."""
    arguments = {"repeats": THROUGHPUT_REPEATS, "limit_seconds": 5}
    return Measure("throughput", tasks, arguments=arguments, cap_seconds=cap_seconds)


def plan_efficiency(milliseconds: int, workers: int, ideal_seconds: float) -> Measure:
    """As many tasks as the workers do in `ideal_seconds` if nothing but the tasks takes time."""
    tasks = round(ideal_seconds * 1000 / milliseconds) * workers
    warm_up = max(workers, round(tasks * WARM_UP_SHARE))
    return Measure("efficiency", tasks, milliseconds, rounds=2, arguments={"warm_up": warm_up})


def plan_cancel(tasks: int) -> Measure:
    """Cancel so many queued tasks."""
    return Measure("cancel", tasks, CANCELLED_NAP_MILLISECONDS, rounds=2)


def full_profile(workers: int) -> Profile:
    """What docs/performance.md shows: all that there is."""
    return Profile(
        "full",
        rounds=2,
        cap_seconds=45,
        repeat_seconds=20,
        measures=(
            Measure("first_task"),
            plan_latency(1, 100, 4),
            plan_latency(10, 50, 3),
            plan_latency(100, 50, 3),
            plan_throughput(1_000),
            Measure("memory", 10_000, rounds=1),
            plan_throughput(10_000),
            plan_throughput(100_000, LONG_CAP_SECONDS),
            Measure("memory", 1_000_000, rounds=1),
            plan_throughput(1_000_000),
            Measure("chunked", 100_000, rounds=1, arguments={"chunk": HAND_CUT_CHUNK}),
            plan_efficiency(10, workers, 4),
            plan_efficiency(100, workers, 8),
            plan_efficiency(1000, workers, 4),
            plan_cancel(10_000),
        ),
    )


def quick_profile(workers: int) -> Profile:
    """A few minutes: to see whether a change helped, and that the harness works."""
    return Profile(
        "quick",
        rounds=1,
        cap_seconds=15,
        repeat_seconds=5,
        measures=(
            Measure("first_task"),
            plan_latency(1, 20, 1.5),
            plan_latency(10, 10, 1.5),
            plan_latency(100, 10, 1.5),
            plan_throughput(1_000),
            Measure("memory", 10_000, rounds=1),
            plan_throughput(10_000),
            plan_throughput(100_000),
            Measure("chunked", 100_000, rounds=1, arguments={"chunk": HAND_CUT_CHUNK}),
            plan_efficiency(10, workers, 2),
            plan_efficiency(100, workers, 2),
            plan_efficiency(1000, workers, 2),
            plan_cancel(10_000),
        ),
    )


def order_of_round(contenders: Sequence[str], number: int) -> list[str]:
    """Who comes when: each round (from 1) begins with another one."""
    first = (number - 1) % len(contenders)
    return [*contenders[first:], *contenders[:first]]


def is_wanted(
    measure: Measure, contender: str, records: Iterable[Record], profile: Profile
) -> bool:
    """False when there are enough runs, and when there is no use in trying again."""
    tries = [
        record
        for record in records
        if (record.contender, record.measure) == (contender, measure.key)
    ]
    if any(record.outcome in {Outcome.NOT_OFFERED, Outcome.TOO_SLOW} for record in tries):
        return False
    took = sum(record.figures.get("took_seconds", 0.0) for record in tries)
    return len(tries) < measure.rounds and took < profile.repeat_seconds


def forecast_seconds(
    measure: Measure, contender: str, records: Sequence[Record], workers: int
) -> float | None:
    """How long it will take by the contender's speed so far; None when that is not known."""
    points = session_seconds(contender, records)
    if len(points) < 2 or measure.kind == "first_task":
        return None
    calls = measure.tasks
    if measure.kind == "latency":
        return MIN_SESSIONS * extrapolate(points, calls)
    if measure.kind == "chunked":
        calls = -(-measure.tasks // measure.arguments["chunk"])
    if measure.kind != "efficiency":
        return extrapolate(points, calls)
    calls += measure.arguments["warm_up"]
    return max(calls * measure.milliseconds / 1000 / workers, extrapolate(points, calls))


def session_seconds(contender: str, records: Iterable[Record]) -> list[tuple[int, float]]:
    """How long no-op sessions took so far, by their number of tasks, smallest first."""
    found: dict[int, float] = {}
    for record in records:
        kind, _, tasks = record.measure.partition(" ")
        measured_here = record.contender == contender and record.outcome is Outcome.MEASURED
        if measured_here and kind in {"latency", "throughput"}:
            found[int(tasks)] = quantile(record.figures["samples"], 0.5)
    return sorted(found.items())


def extrapolate(points: Sequence[tuple[int, float]], tasks: int) -> float:
    """Seconds of a session, from the line through the two largest ones that are known.

    A line, and not the rate of the largest: most of a short session is what any session takes. How
    a system does with few tasks says little of how it does with many: it gets some credit.
    """
    (fewer, short), (more, long) = points[-2:]
    slope = max(0.0, (long - short) / (more - fewer))
    if more < FEW_TASKS < tasks:
        slope /= CREDIT
    return max(0.0, long + slope * (tasks - more))
