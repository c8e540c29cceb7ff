"""What AWS asks, in dollars: on demand, us-east-1 (N. Virginia), no free tiers, no discounts.

One constant for a price, with the page that says it and the month in which it was looked up.
Nothing here knows what was used: `stepgrid.bench.cost` counts that, and `routing` guesses it.
"""

from dataclasses import dataclass

CHECKED = "2026-11"


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars for one unit; `unit` is in the words of the bill."""

    dollars: float
    unit: str
    source: str
    checked: str = CHECKED


def _per_million(dollars: float, unit: str, source: str) -> Price:
    return Price(dollars / 1_000_000, unit, source)


_API = "https://aws.amazon.com/api-gateway/pricing/"
_LAMBDA = "https://aws.amazon.com/lambda/pricing/"
_STATES = "https://aws.amazon.com/step-functions/pricing/"
_TABLE = "https://aws.amazon.com/dynamodb/pricing/on-demand/"
_S3 = "https://aws.amazon.com/s3/pricing/"
_EVENTS = "https://aws.amazon.com/eventbridge/pricing/"
_SQS = "https://aws.amazon.com/sqs/pricing/"
_FARGATE = "https://aws.amazon.com/fargate/pricing/"
_VPC = "https://aws.amazon.com/vpc/pricing/"
_EC2 = "https://aws.amazon.com/ec2/pricing/on-demand/"

#: REST API, the first 333 million of a month
API_CALL = _per_million(3.50, "API call", _API)
INVOCATION = _per_million(0.20, "invocation", _LAMBDA)
#: STANDARD; also one for each child that a distributed Map starts (Step Functions developer guide,
#: "Transitions in distributed Map state")
STATE_TRANSITION = _per_million(25.00, "state transition", _STATES)
EXPRESS_EXECUTION = _per_million(1.00, "EXPRESS execution", _STATES)
#: on-demand capacity, standard table class
READ_UNIT = _per_million(0.125, "read unit", _TABLE)
WRITE_UNIT = _per_million(0.625, "write unit", _TABLE)
#: PUT, COPY, POST and LIST of S3 Standard
S3_WRITE = _per_million(5.00, "S3 PUT, POST or LIST", _S3)
#: GET, HEAD and all others of S3 Standard
S3_READ = _per_million(0.40, "S3 GET or HEAD", _S3)
#: of up to 64 KiB, to a bus of one's own
EVENT = _per_million(1.00, "event", _EVENTS)
#: standard queue, of up to 64 KiB
QUEUE_REQUEST = _per_million(0.40, "SQS request", _SQS)

#: arm64, the first 7.5 billion of a month
FUNCTION_GB_SECOND = Price(0.0000133334, "GB-s of a function", _LAMBDA)
#: on either processor; on x86 the first 6 billion of a month
FUNCTION = {
    "arm64": FUNCTION_GB_SECOND,
    "x86_64": Price(0.0000166667, "GB-s of a function", _LAMBDA),
}
#: the first 3.6 million of a month
EXPRESS_GB_SECOND = Price(0.00001667, "GB-s of an EXPRESS execution", _STATES)
#: Linux on arm64, on demand
FARGATE_VCPU_HOUR = Price(0.03238, "vCPU-hour of Fargate", _FARGATE)
FARGATE_GB_HOUR = Price(0.00356, "GB-hour of Fargate", _FARGATE)
#: Linux on either processor: a vCPU for an hour, a GB of memory for an hour
FARGATE = {
    "arm64": (FARGATE_VCPU_HOUR, FARGATE_GB_HOUR),
    "x86_64": (
        Price(0.04048, "vCPU-hour of Fargate", _FARGATE),
        Price(0.004445, "GB-hour of Fargate", _FARGATE),
    ),
}
#: of the disk beyond 20 GB
FARGATE_STORAGE_GB_HOUR = Price(0.000111, "GB-hour of Fargate's disk", _FARGATE)
#: that a container has in subnets without a NAT; the same on Spot
PUBLIC_ADDRESS_HOUR = Price(0.005, "hour of a public IPv4 address", _VPC)
#: c7g.large: 2 vCPU, 4 GiB, on demand
EC2_INSTANCE_HOUR = Price(0.0725, "hour of a c7g.large", _EC2)
EC2_INSTANCE_VCPUS = 2
#: Spot is 50 to 70 % below that, for Fargate as for this family, and moves from day to day.
SPOT_DISCOUNT = 0.6
