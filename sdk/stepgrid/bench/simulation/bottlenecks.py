"""Which resource holds a session up: how much faster would it be without the limit?

The same session is simulated with one limit lifted at a time. The limit that gains most is the
bottleneck; with it lifted for good, the next one is found in the same way. The planner's decision
stays what it was, so that only the limit differs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf

from .plans import SessionPlan, plan_session
from .profiles import Profile
from .scenarios import Scenario
from .sessions import Simulation, simulate

#: More workers than any session has chunks.
ANY_NUMBER = 1_000_000
#: A gain below this share is noise.
LEAST_GAIN = 0.01


@dataclass(frozen=True, slots=True)
class Case:
    """What is simulated."""

    scenario: Scenario
    profile: Profile
    plan: SessionPlan

    def run(self) -> Simulation:
        return simulate(self.scenario, self.profile, self.plan)

    def without(self, **limits: float) -> Case:
        """With constants of the profile replaced."""
        return replace(self, profile=replace(self.profile, **limits))  # type: ignore[arg-type]


def _without_worker_limit(case: Case) -> Case:
    plan = replace(case.plan, concurrency=ANY_NUMBER)
    scenario = replace(case.scenario, account_concurrency=None)
    return replace(case, scenario=scenario, plan=plan).without(
        map_at_once=ANY_NUMBER, inline_at_once=ANY_NUMBER
    )


@dataclass(frozen=True, slots=True)
class Limit:
    """How a limit is lifted, and which resource makes others wait by it."""

    lift: Callable[[Case], Case]
    #: None: it is no queue, but takes its time of everybody
    resource: str | None = None


def _without(resource: str | None = None, /, **limits: float) -> Limit:
    return Limit(lambda case: case.without(**limits), resource)


LIMITS: dict[str, Limit] = {
    "number of workers": Limit(_without_worker_limit, "worker slots"),
    "environment ramp": _without(
        "environment starts", environments_at_once=inf, environments_per_second=inf
    ),
    "cold start": _without(cold_start_seconds=0.0),
    "start of the Map": _without(map_start_seconds=0.0, burst_start_seconds=0.0),
    "child starts": _without(
        "child starts", express_starts_per_second=inf, standard_starts_per_second=inf
    ),
    "partition writes": _without("partition writes", partition_writes_per_second=inf),
    "S3 request rates": _without(
        "S3 reads", prefix_gets_per_second=inf, prefix_puts_per_second=inf
    ),
    "client transfers at once": _without(
        "client transfers", transfers_at_once=inf, parts_at_once=inf
    ),
    "client line": _without(client_bytes_per_second=inf),
    "client CPU": _without(
        client_pack_seconds=0.0,
        client_decode_seconds=0.0,
        client_chunk_seconds=0.0,
        client_byte_seconds=0.0,
    ),
    "worker overhead": _without(
        worker_task_seconds=0.0,
        worker_chunk_seconds=0.0,
        worker_byte_seconds=0.0,
        invoke_seconds=0.0,
        child_seconds=0.0,
    ),
    "emulator": _without(
        "emulator",
        emulator_byte_seconds=0.0,
        emulator_api_seconds=0.0,
        emulator_chunk_seconds=0.0,
    ),
    "cores": _without("cores", cores=inf),
}


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """The limit that held the session up most, those before it being lifted already."""

    limit: str
    seconds_before: float
    seconds_after: float

    @property
    def gain(self) -> float:
        """The share of its time that the session gains."""
        return 1 - self.seconds_after / self.seconds_before


def find_bottlenecks(scenario: Scenario, profile: Profile, most: int = 2) -> list[Bottleneck]:
    """The first few, in the order in which they would have to be removed."""
    case, found = Case(scenario, profile, plan_session(scenario)), list[Bottleneck]()
    done = case.run()
    while len(found) < most:
        lifted = {name: LIMITS[name].lift(case) for name in _candidates(done, found)}
        outcomes = {name: other.run() for name, other in lifted.items()}
        best = min(outcomes, key=lambda name: outcomes[name].results_at)
        bottleneck = Bottleneck(best, done.results_at, outcomes[best].results_at)
        if bottleneck.gain < LEAST_GAIN:
            break
        found.append(bottleneck)
        case, done = lifted[best], outcomes[best]
    return found


def _candidates(done: Simulation, found: list[Bottleneck]) -> list[str]:
    """Limits by which anybody lost time, but for those that were lifted already."""
    waited = {use.name for use in done.resources if use.waited_seconds > 0}
    lifted = {bottleneck.limit for bottleneck in found}
    return [
        name
        for name, limit in LIMITS.items()
        if name not in lifted and (limit.resource is None or limit.resource in waited)
    ]
