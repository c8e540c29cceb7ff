"""Holds the simulation against the local cloud: the same sessions, simulated and run.

The constants are measured with other sessions than these (`calibration`), and nothing is fitted
to what is compared here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from math import ceil
from typing import Any

from stepgrid.client import Grid
from stepgrid.options import Options

from .calibration import NO_OP_WORKER, LocalCpu, machine_cores, sample_task
from .comparisons import Comparison, MeasuredRun
from .plans import known_seconds
from .profiles import Profile
from .scenarios import Scenario
from .sessions import simulate

#: HTC-Grid's mock task: it sleeps, and leaves the core to others.
SLEEPING_WORKER = "mock-compute"
CONCURRENCY = 4
SCENARIOS = (
    Scenario(tasks=1, concurrency=CONCURRENCY),
    Scenario(tasks=100, concurrency=CONCURRENCY, chunk_size=1),
    Scenario(tasks=10_000, concurrency=CONCURRENCY),
    Scenario(tasks=100_000, concurrency=CONCURRENCY),
    Scenario(tasks=10_000, concurrency=CONCURRENCY, task_bytes=10_240),
    Scenario(tasks=1_000, task_seconds=0.01, concurrency=CONCURRENCY),
    Scenario(tasks=200, task_seconds=0.1, concurrency=CONCURRENCY),
)


def validate(
    grid: Grid,
    cpu: LocalCpu,
    profile: Profile,
    runs: int = 3,
    scenarios: tuple[Scenario, ...] = SCENARIOS,
) -> Iterator[Comparison]:
    """Run each scenario some times on the local cloud, and simulate it with warm workers."""
    for scenario in scenarios:
        done = sorted((_run(grid, cpu, scenario) for _ in range(runs)), key=lambda run: run.seconds)
        measured = done[runs // 2]
        foretold = simulate(
            replace(scenario, warm=scenario.concurrency), on_cores(profile, measured.free_cores)
        )
        yield Comparison(
            scenario=scenario,
            measured=measured,
            slowest_seconds=done[-1].seconds,
            simulated_seconds=foretold.results_at,
            simulated_chunks=len(foretold.plan.sizes),
        )


def on_cores(profile: Profile, free_cores: float) -> Profile:
    """The same cloud where other programs leave it so many cores, on average."""
    cores = max(1, ceil(free_cores))
    return replace(profile, cores=cores, core_speed=min(1.0, free_cores / cores))


def _run(grid: Grid, cpu: LocalCpu, scenario: Scenario) -> MeasuredRun:
    options: Options = {
        "max_concurrency": scenario.concurrency,
        "chunk_size": scenario.chunk_size,
        "task_seconds": known_seconds(scenario),
    }
    worker, task = _work(scenario)
    own, machine, began_at = cpu.read(), cpu.read_machine(), time.perf_counter()
    session = grid.submit(worker, [task] * scenario.tasks, **options)
    for _ in session:
        pass
    seconds = time.perf_counter() - began_at
    others = cpu.read_machine() - machine - cpu.read().minus(own).total
    return MeasuredRun(
        seconds=seconds,
        chunks=session.status().chunks,
        free_cores=max(0.1, machine_cores() - max(0.0, others) / seconds),
    )


def _work(scenario: Scenario) -> tuple[str, dict[str, Any]]:
    if not scenario.task_seconds:
        return NO_OP_WORKER, sample_task(scenario.task_bytes)
    milliseconds = round(scenario.task_seconds * 1000)
    return SLEEPING_WORKER, {"worker_arguments": [str(milliseconds), "1", "1"]}
