"""Simulates one session: submit, start, fan-out, children, end, results.

    client: submit ----> execution starts -> fan-out -> one child for each chunk -> latch -> closed
    client: collect ------------------------------------------------------------------> results

The same scenario, profile and seed give the same result to the last digit.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from random import Random

from stepgrid.bench.cost.bill import Usage

from .child import Child, ChunkWork
from .client import Client
from .latch import Latch
from .plans import SessionPlan, plan_session
from .profiles import Profile
from .resources import Clock, Meter, Process, Rate, Servers
from .scenarios import Scenario, chunk_seconds
from .services import Services


@dataclass(frozen=True, slots=True)
class ResourceUse:
    """What one resource did. `utilisation` is its part of the session's whole time."""

    name: str
    served: float
    utilisation: float
    waited_seconds: float  #: of all who used it together
    longest_wait_seconds: float
    refused: int


@dataclass(frozen=True, slots=True)
class Simulation:
    """What came of it. Times are seconds from the call of `grid.map`."""

    scenario: Scenario
    plan: SessionPlan
    submitted_at: float
    first_claim_at: float
    last_commit_at: float
    closed_at: float
    results_at: float  #: the last result is in the client's hand
    user_seconds: float  #: of the user's code in all tasks
    peak_workers: int
    environments: int  #: that were started
    resources: tuple[ResourceUse, ...]
    usage: Usage

    @property
    def tasks_per_second(self) -> float:
        return self.scenario.tasks / self.results_at

    @property
    def efficiency(self) -> float:
        """The ideal time, in which all workers do nothing but the user's code, over the real."""
        return self.user_seconds / self.scenario.concurrency / self.results_at


def simulate(scenario: Scenario, profile: Profile, plan: SessionPlan | None = None) -> Simulation:
    """Run the model. `plan`: in place of the planner's."""
    return _Session(scenario, profile, plan or plan_session(scenario)).run()


class _Session:
    def __init__(self, scenario: Scenario, profile: Profile, plan: SessionPlan) -> None:
        self._scenario = scenario
        self._profile = profile
        self._plan = plan
        self._clock = Clock()
        random = Random(f"services {scenario.seed}")  # noqa: S311 - no secret depends on it
        self._services = Services(self._clock, profile, scenario, random)
        self._latch = Latch(self._services, plan)
        self._client = Client(self._services, scenario, plan, self._latch)
        self._work = self._cut()
        self._slots = Servers(self._clock, "worker slots", self._at_once())
        self._starts = Rate(self._clock, "child starts", self._starts_per_second())
        self._submitted_at = self._closed_at = 0.0

    def run(self) -> Simulation:
        done = self._clock.process(self._main())
        self._clock.run(until=done)
        results_at = self._clock.now
        self._clock.run()  # what follows the end is billed as well
        return Simulation(
            scenario=self._scenario,
            plan=self._plan,
            submitted_at=self._submitted_at,
            first_claim_at=self._latch.first_claim_at or 0.0,
            last_commit_at=self._latch.last_commit_at,
            closed_at=self._closed_at,
            results_at=results_at,
            user_seconds=sum(work.user_seconds for work in self._work),
            peak_workers=self._services.functions.peak,
            environments=int(self._services.functions.started),
            resources=tuple(self._resources(results_at)),
            usage=self._services.tally.usage(),
        )

    def _main(self) -> Process:
        yield from self._client.submit()
        self._submitted_at = self._clock.now
        self._clock.process(self._fan_out())
        self._clock.process(self._note_close())
        yield from self._client.collect()

    def _note_close(self) -> Process:
        """The execution of a burst ends with it; the recorder settles that of a Map."""
        yield self._latch.closed
        self._closed_at = self._clock.now
        if self._plan.route == "burst":
            self._services.tally.express(self._closed_at - self._submitted_at)
        else:
            self._services.tally.request("dynamodb.GetItem")
            self._services.tally.read(1)
            self._services.tally.invocation(
                self._profile.invoke_seconds, self._profile.function_memory_mib
            )

    def _fan_out(self) -> Process:
        """Children start in order: each when the rate allows it and a slot is free."""
        burst = self._plan.route == "burst"
        profile = self._profile
        yield self._clock.timeout(
            profile.burst_start_seconds if burst else profile.map_start_seconds
        )
        if not burst:
            self._services.tally.machine()
        for work in self._work:
            slot = yield from self._slots.enter()
            yield from self._starts.wait()
            self._clock.process(self._run_child(work, slot))

    def _run_child(self, work: ChunkWork, slot: object) -> Process:
        yield from Child(self._services, work, self._latch).run()
        self._slots.leave(slot)

    def _at_once(self) -> int:
        burst = self._plan.route == "burst"
        most = self._profile.inline_at_once if burst else self._profile.map_at_once
        return min(self._plan.concurrency, int(most))

    def _starts_per_second(self) -> float:
        if self._plan.route == "burst":
            return inf
        if self._plan.children == "standard":
            return self._profile.standard_starts_per_second
        return self._profile.express_starts_per_second

    def _cut(self) -> list[ChunkWork]:
        plan = self._plan
        seconds = chunk_seconds(self._scenario, plan.sizes)
        return [
            ChunkWork(
                number=number,
                tasks=tasks,
                size=tasks * self._scenario.task_bytes,
                user_seconds=seconds[number],
                inline_input=plan.inline,
                inline_output=plan.inline_outputs,
                watch_seconds=plan.watch_seconds,
                kind="inline" if plan.route == "burst" else plan.children,
            )
            for number, tasks in enumerate(plan.sizes)
        ]

    def _resources(self, seconds: float) -> list[ResourceUse]:
        slots = (self._slots.meter, self._slots.count)
        found = [(self._starts.meter, 1.0), slots, *self._services.meters()]
        return [_use(meter, capacity, seconds) for meter, capacity in found]


def _use(meter: Meter, capacity: float, seconds: float) -> ResourceUse:
    return ResourceUse(
        name=meter.name,
        served=meter.served,
        utilisation=meter.busy_seconds / capacity / seconds if seconds else 0.0,
        waited_seconds=meter.waited_seconds,
        longest_wait_seconds=meter.longest_wait_seconds,
        refused=meter.refused,
    )
