"""Subscriptions on SQS and EventBridge: a queue, a rule that feeds it, and an item that says whose.

N#<id> / SUBSCRIPTION      owner, filters, when it may be removed (index by-due)

The item comes first and goes last, so the sweeper finds whatever was left half made. The rule's
pattern names the owner, and only this rule may write to the queue.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import boto3
from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError

from ..errors import Conflict, NotFound, QuotaExceeded, Unavailable
from ..event_detail import SOURCE
from ..ports import Delivery, Subscription
from ..settings import Settings
from ..states import EventKind
from .rows import Item, decimal
from .translate import CLIENT_CONFIG, code_of, make_client, translated

#: Events that nobody fetched within an hour are no news any more.
QUEUE_ATTRIBUTES = {
    "MessageRetentionPeriod": "3600",
    "SqsManagedSseEnabled": "true",
    "VisibilityTimeout": "30",
}
TARGET = "queue"
BATCH = 10
#: The item outlives the queue by so much: the sweeper must find it.
ITEM_GRACE_SECONDS = 7 * 86_400
_DUE = "DUE#subscriptions"
_GONE = {
    "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist",
    "ResourceNotFoundException",
}
_BUSY = {"ConcurrentModificationException", "RequestThrottled"}
#: A queue's name can't be used for a minute after the queue was deleted (SQS CreateQueue).
_JUST_DELETED = {"AWS.SimpleQueueService.QueueDeletedRecently", "QueueDeletedRecently"}
#: Of an event pattern (EventBridge PutRule).
MAX_PATTERN_CHARACTERS = 2_048


class AwsSubscriptions:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._urls: dict[str, str] = {}

    # A worker has these ports too, and never uses them: no clients before they are needed.

    @cached_property
    def _table(self) -> Any:
        return boto3.resource("dynamodb", config=CLIENT_CONFIG).Table(self._settings.table)

    @cached_property
    def _events(self) -> Any:
        return make_client("events")

    @cached_property
    def _sqs(self) -> Any:
        """A long-poll answers after 20 s; failing, it is for the caller to repeat."""
        return make_client("sqs", read_timeout=24, retries={"total_max_attempts": 1})

    def create(self, subscription: Subscription) -> Subscription:
        stored = self._store(subscription)
        name = self._name(stored.subscription_id)
        try:
            with _translated(stored.subscription_id):
                self._build(name, stored)
        except ClientError as error:
            if code_of(error) == "LimitExceededException":
                self.delete(stored.subscription_id)
                raise QuotaExceeded(
                    "the event bus of this grid takes no more subscriptions (EventBridge quota "
                    "of rules per bus); try again later, or wait for the sessions themselves"
                ) from error
            if code_of(error) in _JUST_DELETED:
                self.delete(stored.subscription_id)
                raise Conflict(
                    "this client_token was used for a subscription that was just deleted; "
                    "use a new token"
                ) from error
            raise
        return stored

    def _store(self, subscription: Subscription) -> Subscription:
        try:
            with translated(f"table {self._settings.table}"):
                self._table.put_item(
                    Item=_write(subscription), ConditionExpression="attribute_not_exists(pk)"
                )
        except ClientError as error:
            if code_of(error) != "ConditionalCheckFailedException":
                raise
            return self.find(subscription.subscription_id) or subscription
        return subscription

    def _build(self, name: str, subscription: Subscription) -> None:
        """Rule, queue, target: each step may be repeated."""
        bus = self._settings.event_bus
        rule_arn = self._events.put_rule(
            Name=name,
            EventBusName=bus,
            EventPattern=_pattern(subscription),
            Description="Events of one owner, for a subscription through the API",
        )["RuleArn"]
        queue_arn = _queue_arn(rule_arn, name)
        policy = json.dumps(_policy(rule_arn, queue_arn))
        made = self._sqs.create_queue(
            QueueName=name, Attributes={**QUEUE_ATTRIBUTES, "Policy": policy}
        )
        self._urls[name] = made["QueueUrl"]
        targets = [{"Id": TARGET, "Arn": queue_arn}]
        answer = self._events.put_targets(Rule=name, EventBusName=bus, Targets=targets)
        if answer["FailedEntryCount"]:
            raise Unavailable(f"subscription {subscription.subscription_id}: target was refused")

    def find(self, subscription_id: str) -> Subscription | None:
        with translated(f"table {self._settings.table}"):
            answer = self._table.get_item(Key=_key(subscription_id), ConsistentRead=True)
        return _read(answer["Item"]) if "Item" in answer else None

    def count(self, owner: str) -> int:
        with translated(f"table {self._settings.table}"):
            answer = self._table.query(
                IndexName="by-owner",
                KeyConditionExpression=Key("owner_key").eq(_owner_key(owner)),
                Select="COUNT",
            )
        return int(answer["Count"])

    def keep(self, subscription_id: str, stale_at: float) -> None:
        try:
            with translated(f"table {self._settings.table}"):
                self._table.update_item(
                    Key=_key(subscription_id),
                    UpdateExpression="SET due_at = :due, expires_at = :expires",
                    ConditionExpression=Attr("pk").exists(),
                    ExpressionAttributeValues={
                        ":due": decimal(stale_at),
                        ":expires": int(stale_at) + ITEM_GRACE_SECONDS,
                    },
                )
        except ClientError as error:
            if code_of(error) != "ConditionalCheckFailedException":
                raise

    def receive(self, subscription_id: str, wait_seconds: float) -> list[Delivery]:
        try:
            with _translated(subscription_id):
                answer = self._sqs.receive_message(
                    QueueUrl=self._url(subscription_id),
                    MaxNumberOfMessages=BATCH,
                    WaitTimeSeconds=int(wait_seconds),
                )
        except ClientError as error:
            if code_of(error) not in _GONE:
                raise
            self._urls.pop(self._name(subscription_id), None)
            raise NotFound(f"there is no subscription {subscription_id!r}") from error
        return [
            Delivery(message["ReceiptHandle"], json.loads(message["Body"])["detail"])
            for message in answer.get("Messages", ())
        ]

    def acknowledge(self, subscription_id: str, receipts: Sequence[str]) -> None:
        entries = [{"Id": str(n), "ReceiptHandle": each} for n, each in enumerate(receipts)]
        try:
            with _translated(subscription_id):
                self._sqs.delete_message_batch(QueueUrl=self._url(subscription_id), Entries=entries)
        except ClientError as error:
            if code_of(error) not in _GONE:
                raise

    def delete(self, subscription_id: str) -> None:
        name, bus = self._name(subscription_id), self._settings.event_bus
        with _translated(subscription_id):
            self._unless_gone(
                self._events.remove_targets, Rule=name, EventBusName=bus, Ids=[TARGET]
            )
            self._unless_gone(self._events.delete_rule, Name=name, EventBusName=bus)
            self._unless_gone(self._delete_queue, subscription_id=subscription_id)
            self._table.delete_item(Key=_key(subscription_id))

    def _delete_queue(self, subscription_id: str) -> None:
        self._sqs.delete_queue(QueueUrl=self._url(subscription_id))
        self._urls.pop(self._name(subscription_id), None)

    @staticmethod
    def _unless_gone(call: Any, **arguments: Any) -> None:
        try:
            call(**arguments)
        except ClientError as error:
            if code_of(error) not in _GONE:
                raise

    def stale(self, now: float, limit: int) -> list[str]:
        with translated(f"table {self._settings.table}"):
            answer = self._table.query(
                IndexName="by-due",
                KeyConditionExpression=Key("due_key").eq(_DUE) & Key("due_at").lte(decimal(now)),
                Limit=limit,
            )
        return [item["pk"].removeprefix("N#") for item in answer["Items"]]

    def _name(self, subscription_id: str) -> str:
        return self._settings.subscription_prefix + subscription_id

    def _url(self, subscription_id: str) -> str:
        name = self._name(subscription_id)
        if name not in self._urls:
            self._urls[name] = self._sqs.get_queue_url(QueueName=name)["QueueUrl"]
        return self._urls[name]


@contextmanager
def _translated(subscription_id: str) -> Iterator[None]:
    """As `translated`; two requests for one subscription may meet in its rule or queue."""
    what = f"subscription {subscription_id}"
    try:
        with translated(what):
            yield
    except ClientError as error:
        if code_of(error) in _BUSY:
            raise Unavailable(f"{what}: busy") from error
        raise


def _pattern(subscription: Subscription) -> str:
    """Sessions that don't fit in are left to the control plane, which looks at each event again."""
    detail: dict[str, list[str]] = {"owner": [subscription.owner]}
    if subscription.kinds:
        detail["kind"] = [str(kind) for kind in subscription.kinds]
    sessions = {"session_id": list(subscription.session_ids)} if subscription.session_ids else {}
    narrow = json.dumps({"source": [SOURCE], "detail": detail | sessions})
    if len(narrow) <= MAX_PATTERN_CHARACTERS:
        return narrow
    return json.dumps({"source": [SOURCE], "detail": detail})


