"""From when on a machine that is paid by the hour is cheaper than a function paid by the task.

Lambda costs nothing between tasks, Fargate and EC2 a fraction of its price while they run. So what
decides is how much of its time a vCPU is at work. Pure arithmetic on the price table.
"""

from dataclasses import dataclass

from stepgrid_core import prices

from .bill import WORKER_GB

HOUR_SECONDS = 3600.0
DAY_SECONDS = 24 * HOUR_SECONDS
#: memory beside one vCPU of Fargate: the least that it offers
FARGATE_GB = 2
#: Both are billed by the second, but for a minute at least.
LEAST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class BreakEven:
    """A way to compute, and where it becomes cheaper than Lambda. All for one vCPU."""

    name: str
    dollars_per_hour: float
    utilisation: float  #: share of its time that it has to be at work, where it is kept running
    seconds_per_day: float  #: the same as task-seconds a day
    seconds_at_once: float  #: work that makes a start worth its minute, where it is started for it


def lambda_dollars_per_hour() -> float:
    """One vCPU of Lambda (1769 MB, arm64) that runs tasks without a break."""
    return WORKER_GB * prices.FUNCTION_GB_SECOND.dollars * HOUR_SECONDS


def find_break_evens(spot_discount: float = prices.SPOT_DISCOUNT) -> list[BreakEven]:
    """Of Fargate Spot and EC2 Spot, each with a public address.

    spot_discount: 0.6 is 60 % below the price on demand.
    """
    fargate = prices.FARGATE_VCPU_HOUR.dollars + FARGATE_GB * prices.FARGATE_GB_HOUR.dollars
    address, spot = prices.PUBLIC_ADDRESS_HOUR.dollars, 1 - spot_discount
    instance = prices.EC2_INSTANCE_HOUR.dollars * spot + address
    return [
        _against_lambda("Fargate Spot", fargate * spot + address),
        _against_lambda("EC2 Spot", instance / prices.EC2_INSTANCE_VCPUS),
    ]


def _against_lambda(name: str, dollars_per_hour: float) -> BreakEven:
    utilisation = dollars_per_hour / lambda_dollars_per_hour()
    return BreakEven(
        name,
        dollars_per_hour,
        utilisation,
        seconds_per_day=utilisation * DAY_SECONDS,
        seconds_at_once=utilisation * LEAST_SECONDS,
    )
