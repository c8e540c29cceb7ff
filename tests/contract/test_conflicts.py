"""Writes that meet a transaction on the same item: DynamoDB refuses them, and they are repeated.

moto never refuses one, so the first answers are put in its place here.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse

from stepgrid_core.aws.state_table import AwsStateTable
from stepgrid_core.aws.transactions import CONFLICT_TRIES
from stepgrid_core.errors import Unavailable

from .aws_stack import AwsStack
from .samples import NOW, make_session, store_session

CONFLICT = {"__type": "com.amazonaws.dynamodb.v20120810#TransactionConflictException"}
CANCELLED = {
    "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
    "CancellationReasons": [{"Code": "None"}, {"Code": "None"}, {"Code": "TransactionConflict"}],
}


class _Body:
    def __init__(self, text: bytes) -> None:
        self._text = text

    def stream(self) -> Any:
        yield self._text


class Refusals:
    """Answers the first so many requests of one operation with an error."""

    def __init__(self, times: int, error: dict[str, Any]) -> None:
        self._left = times
        self._error = json.dumps(error).encode()
        self.requests = 0

    def __call__(self, request: Any, **_: Any) -> AWSResponse | None:
        self.requests += 1
        self._left -= 1
        if self._left < 0:
            return None
        headers = {"content-type": "application/x-amz-json-1.0"}
        return AWSResponse(request.url, 400, headers, _Body(self._error))


Refuse = Callable[[str, int, dict[str, Any]], Refusals]


@pytest.fixture
def refuse(stack: AwsStack, boto_session: boto3.Session) -> Any:
    """refuse(operation, times, error): of all clients that are made from then on."""
    events = boto_session.events
    registered: list[tuple[str, Refusals]] = []

    def register(operation: str, times: int, error: dict[str, Any]) -> Refusals:
        name, refusals = f"before-send.dynamodb.{operation}", Refusals(times, error)
        events.register_first(name, refusals)
        registered.append((name, refusals))
        return refusals

    yield register
    for name, refusals in registered:
        events.unregister(name, refusals)


def test_a_single_write_that_meets_a_transaction_is_repeated(
    stack: AwsStack, refuse: Refuse
) -> None:
    """A worker does not fail after its commit because another session began just then."""
    name = stack.create_table()
    refusals = refuse("UpdateItem", 2, CONFLICT)
    table = AwsStateTable(name)
    session = store_session(table, make_session())
    table.mark_cancelling(session.session_id, NOW)
    assert refusals.requests == 3
    assert table.read_session(session.session_id) == replace(session, cancelling=True)


def test_a_transaction_that_meets_another_is_repeated(stack: AwsStack, refuse: Refuse) -> None:
    """Its conditions are looked at anew each time."""
    name = stack.create_table()
    refusals = refuse("TransactWriteItems", 2, CANCELLED)
    table = AwsStateTable(name)
    session = store_session(table, make_session())
    assert refusals.requests == 3
    assert table.read_session(session.session_id) == session


@pytest.mark.parametrize(
    ("operation", "error"), [("UpdateItem", CONFLICT), ("TransactWriteItems", CANCELLED)]
)
def test_after_so_many_conflicts_the_caller_is_told(
    stack: AwsStack, refuse: Refuse, operation: str, error: dict[str, Any]
) -> None:
    """Who asks gets an answer in time, and may send the same again."""
    name = stack.create_table()
    refusals = refuse(operation, 1_000, error)
    table = AwsStateTable(name)
    with pytest.raises(Unavailable):
        table.mark_cancelling("0" * 32, NOW) if operation == "UpdateItem" else store_session(
            table, make_session()
        )
    assert refusals.requests == CONFLICT_TRIES
