"""What sessions ask of AWS, counted on the deployed grid: a request too many is found here.

The counts are exact. What is allowed is written down by who asks, so that it can be lowered where a
request is saved; a table that had to be raised needs a reason.
"""

import time
from collections import Counter
from collections.abc import Mapping

import pytest

from stepgrid import Grid, Session
from stepgrid.bench.cost.bill import price_requests, unpriced
from stepgrid.bench.cost.meter import CostMeter, SessionCost
from stepgrid.bench.cost.tally_log import API_FUNCTION, WORKER
from stepgrid.local import LocalCloud
from stepgrid.retry import SystemClock

CALLS = {"execute-api.POST /v1/sessions": 1, "execute-api.GET /v1/sessions/{id}": 1}
SUBMIT = {"dynamodb.TransactWriteItems": 1, "sfn.StartExecution": 1, "eventbridge.PutEvents": 1}
#: What an environment of the API keeps for seconds: the worker, its limit, the owner's quota.
KEPT = {"lambda.GetFunctionConfiguration": 1, "dynamodb.GetItem": 3}
#: Each further call looks once, and may look again while it waits.
LOOK = 1
RUN_AND_CLOSE = {
    "dynamodb.UpdateItem": 2,
    "dynamodb.TransactWriteItems": 1,
    "eventbridge.PutEvents": 1,
}
#: All of a warm session of one short task: calls, submit, a look, run. 14 are promised.
ONE_TASK = 10
#: Of a chunk of a large session, besides what the last of a shard, and of all, have to do.
RUN_CHUNK = {"dynamodb.UpdateItem": 2, "s3.GetObject": 1, "s3.PutObject": 1}


@pytest.fixture
def meter(grid: Grid, cloud: LocalCloud) -> CostMeter:
    """Of a grid that is warm: its functions run and know their workers."""
    grid.submit("echo", ["warm"]).results()
    return CostMeter(grid, cloud.status().stack_name, cloud.client, SystemClock(), time.time() - 60)


def beyond(requests: Mapping[str, float], allowed: Mapping[str, int]) -> Mapping[str, float]:
    """What was asked for more than is allowed."""
    return Counter(requests) - Counter(allowed)


def counted_by(cost: SessionCost, part: str) -> list[Mapping[str, int]]:
    return [each.requests for each in cost.invocations if each.part == part]


def test_requests_of_a_session_of_one_task(meter: CostMeter) -> None:
    """No request more than these; waiting may look at the session more than once."""
    cost = meter.measure("echo", [{"x": 1}], Session.results)
    assert (cost.route, cost.chunks) == ("burst", 1)
    calls = {name: n for name, n in cost.usage.requests.items() if name.startswith("execute-api")}
    assert beyond(calls, CALLS) == {}
    submit, *further = counted_by(cost, API_FUNCTION)
    submit = Counter(submit) - Counter(KEPT)
    assert beyond(submit, SUBMIT) == {}
    (run,) = counted_by(cost, WORKER)
    assert beyond(run, RUN_AND_CLOSE) == {}
    warm = [calls, submit, run]
    assert sum(sum(each.values()) for each in warm) + LOOK * len(further) <= ONE_TASK


def test_requests_of_10000_tasks(meter: CostMeter) -> None:
    """In chunks of 100 one for ten tasks. A chunk costs a claim, a commit, a read and a write, but
    for those that end a shard or tell of progress."""
    tasks = ({"task": index, "padding": "x" * 980} for index in range(10_000))
    cost = meter.measure("echo", tasks, chunk_size=100)
    assert cost.chunks == 100
    assert cost.usage.total_requests / cost.tasks <= 0.1
    runs = counted_by(cost, WORKER)
    ordinary = [run for run in runs if not beyond(run, RUN_CHUNK)]
    assert len(ordinary) > len(runs) / 2
    assert cost.usage.express_executions == len(runs)


def test_the_planner_asks_for_less_than_one_request_in_twenty_tasks(meter: CostMeter) -> None:
    """10,000 tasks of 1 KB in chunks of its choice; everything that they used has a price."""
    tasks = ({"task": index, "padding": "x" * 980} for index in range(10_000))
    cost = meter.measure("echo", tasks)
    assert cost.usage.total_requests / cost.tasks <= 0.05
    assert unpriced(cost.usage) == []
    assert sum(price_requests(cost.usage).values()) / cost.tasks * 1_000_000 <= 0.30
