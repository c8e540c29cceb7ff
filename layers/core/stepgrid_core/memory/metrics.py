"""The metric sink as a list of what was emitted."""

from typing import Any

from ..metrics import Metric, Values, without_zeros


class MemoryMetrics:
    """Keeps what was emitted: worker, values, properties."""

    def __init__(self) -> None:
        self.emitted: list[tuple[str, dict[Metric, list[float]], dict[str, Any]]] = []

    def emit(self, worker: str, values: Values, **properties: Any) -> None:
        told = {metric: list(found) for metric, found in without_zeros(values).items()}
        if told:
            self.emitted.append((worker, told, properties))

    def total(self, metric: Metric) -> float:
        """The sum of all values of a metric."""
        return sum(sum(told.get(metric, ())) for _, told, _ in self.emitted)
