"""How the grid would cut a session: asked of its own planner."""

from __future__ import annotations

from dataclasses import dataclass

from .rules import (
    CHUNKS_PER_SHARD,
    DEFAULT_TASK_TIMEOUT_SECONDS,
    INLINE_INPUT_BYTES,
    INLINE_SHARD_BYTES,
    TaskTime,
    Workload,
    plan,
    stride_of,
)
from .scenarios import Scenario


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """What the planner decided."""

    sizes: tuple[int, ...]  #: tasks of each chunk, in the order in which they are started
    route: str  #: burst or map
    children: str  #: express or standard
    concurrency: int
    watch_seconds: float
    inline: bool  #: the tasks travel in the request
    inline_outputs: bool  #: the results stay in the table

    @property
    def shards(self) -> int:
        return -(-len(self.sizes) // CHUNKS_PER_SHARD)

    def shard_sizes(self) -> list[int]:
        """Chunks of each shard."""
        last = len(self.sizes) - (self.shards - 1) * CHUNKS_PER_SHARD
        return [CHUNKS_PER_SHARD] * (self.shards - 1) + [last]


def plan_session(scenario: Scenario) -> SessionPlan:
    """Ask the planner what it would do with the session."""
    chosen = plan(
        Workload(
            tasks=scenario.tasks,
            size=scenario.input_bytes,
            task_time=_known_time(scenario),
            task_timeout_seconds=DEFAULT_TASK_TIMEOUT_SECONDS,
            chunk_size=scenario.chunk_size,
            max_concurrency=scenario.concurrency,
            stride=stride_of(scenario.tasks, scenario.input_bytes, scenario.chunk_size),
        )
    )
    sizes = tuple(chosen.layout.sizes())
    return SessionPlan(
        sizes=sizes,
        route=chosen.route,
        children=chosen.children,
        concurrency=chosen.max_concurrency,
        watch_seconds=chosen.watch_seconds,
        inline=scenario.input_bytes <= INLINE_INPUT_BYTES,
        inline_outputs=chosen.route == "burst" and _fits_shard(sizes, scenario.task_bytes),
    )


def _fits_shard(sizes: tuple[int, ...], task_bytes: int) -> bool:
    chunks = min(len(sizes), CHUNKS_PER_SHARD)
    return max(sizes) * task_bytes <= INLINE_SHARD_BYTES // chunks


def known_seconds(scenario: Scenario) -> float | None:
    """What the planner is told of a task: a hint is never 0, not even that of no-op tasks."""
    return max(scenario.task_seconds, 1e-4) if scenario.hinted else None


def _known_time(scenario: Scenario) -> TaskTime | None:
    seconds = known_seconds(scenario)
    return None if seconds is None else TaskTime(seconds, seconds)
