"""What a session asked of the cloud, counted as it is billed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Usage:
    """Requests by service and operation, and what is billed by size or time."""

    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    write_units: float = 0.0  #: DynamoDB, on demand
    read_units: float = 0.0
    express_executions: int = 0
    express_gb_seconds: float = 0.0
    transitions: int = 0  #: of STANDARD executions
    invocations: int = 0
    lambda_gb_seconds: float = 0.0
    api_requests: int = 0

    def count(self, service: str, operation: str, times: int = 1) -> None:
        self.requests[service, operation] += times

    def invoked(self, seconds: float, memory_mib: int) -> None:
        """One invocation of a function, as long as it was busy."""
        self.invocations += 1
        self.held(seconds, memory_mib)

    def held(self, seconds: float, memory_mib: int) -> None:
        """A function that runs already runs so much longer."""
        self.lambda_gb_seconds += seconds * memory_mib / 1024

    @property
    def total_requests(self) -> int:
        """Those of client and functions; invocations and transitions are not among them."""
        return sum(self.requests.values())
