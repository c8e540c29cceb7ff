"""Where measured values go."""

from typing import Any, Protocol

from ..metrics import Values


class MetricSink(Protocol):
    """Where measured values go."""

    def emit(self, worker: str, values: Values, **properties: Any) -> None:
        """Tell values of one worker, all at once; counts of nothing are left out.

        The properties are for whoever looks for the line (session_id, chunk). Never fails.
        """
