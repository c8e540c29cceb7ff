"""Counts what a simulated session uses of AWS, as the bill of `stepgrid.bench.cost` wants it."""

from __future__ import annotations

from collections import Counter
from math import ceil

from stepgrid.bench.cost.bill import EXPRESS_GB, EXPRESS_STEP_SECONDS, Usage
from stepgrid.bench.cost.executions import CHILD_STATES, START_AND_END

#: Of a session that goes once through its Map: Route, FanOut, Settle, AnyLeft, Settled.
MACHINE_STATES = 5


class Tally:
    """Grows while a simulation runs."""

    def __init__(self) -> None:
        self._requests: Counter[str] = Counter()
        self._units: Counter[str] = Counter()
        self._invocations = 0
        self._transitions = 0
        self._express = 0
        self._function_gb_seconds = 0.0
        self._express_gb_seconds = 0.0

    def request(self, name: str, times: int = 1) -> None:
        """`name` is service.Operation, as botocore calls them."""
        self._requests[name] += times

    def write(self, units: int) -> None:
        self._units["write"] += units

    def read(self, units: int) -> None:
        self._units["read"] += units

    def events(self, count: int) -> None:
        """Told by one request."""
        self.request("eventbridge.PutEvents")
        self._units["events"] += count

    def invocation(self, seconds: float, memory_mib: int) -> None:
        """One invocation of a function, as long as it was busy."""
        self._invocations += 1
        self.longer(seconds, memory_mib)

    def longer(self, seconds: float, memory_mib: int) -> None:
        """A function that runs already runs so much longer."""
        self._function_gb_seconds += seconds * memory_mib / 1024

    def machine(self) -> None:
        """The STANDARD execution of a session."""
        self._transitions += MACHINE_STATES + START_AND_END

    def express(self, seconds: float) -> None:
        """An EXPRESS execution."""
        self._express += 1
        steps = ceil(seconds / EXPRESS_STEP_SECONDS)
        self._express_gb_seconds += steps * EXPRESS_STEP_SECONDS * EXPRESS_GB

    def child(self, more_transitions: int | None) -> None:
        """A distributed Map has started a child: one transition, besides those of its own.

        None: it is an EXPRESS execution, which has none. Else how many more it has than a chunk
        that ends at once; a retry is one.
        """
        self._transitions += 1
        if more_transitions is not None:
            self._transitions += CHILD_STATES + START_AND_END + more_transitions

    def usage(self) -> Usage:
        """All that was counted."""
        return Usage(
            requests=dict(self._requests),
            units=dict(self._units),
            invocations=self._invocations,
            state_transitions=self._transitions,
            express_executions=self._express,
            function_gb_seconds=self._function_gb_seconds,
            express_gb_seconds=self._express_gb_seconds,
        )
