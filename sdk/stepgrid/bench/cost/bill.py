"""From what was used to what it costs. Pure: counts in, dollars out.

What AWS bills by request or amount (`price_requests`) is apart from what it bills by time
(`price_time`): the first is what packing saves, the second is mostly the tasks themselves. Not in
it: data transfer, storage, logs, and what costs nothing while it is within a quota.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from stepgrid_core import prices
from stepgrid_core.prices import Price

API = "execute-api"
#: An EXPRESS execution is billed in steps of 64 MB and 100 ms; a chunk's data needs the least.
EXPRESS_GB, EXPRESS_STEP_SECONDS = 64 / 1024, 0.1
#: Of a function with one vCPU, as the template has it.
WORKER_GB = 1769 / 1024

_BY_OPERATION: Mapping[str, Price | None] = {
    "s3.PutObject": prices.S3_WRITE,
    "s3.UploadPart": prices.S3_WRITE,
    "s3.CreateMultipartUpload": prices.S3_WRITE,
    "s3.CompleteMultipartUpload": prices.S3_WRITE,
    "s3.ListObjectsV2": prices.S3_WRITE,
    "s3.GetObject": prices.S3_READ,
    "s3.HeadObject": prices.S3_READ,
    "s3.DeleteObjects": None,
    "s3.AbortMultipartUpload": None,
}
#: An API call has one price; the others are free, or billed by units, events or invocations.
_BY_SERVICE: Mapping[str, Price | None] = {
    API: prices.API_CALL,
    "sqs": prices.QUEUE_REQUEST,
    "dynamodb": None,
    "eventbridge": None,
    "lambda": None,
    "sfn": None,
    "cloudwatch-logs": None,
    "sts": None,
    "cognito-identity": None,
}
_BY_UNIT = {"read": prices.READ_UNIT, "write": prices.WRITE_UNIT, "events": prices.EVENT}
_BY_TIME = (prices.FUNCTION_GB_SECOND, prices.EXPRESS_GB_SECOND)


@dataclass(frozen=True, slots=True)
class Usage:
    """What something used of AWS; fractions where it is the share of one task."""

    #: HTTP requests by service and operation, the client's and the functions'
    requests: Mapping[str, float] = field(default_factory=dict)
    #: read and write units of DynamoDB, events
    units: Mapping[str, float] = field(default_factory=dict)
    invocations: float = 0
    state_transitions: float = 0  #: of STANDARD executions
    express_executions: float = 0
    function_gb_seconds: float = 0
    express_gb_seconds: float = 0

    @property
    def total_requests(self) -> float:
        return sum(self.requests.values())

    def times(self, factor: float) -> "Usage":
        return Usage(
            {name: count * factor for name, count in self.requests.items()},
            {name: amount * factor for name, amount in self.units.items()},
            self.invocations * factor,
            self.state_transitions * factor,
            self.express_executions * factor,
            self.function_gb_seconds * factor,
            self.express_gb_seconds * factor,
        )


def amounts(usage: Usage) -> dict[Price, float]:
    """How much of each thing that has a price, by request or amount as by time."""
    found: defaultdict[Price, float] = defaultdict(float)
    for name, count in usage.requests.items():
        if (price := _price_of(name)) is not None:
            found[price] += count
    for unit, amount in usage.units.items():
        found[_BY_UNIT[unit]] += amount
    found[prices.INVOCATION] += usage.invocations
    found[prices.STATE_TRANSITION] += usage.state_transitions
    found[prices.EXPRESS_EXECUTION] += usage.express_executions
    found[prices.FUNCTION_GB_SECOND] += usage.function_gb_seconds
    found[prices.EXPRESS_GB_SECOND] += usage.express_gb_seconds
    return {price: amount for price, amount in found.items() if amount}


def price_requests(usage: Usage) -> dict[str, float]:
    """Dollars by the unit of the bill, for all that is billed by request or amount."""
    return {
        price.unit: price.dollars * amount
        for price, amount in amounts(usage).items()
        if price not in _BY_TIME
    }


def price_time(usage: Usage) -> float:
    """Dollars for the time of functions and of EXPRESS executions."""
    return (
        usage.function_gb_seconds * prices.FUNCTION_GB_SECOND.dollars
        + usage.express_gb_seconds * prices.EXPRESS_GB_SECOND.dollars
    )


def price_tasks(task_seconds: float, express: bool = True) -> float:
    """Dollars for so much time in tasks: the function that runs them, and the execution around.

    express: it is an EXPRESS one, and of one chunk; others are not billed by the tasks' time.
    """
    execution = EXPRESS_GB * prices.EXPRESS_GB_SECOND.dollars if express else 0.0
    return task_seconds * (WORKER_GB * prices.FUNCTION_GB_SECOND.dollars + execution)


def unpriced(usage: Usage) -> list[str]:
    """Operations that the price table does not know: a bill without them would be too low."""
    return sorted(name for name in usage.requests if not _is_known(name))


def _price_of(name: str) -> Price | None:
    return _BY_OPERATION.get(name) or _BY_SERVICE.get(_service(name))


def _is_known(name: str) -> bool:
    return name in _BY_OPERATION or _service(name) in _BY_SERVICE


def _service(name: str) -> str:
    return name.partition(".")[0]
