"""Several items of the state table changed together or not at all (DynamoDB TransactWriteItems).

A transaction is a dictionary of named writes; what refused it is told by those names. Where a
transaction and a single write meet on an item, either may be refused: both are repeated here. Knows
no rule of the grid.
"""

import random
import time
from collections.abc import Mapping
from typing import Any

from boto3.dynamodb.conditions import ConditionBase, ConditionExpressionBuilder
from botocore.exceptions import ClientError

from ..errors import Unavailable
from .translate import code_of, translated

Item = dict[str, Any]
Write = dict[str, Any]

#: Two transactions on one item at the same moment: DynamoDB refuses one of them, and botocore does
#: not repeat it (developer guide, "Transaction conflict handling").
CONFLICTS = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
CONFLICT_TRIES = 12
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 0.01, 0.5
#: What a single write is told that meets a transaction. It changed nothing.
SINGLE_CONFLICT = "TransactionConflictException"


def put(table: str, item: Item, condition: ConditionBase | None = None) -> Write:
    return {"Put": {"TableName": table, "Item": item, **_condition(condition)}}


def delete(table: str, key: Item, condition: ConditionBase | None = None) -> Write:
    return {"Delete": {"TableName": table, "Key": key, **_condition(condition)}}


def update(
    table: str,
    key: Item,
    *,
    change: Mapping[str, Any] | None = None,
    add: Mapping[str, int] | None = None,
    condition: ConditionBase | None = None,
) -> Write:
    """Set attributes to values, and add numbers to attributes (0 where there is none yet)."""
    write: Write = {"TableName": table, "Key": key, **_condition(condition)}
    names = write.setdefault("ExpressionAttributeNames", {})
    values = write.setdefault("ExpressionAttributeValues", {})
    clauses = []
    for verb, sign, numbers in (("SET", " = ", change), ("ADD", " ", add)):
        pairs = []
        for number, (name, value) in enumerate((numbers or {}).items()):
            place = f"{verb.lower()}{number}"
            names[f"#{place}"], values[f":{place}"] = name, value
            pairs.append(f"#{place}{sign}:{place}")
        if pairs:
            clauses.append(f"{verb} {', '.join(pairs)}")
    write["UpdateExpression"] = " ".join(clauses)
    return {"Update": write}


def _condition(condition: ConditionBase | None) -> dict[str, Any]:
    """A builder of its own each time: the one that boto3 keeps is not made for threads."""
    if condition is None:
        return {}
    built = ConditionExpressionBuilder().build_expression(condition)
    expression: dict[str, Any] = {"ConditionExpression": built.condition_expression}
    if built.attribute_name_placeholders:
        expression["ExpressionAttributeNames"] = dict(built.attribute_name_placeholders)
    if built.attribute_value_placeholders:
        expression["ExpressionAttributeValues"] = dict(built.attribute_value_placeholders)
    return expression


def key_condition(condition: ConditionBase) -> dict[str, Any]:
    """Of a query, built as other conditions are: several threads may ask at once."""
    built = ConditionExpressionBuilder().build_expression(condition, is_key_condition=True)
    return {
        "KeyConditionExpression": built.condition_expression,
        "ExpressionAttributeNames": dict(built.attribute_name_placeholders),
        "ExpressionAttributeValues": dict(built.attribute_value_placeholders),
    }


def transact(client: Any, writes: Mapping[str, Write], what: str) -> frozenset[str]:
    """Carry all writes out, or none; answers the names of those whose condition did not hold.

    `client` is that of a boto3 resource, which converts values. A lost answer is no danger:
    botocore repeats the request under the same token. Raises Unavailable.
    """
    for tries in range(1, CONFLICT_TRIES + 1):
        try:
            with translated(what):
                client.transact_write_items(TransactItems=list(writes.values()))
        except ClientError as error:
            if code_of(error) != "TransactionCanceledException":
                raise
            reasons = [reason.get("Code") for reason in error.response["CancellationReasons"]]
            refused = {
                name
                for name, reason in zip(writes, reasons, strict=True)
                if reason == "ConditionalCheckFailed"
            }
            if refused:
                return frozenset(refused)
            if not CONFLICTS & set(reasons):
                raise
        else:
            return frozenset()
        time.sleep(pause_seconds(tries))
    raise Unavailable(f"{what}: others changed it at the same moment, {CONFLICT_TRIES} times")


def repeat_conflicts(client: Any) -> None:
    """Make `client` repeat single writes that meet a transaction: botocore's own list lacks them.

    Otherwise a worker would fail after its commit because another session began or ended just then.
    """
    client.meta.events.register("needs-retry.dynamodb", _before_repeat, "stepgrid-conflicts")


def _before_repeat(response: Any, attempts: int, **_: Any) -> float | None:
    """Seconds to wait before the request is made again; None: not for our reasons."""
    answer = response[1] if response else {}
    met = answer.get("Error", {}).get("Code") == SINGLE_CONFLICT
    return pause_seconds(attempts) if met and attempts < CONFLICT_TRIES else None


def pause_seconds(tries: int) -> float:
    """Full jitter below a bound that doubles."""
    bound = min(FIRST_PAUSE_SECONDS * 2 ** (tries - 1), LAST_PAUSE_SECONDS)
    return random.uniform(0, bound)  # noqa: S311 - jitter, no secret
