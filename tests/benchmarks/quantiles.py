"""The few statistics that the report is made of. Samples are few and skewed: no means."""

from collections.abc import Sequence
from dataclasses import dataclass


def quantile(samples: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the samples lie, interpolated between neighbours.

    Raises ValueError for no samples.
    """
    if not samples:
        raise ValueError("no samples")
    ordered = sorted(samples)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


@dataclass(frozen=True)
class Spread:
    """The middle of some runs, and the lowest and the highest of them."""

    median: float
    low: float
    high: float
    runs: int


def spread(samples: Sequence[float]) -> Spread:
    """Raises ValueError for no samples."""
    return Spread(quantile(samples, 0.5), min(samples), max(samples), len(samples))