def _queue_arn(rule_arn: str, name: str) -> str:
    """A rule and its queue are in the same account and Region."""
    _, partition, _, region, account, _ = rule_arn.split(":", 5)
    return f"arn:{partition}:sqs:{region}:{account}:{name}"


def _policy(rule_arn: str, queue_arn: str) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "OnlyThisRuleMayWrite",
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": queue_arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
            }
        ],
    }


def _key(subscription_id: str) -> Item:
    return {"pk": f"N#{subscription_id}", "sk": "SUBSCRIPTION"}


def _owner_key(owner: str) -> str:
    return f"N#{owner}"


def _write(subscription: Subscription) -> Item:
    return {
        **_key(subscription.subscription_id),
        "owner": subscription.owner,
        "session_ids": list(subscription.session_ids),
        "kinds": [str(kind) for kind in subscription.kinds],
        "created_at": decimal(subscription.created_at),
        "owner_key": _owner_key(subscription.owner),
        "owner_sort": f"{subscription.created_at:017.6f}#{subscription.subscription_id}",
        "due_key": _DUE,
        "due_at": decimal(subscription.stale_at),
        "expires_at": int(subscription.stale_at) + ITEM_GRACE_SECONDS,
    }


def _read(item: Item) -> Subscription:
    return Subscription(
        subscription_id=item["pk"].removeprefix("N#"),
        owner=item["owner"],
        session_ids=tuple(item["session_ids"]),
        kinds=tuple(EventKind(kind) for kind in item["kinds"]),
        created_at=float(item["created_at"]),
        stale_at=float(item["due_at"]),
    )
