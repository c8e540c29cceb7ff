"""Clouds for the tests of the simulation: one where nothing takes time, and parts put in."""

from dataclasses import replace

from stepgrid.bench.simulation.plans import SessionPlan
from stepgrid.bench.simulation.profiles import Profile

#: Nothing takes time, nothing is limited.
IDEAL = Profile(
    name="ideal",
    client_pack_seconds=0.0,
    client_decode_seconds=0.0,
    client_bytes_per_second=float("inf"),
    parts_at_once=float("inf"),
    transfers_at_once=float("inf"),
    api_seconds=0.0,
    start_execution_seconds=0.0,
    burst_start_seconds=0.0,
    map_start_seconds=0.0,
    table_seconds=0.0,
    get_seconds=0.0,
    put_seconds=0.0,
    worker_task_seconds=0.0,
)


def ideal_but(**constants: float) -> Profile:
    return replace(IDEAL, **constants)  # type: ignore[arg-type]


def plan_of(
    *sizes: int, route: str = "map", children: str = "express", concurrency: int = 1_000
) -> SessionPlan:
    """Chunks of these sizes; inputs and results travel through S3."""
    return SessionPlan(
        sizes=sizes,
        route=route,
        children=children,
        concurrency=concurrency,
        watch_seconds=1.0,
        inline=False,
        inline_outputs=False,
    )
