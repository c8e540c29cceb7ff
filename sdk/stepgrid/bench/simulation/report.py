"""What a simulation says, as text for people and as JSON for scripts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from stepgrid.bench.cost.bill import price_requests, price_tasks, price_time
from stepgrid.cli.rendering import Column, duration, number, table

from .bottlenecks import Bottleneck
from .bounds import bounds
from .comparisons import Comparison
from .profiles import Profile
from .sessions import Simulation

_RESOURCES = (
    Column("resource"),
    Column("least s", right=True),
    Column("used", right=True),
    Column("waited s", right=True),
    Column("longest s", right=True),
    Column("refused", right=True),
)

_COMPARISONS = (
    Column("tasks", right=True),
    Column("task s", right=True),
    Column("bytes", right=True),
    Column("chunks", right=True),
    Column("measured s", right=True),
    Column("slowest s", right=True),
    Column("simulated s", right=True),
    Column("ratio", right=True),
    Column("free cores", right=True),
)


def report_fields(done: Simulation) -> Iterator[tuple[str, str]]:
    """Name and value of what a reader wants to know first."""
    sizes = done.plan.sizes
    yield "chunks", f"{number(len(sizes))} of {_range(sizes)} tasks, {done.plan.route}"
    yield "submitted", _seconds(done.submitted_at)
    yield "first claim", _seconds(done.first_claim_at)
    yield "last commit", _seconds(done.last_commit_at)
    yield "closed", _seconds(done.closed_at)
    yield "last result", f"{_seconds(done.results_at)}  ({duration(done.results_at)})"
    yield "tasks/s", number(round(done.tasks_per_second))
    yield "efficiency", f"{done.efficiency:.1%} of {number(done.scenario.concurrency)} workers"
    yield "workers", f"{number(done.peak_workers)} at once, {number(done.environments)} started"
    requests = round(done.usage.total_requests)
    yield "requests", f"{number(requests)}  ({requests / done.scenario.tasks:.4f} a task)"
    dollars = cost(done)
    yield "cost", " + ".join(f"${amount:,.2f} {what}" for what, amount in dollars.items())


def cost(done: Simulation) -> dict[str, float]:
    """Dollars by what they are for; the parts add up to the whole.

    Tasks pay for the EXPRESS execution around them where each chunk has its own: that of a burst is
    as long as the session, however many run in it, and STANDARD ones are not billed by time.
    """
    own_express = done.plan.route == "map" and done.plan.children == "express"
    tasks = price_tasks(done.user_seconds, own_express)
    return {
        "requests": sum(price_requests(done.usage).values()),
        "time of tasks": tasks,
        "other time": max(0.0, price_time(done.usage) - tasks),  # where there is none, but rounding
    }


def resource_lines(done: Simulation, profile: Profile, colour: bool) -> Iterator[str]:
    """A table of the resources: the least time that each alone would need, and what it did."""
    least = {
        bound.resource: bound.seconds
        for bound in bounds(done.scenario, profile, done.plan, done.user_seconds)
    }
    rows = [
        (
            use.name,
            f"{least[use.name]:.1f}" if use.name in least else "-",
            f"{use.utilisation:.1%}",
            f"{use.waited_seconds:,.1f}",
            f"{use.longest_wait_seconds:.2f}",
            number(use.refused),
        )
        for use in sorted(done.resources, key=lambda use: -least.get(use.name, 0.0))
    ]
    yield from table(_RESOURCES, rows, colour)


def bottleneck_lines(found: Sequence[Bottleneck]) -> Iterator[str]:
    """A sentence for each, in the order in which they would have to be removed."""
    if not found:
        yield "no single limit holds the session up by 1 % or more"
    for place, item in enumerate(found):
        what = "bottleneck" if place == 0 else "then"
        after, gain = duration(item.seconds_after), f"{item.gain:.0%}"
        yield f"{what}: {item.limit}; without it {after}, {gain} less"


def comparison_lines(found: Iterable[Comparison], colour: bool) -> Iterator[str]:
    """A table of sessions, as they were and as they were foretold."""
    rows = [
        (
            number(item.scenario.tasks),
            f"{item.scenario.task_seconds:g}",
            number(item.scenario.task_bytes),
            number(item.measured.chunks),
            f"{item.measured.seconds:.3f}",
            f"{item.slowest_seconds:.3f}",
            f"{item.simulated_seconds:.3f}",
            f"{item.ratio:.2f}",
            f"{item.measured.free_cores:.1f}",
        )
        for item in found
    ]
    yield from table(_COMPARISONS, rows, colour)


def calibration_fields(profile: Profile) -> Iterator[tuple[str, str]]:
    """The CPU that calibration found."""
    for name in (
        "client_pack_seconds",
        "client_decode_seconds",
        "client_chunk_seconds",
        "client_byte_seconds",
        "worker_task_seconds",
        "worker_chunk_seconds",
        "worker_byte_seconds",
        "emulator_api_seconds",
        "emulator_chunk_seconds",
        "emulator_byte_seconds",
        "api_seconds",
    ):
        yield name.removesuffix("_seconds").replace("_", " "), _small(getattr(profile, name))


def as_json(done: Simulation, profile: Profile, found: Sequence[Bottleneck]) -> dict[str, Any]:
    """Everything, as one object."""
    usage = done.usage
    return {
        "profile": profile.name,
        "tasks": done.scenario.tasks,
        "concurrency": done.scenario.concurrency,
        "copies": done.scenario.copies,
        "chunks": len(done.plan.sizes),
        "route": done.plan.route,
        "seconds": {
            "submitted": done.submitted_at,
            "first_claim": done.first_claim_at,
            "last_commit": done.last_commit_at,
            "closed": done.closed_at,
            "results": done.results_at,
        },
        "tasks_per_second": done.tasks_per_second,
        "efficiency": done.efficiency,
        "peak_workers": done.peak_workers,
        "environments": done.environments,
        "requests": dict(usage.requests),
        "units": dict(usage.units),
        "invocations": usage.invocations,
        "state_transitions": usage.state_transitions,
        "express_executions": usage.express_executions,
        "dollars": cost(done),
        "bounds": {
            bound.resource: bound.seconds
            for bound in bounds(done.scenario, profile, done.plan, done.user_seconds)
        },
        "resources": [
            {
                "name": use.name,
                "served": use.served,
                "utilisation": use.utilisation,
                "waited_seconds": use.waited_seconds,
                "longest_wait_seconds": use.longest_wait_seconds,
                "refused": use.refused,
            }
            for use in done.resources
        ],
        "bottlenecks": [
            {"limit": item.limit, "seconds_without": item.seconds_after, "gain": item.gain}
            for item in found
        ],
    }


def _seconds(value: float) -> str:
    return f"{value:.3f} s"


def _range(sizes: Sequence[int]) -> str:
    least, most = min(sizes), max(sizes)
    return number(most) if least == most else f"{number(least)} to {number(most)}"


def comparison_json(item: Comparison) -> dict[str, Any]:
    """One session as one object."""
    return {
        "tasks": item.scenario.tasks,
        "task_seconds": item.scenario.task_seconds,
        "task_bytes": item.scenario.task_bytes,
        "chunks": item.measured.chunks,
        "measured_seconds": item.measured.seconds,
        "slowest_seconds": item.slowest_seconds,
        "simulated_seconds": item.simulated_seconds,
        "ratio": item.ratio,
        "free_cores": item.measured.free_cores,
    }


def _small(seconds: float) -> str:
    for unit, size in (("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"
