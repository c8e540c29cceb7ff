"""What was used, priced by the table of AWS's prices."""

from pathlib import Path

import pytest

from stepgrid.bench.cost import htcgrid
from stepgrid.bench.cost.bill import Usage, price_requests, price_tasks, price_time, unpriced
from stepgrid.bench.cost.break_even import find_break_evens, lambda_dollars_per_hour
from stepgrid.cli.rendering import duration
from stepgrid_core import prices
from stepgrid_core.prices import Price

MILLION = 1_000_000
DOCUMENT = Path(__file__).parents[2] / "docs" / "cost.md"


def dollars(usage: Usage) -> float:
    return sum(price_requests(usage.times(MILLION)).values())


@pytest.mark.parametrize(
    ("usage", "per_million"),
    [
        (Usage({"execute-api.GET /v1/sessions/{id}": 1}), 3.50),
        (Usage({"s3.PutObject": 1}), 5.00),
        (Usage({"s3.CompleteMultipartUpload": 1}), 5.00),
        (Usage({"s3.GetObject": 1}), 0.40),
        (Usage({"s3.HeadObject": 1}), 0.40),
        (Usage({"s3.DeleteObjects": 1}), 0.0),
        (Usage({"sqs.ReceiveMessage": 1}), 0.40),
        (Usage({"sfn.StartExecution": 1, "lambda.GetFunctionConfiguration": 1}), 0.0),
        (Usage({"sts.AssumeRole": 1, "cognito-identity.GetId": 1}), 0.0),
        (Usage({"dynamodb.UpdateItem": 1}, {"write": 3}), 3 * 0.625),
        (Usage(units={"read": 0.5}), 0.0625),
        (Usage(units={"events": 2}), 2.00),
        (Usage(invocations=1), 0.20),
        (Usage(state_transitions=1), 25.00),
        (Usage(express_executions=1), 1.00),
    ],
)
def test_each_thing_has_its_price(usage: Usage, per_million: float) -> None:
    """In dollars for a million: S3 by its two tiers, DynamoDB and EventBridge by amount."""
    assert dollars(usage) == pytest.approx(per_million)


def test_time_is_priced_apart() -> None:
    """GB-seconds of functions and of EXPRESS executions; tasks take one vCPU's memory of both."""
    time = Usage(function_gb_seconds=1e6, express_gb_seconds=1e6)
    assert price_requests(time) == {}
    assert price_time(time) == pytest.approx(13.3334 + 16.67)
    assert price_tasks(1e6) == pytest.approx(1769 / 1024 * 13.3334 + 0.0625 * 16.67)
    assert price_tasks(1e6, express=False) == pytest.approx(1769 / 1024 * 13.3334)


def test_what_has_no_price_is_told() -> None:
    """An operation that the table does not know must not make a bill look low."""
    usage = Usage({"kms.Decrypt": 1, "s3.SelectObjectContent": 1, "s3.GetObject": 1})
    assert unpriced(usage) == ["kms.Decrypt", "s3.SelectObjectContent"]


def test_what_a_broker_asks_is_known() -> None:
    """STS and identity pools cost nothing."""
    assert unpriced(Usage({"sts.AssumeRole": 1, "cognito-identity.GetId": 1})) == []


def test_htc_grid_asks_eleven_requests_of_a_task() -> None:
    """Beside its batches; about 21 dollars for a million tasks. Everything in it has a price."""
    task = htcgrid.one_task()
    batched = 1 / 25 + 1 / 10
    assert task.total_requests == pytest.approx(11 + batched)
    assert dollars(task) == pytest.approx(21, abs=0.1)
    assert unpriced(task) == []


def test_without_s3_htc_grid_asks_less() -> None:
    """Payloads in Redis save six requests, which are more than half of the price."""
    task = htcgrid.one_task(payloads_in_s3=False)
    assert htcgrid.one_task().total_requests - task.total_requests == pytest.approx(6)
    assert dollars(task) == pytest.approx(9.36, abs=0.01)


def test_every_price_says_where_it_is_from() -> None:
    """A page of AWS, and a month."""
    found = [value for value in vars(prices).values() if isinstance(value, Price)]
    assert len(found) > 10
    for price in found:
        assert price.dollars > 0
        assert price.source.startswith("https://aws.amazon.com/")
        assert price.checked == prices.CHECKED


def test_break_even_is_a_share_of_lambdas_price() -> None:
    """A machine that costs a fifth of Lambda pays from a fifth of its time at work on."""
    for each in find_break_evens():
        assert each.utilisation == pytest.approx(each.dollars_per_hour / lambda_dollars_per_hour())
        assert 0.1 < each.utilisation < 0.3
        assert each.seconds_per_day == pytest.approx(each.utilisation * 86_400)
        assert each.seconds_at_once == pytest.approx(each.utilisation * 60)


def test_a_lower_discount_moves_break_even_up() -> None:
    """Spot prices move: the discount is the caller's to give."""
    for cheap, dear in zip(find_break_evens(0.7), find_break_evens(0.5), strict=True):
        assert cheap.utilisation < dear.utilisation < cheap.utilisation * 5 / 3


def test_the_document_has_the_break_evens_of_the_prices() -> None:
    """Prices that change are changed in docs/cost.md."""
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    for each in find_break_evens():
        row = next(line for line in lines if line.startswith(f"| {each.name} ("))
        assert f"| ${each.dollars_per_hour:.4f} |" in row
        assert f"| {each.utilisation:.0%}".replace("%", " % at work") in row
        assert f", {duration(each.seconds_per_day)} of tasks a day |" in row
        assert f"| {each.seconds_at_once:.0f} s of work" in row
