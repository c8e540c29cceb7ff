"""Hangs a tally into botocore: every client made afterwards counts what it sends.

`before-send` is emitted for each attempt, so a repeated request counts as often as it was sent.
What DynamoDB bills is told by its answers, if they are asked to: the size of the item that an
UpdateItem leaves behind is not in the request. Source: DynamoDB API reference,
ReturnConsumedCapacity.
"""

from typing import Any

import boto3

from ..request_tally import RequestTally

READS = ("GetItem", "BatchGetItem", "Query", "Scan", "TransactGetItems")
#: What a refused write consumes at least; its answer does not say.
REFUSED_WRITE_UNITS, REFUSED_TRANSACTION_UNITS = 1.0, 2.0


def hang_in(tally: RequestTally, session: boto3.Session | None = None) -> None:
    """Count all requests of clients that are made from now on.

    session: whose clients; those of `boto3.client` and `boto3.resource` when left out.
    """
    if session is None:
        boto3.setup_default_session()
        assert boto3.DEFAULT_SESSION is not None
        session = boto3.DEFAULT_SESSION
    hooks = _Hooks(tally)
    # First: whoever answers in place of the network ends the list.
    session.events.register_first("before-send", hooks.count)
    session.events.register("before-parameter-build.dynamodb", hooks.ask_capacity)
    session.events.register("after-call.dynamodb", hooks.consume)
    session.events.register("before-parameter-build.eventbridge.PutEvents", hooks.count_events)


class _Hooks:
    def __init__(self, tally: RequestTally) -> None:
        self._tally = tally

    def count(self, event_name: str, **_: Any) -> None:
        """`before-send.dynamodb.UpdateItem`; an answer would take the network's place."""
        self._tally.count(event_name.partition(".")[2])

    def ask_capacity(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        if "ReturnConsumedCapacity" in model.input_shape.members:
            params.setdefault("ReturnConsumedCapacity", "TOTAL")

    def consume(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        unit = "read" if model.name in READS else "write"
        self._tally.consume(unit, consumed_units(parsed))

    def count_events(self, params: dict[str, Any], **_: Any) -> None:
        self._tally.consume("events", len(params.get("Entries", ())))


def consumed_units(answer: dict[str, Any]) -> float:
    """Of one answer of DynamoDB: of one table, of several, or of a refusal the least."""
    code = answer.get("Error", {}).get("Code")
    if code == "ConditionalCheckFailedException":
        return REFUSED_WRITE_UNITS
    if code == "TransactionCanceledException":
        return REFUSED_TRANSACTION_UNITS * len(answer.get("CancellationReasons", ()))
    consumed = answer.get("ConsumedCapacity") or []
    tables = consumed if isinstance(consumed, list) else [consumed]
    return float(sum(table.get("CapacityUnits", 0.0) for table in tables))
