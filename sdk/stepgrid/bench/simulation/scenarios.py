"""What is simulated: a session of so many tasks, on so many workers, with task times by a law.

Pure values. Nothing here knows a cloud or the planner.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, get_args

Law = Literal["fixed", "lognormal", "bimodal"]
LAWS: tuple[str, ...] = get_args(Law)
#: Of the lognormal law: the slowest of a hundred tasks takes six times the mean.
SIGMA = 1.0
#: Of the bimodal law: one task in twenty takes ten times as long as the others.
LONG_SHARE, LONG_FACTOR = 0.05, 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One session. Raises ValueError for what can't be."""

    tasks: int
    task_seconds: float = 0.0  #: mean of the user's code
    law: Law = "fixed"
    task_bytes: int = 1024  #: of a task's line; a result has as many
    concurrency: int = 1_000  #: chunks of the session that may run at once
    copies: int = 1  #: identical functions over which chunks are spread
    account_concurrency: int | None = None  #: of all functions; None: as much as is asked for
    chunk_size: int | None = None  #: the caller's wish
    hinted: bool = True  #: the planner knows the mean
    warm: int = 0  #: environments that are there already
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("tasks", "task_bytes", "concurrency", "copies"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.task_seconds < 0:
            raise ValueError(f"task_seconds must not be negative, not {self.task_seconds}")

    @property
    def input_bytes(self) -> int:
        return self.tasks * self.task_bytes


def chunk_seconds(scenario: Scenario, sizes: Sequence[int]) -> list[float]:
    """Seconds of user code in each chunk; the same for the same seed."""
    mean, random = scenario.task_seconds, Random(f"tasks {scenario.seed}")  # noqa: S311
    if scenario.law == "fixed" or not mean:
        return [size * mean for size in sizes]
    draw = _lognormal if scenario.law == "lognormal" else _bimodal
    return [sum(draw(random, mean) for _ in range(size)) for size in sizes]


def _lognormal(random: Random, mean: float) -> float:
    return random.lognormvariate(math.log(mean) - SIGMA**2 / 2, SIGMA)


def _bimodal(random: Random, mean: float) -> float:
    short = mean / (1 - LONG_SHARE + LONG_SHARE * LONG_FACTOR)
    return short * (LONG_FACTOR if random.random() < LONG_SHARE else 1.0)
