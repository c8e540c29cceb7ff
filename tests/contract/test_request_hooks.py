"""Requests are counted where botocore sends them."""

import json
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from stepgrid_core.aws.request_hooks import consumed_units, hang_in
from stepgrid_core.request_tally import RequestTally
from tests.unit.sdk_fakes import Reply, serving

from .aws_stack import REGION, TABLE, AwsStack

KEY = {"pk": {"S": "a"}, "sk": {"S": "b"}}


class RecordingTally(RequestTally):
    """Remembers for the test what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[str] = []
        self.units: list[tuple[str, float]] = []

    def count(self, operation: str) -> None:
        self.requests.append(operation)

    def consume(self, unit: str, amount: float) -> None:
        self.units.append((unit, amount))


@pytest.fixture
def tally() -> RecordingTally:
    return RecordingTally()


@pytest.fixture(autouse=True)
def _table(stack: AwsStack) -> None:
    stack.create_table()


@pytest.fixture
def session(tally: RecordingTally) -> boto3.Session:
    session = boto3.Session("testing", "testing", region_name=REGION)
    hang_in(tally, session)
    return session


def test_requests_are_named_by_service_and_operation(
    session: boto3.Session, tally: RecordingTally
) -> None:
    """Clients and resources alike, whatever answers in place of the network."""
    session.client("dynamodb").get_item(TableName=TABLE, Key=KEY)
    session.resource("dynamodb").Table(TABLE).put_item(Item={"pk": "a", "sk": "b"})
    session.client("stepfunctions").list_state_machines()
    assert tally.requests == ["dynamodb.GetItem", "dynamodb.PutItem", "sfn.ListStateMachines"]


def test_units_are_those_that_dynamodb_tells(session: boto3.Session, tally: RecordingTally) -> None:
    """Answers are asked to tell what they consumed; reads and writes cost differently."""
    client = session.client("dynamodb")
    client.put_item(TableName=TABLE, Item=KEY)
    client.get_item(TableName=TABLE, Key=KEY)
    assert [(unit, amount > 0) for unit, amount in tally.units] == [("write", True), ("read", True)]


def test_a_refused_write_is_billed_as_well(session: boto3.Session, tally: RecordingTally) -> None:
    """Its answer tells no units, so the least is taken."""
    refuse: dict[str, Any] = {"ConditionExpression": "attribute_exists(pk)"}
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        session.client("dynamodb").put_item(TableName=TABLE, Item=KEY, **refuse)
    assert tally.units == [("write", 1.0)]


def test_events_are_counted_and_not_only_their_requests(
    session: boto3.Session, tally: RecordingTally
) -> None:
    """EventBridge bills each entry."""
    entry = {"Source": "s", "DetailType": "t", "Detail": "{}"}
    session.client("events").put_events(Entries=[entry, entry])
    assert tally.requests == ["eventbridge.PutEvents"]
    assert tally.units == [("events", 2)]


def test_every_attempt_counts(session: boto3.Session, tally: RecordingTally) -> None:
    """A request that botocore repeats is billed as often as it is sent."""
    told = json.dumps({"ConsumedCapacity": {"TableName": "t", "CapacityUnits": 3.0}}).encode()
    with serving(Reply(status=500), Reply(body=told)) as server:
        config = Config(retries={"mode": "standard", "total_max_attempts": 3}, proxies={})
        client = session.client("dynamodb", endpoint_url=server.url, config=config)
        client.delete_item(TableName="t", Key=KEY)
    assert tally.requests == ["dynamodb.DeleteItem"] * 2
    assert tally.units == [("write", 3.0)]


def test_units_of_answers_about_several_items() -> None:
    """Batches and transactions tell a list; a cancelled transaction costs two for each item."""
    capacity = [{"CapacityUnits": 4.0}, {"CapacityUnits": 0.5}]
    assert consumed_units({"ConsumedCapacity": capacity}) == 4.5
    refused = {"Code": "TransactionCanceledException"}
    assert consumed_units({"Error": refused, "CancellationReasons": [{}, {}]}) == 4.0
    assert consumed_units({}) == 0.0
