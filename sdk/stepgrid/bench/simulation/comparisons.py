"""A session as it was measured and as it was simulated. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from .scenarios import Scenario


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    seconds: float  #: from the call to the last result
    chunks: int
    free_cores: float  #: that other programs left, on average


@dataclass(frozen=True, slots=True)
class Comparison:
    """One session, as it was (the median of some runs) and as it was foretold."""

    scenario: Scenario
    measured: MeasuredRun
    slowest_seconds: float
    simulated_seconds: float
    simulated_chunks: int

    @property
    def ratio(self) -> float:
        """Simulated over measured: 1 is right, less is too fast."""
        return self.simulated_seconds / self.measured.seconds
