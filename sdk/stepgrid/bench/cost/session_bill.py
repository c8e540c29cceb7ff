"""What `stepgrid cost` shows: what one session used and costs, a line for each part of AWS.

Pure: usage and containers in, lines out. It knows neither the terminal nor the grid.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from stepgrid_core import prices
from stepgrid_core.contract import ContainerUse
from stepgrid_core.prices import Price
from stepgrid_core.routing import LEAST_BILLED_SECONDS, container_dollars

from .bill import Usage, amounts

MILLION = 1_000_000
#: Of the machines of AWS, those that run tasks come first.
_PARTS: Mapping[str, Mapping[str, Price]] = {
    "lambda": {"invocations": prices.INVOCATION, "GB-s": prices.FUNCTION_GB_SECOND},
    "step functions": {
        "transitions": prices.STATE_TRANSITION,
        "EXPRESS executions": prices.EXPRESS_EXECUTION,
        "GB-s": prices.EXPRESS_GB_SECOND,
    },
    "dynamodb": {"write units": prices.WRITE_UNIT, "read units": prices.READ_UNIT},
    "s3": {"PUT": prices.S3_WRITE, "GET": prices.S3_READ},
    "events": {"events": prices.EVENT},
    "sqs": {"requests": prices.QUEUE_REQUEST},
    "API": {"calls": prices.API_CALL},
}
#: What no bill of a session has.
NOT_IN_IT = (
    "transfers of the client by presigned URL",
    "uploads' calls",
    "data transfer",
    "storage",
    "logs",
    "the sweeper",
)


@dataclass(frozen=True, slots=True)
class BillLine:
    """A part of AWS: how much of what, and what that costs."""

    part: str
    used: Mapping[str, float]
    dollars: float


@dataclass(frozen=True, slots=True)
class SessionBill:
    """What a session costs, as far as it was noted; `counted`: requests are in it."""

    session_id: str
    tasks: int
    counted: bool
    lines: Sequence[BillLine]

    @property
    def dollars(self) -> float:
        return sum(line.dollars for line in self.lines)

    @property
    def dollars_per_million(self) -> float:
        return self.dollars / self.tasks * MILLION


def bill_lines(usage: Usage, containers: Sequence[ContainerUse]) -> list[BillLine]:
    """Only parts that were used."""
    found = amounts(usage)
    lines = [_line(part, units, found) for part, units in _PARTS.items()]
    ordered = [lines[0], *_fargate(containers), *lines[1:]]
    return [line for line in ordered if line.used]


def _line(part: str, units: Mapping[str, Price], found: Mapping[Price, float]) -> BillLine:
    used = {unit: found[price] for unit, price in units.items() if price in found}
    return BillLine(part, used, sum(units[unit].dollars * n for unit, n in used.items()))


def _fargate(containers: Sequence[ContainerUse]) -> Iterator[BillLine]:
    """From when a container asked for work first; the pull of its image before is billed, too."""
    if not containers:
        return
    lived = [max(LEAST_BILLED_SECONDS, each.seen_at - each.started_at) for each in containers]
    pairs = list(zip(containers, lived, strict=True))
    yield BillLine(
        "fargate",
        {
            "containers": len(containers),
            "vCPU-s": sum(each.vcpu * seconds for each, seconds in pairs),
            "GB-s": sum(each.memory_mib / 1024 * seconds for each, seconds in pairs),
        },
        sum(container_dollars(each, seconds) for each, seconds in pairs),
    )
