"""The contract of the Subscriptions port, and what a subscription is on AWS."""

import json
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from stepgrid_core.aws.subscriptions import AwsSubscriptions
from stepgrid_core.contract import MAX_SUBSCRIBED_SESSIONS
from stepgrid_core.errors import Conflict, NotFound, QuotaExceeded, Unavailable
from stepgrid_core.names import subscription_id
from stepgrid_core.ports import Subscription
from stepgrid_core.session_events import SessionEvent, accepted, progressed, started
from stepgrid_core.states import EventKind

from .aws_stack import STACK_NAME, AwsStack
from .conftest import SubscriptionBench
from .samples import NOW, OTHER_OWNER, OWNER, make_session

FAR = NOW + 1_000_000
NAME = subscription_id(OWNER, "token")


def make_subscription(name: str = NAME, owner: str = OWNER, **changes: object) -> Subscription:
    plain = Subscription(
        subscription_id=name,
        owner=owner,
        session_ids=(),
        kinds=(),
        created_at=NOW + 0.5,
        stale_at=NOW + 3600.5,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def receive(bench: SubscriptionBench, name: str = NAME) -> list[str]:
    """The ids of the events that are there, acknowledged."""
    deliveries = bench.subscriptions.receive(name, 0)
    if deliveries:
        bench.subscriptions.acknowledge(name, [each.receipt for each in deliveries])
    return sorted(each.detail["event_id"] for each in deliveries)


def ids(*events: SessionEvent) -> list[str]:
    return sorted(event.event_id for event in events)


def test_events_arrive_from_the_subscription_on(subscribing: SubscriptionBench) -> None:
    """What was published before is not in it; what comes after is, as the bus carries it."""
    session = make_session()
    subscribing.bus.publish([accepted(session)])
    subscribing.subscriptions.create(make_subscription())
    subscribing.bus.publish([started(session)])
    (delivery,) = subscribing.subscriptions.receive(NAME, 0)
    assert delivery.detail["event_id"] == started(session).event_id
    assert delivery.detail["owner"] == OWNER


def test_events_of_others_stay_out(subscribing: SubscriptionBench) -> None:
    """Each owner's subscription gets its own events alone."""
    other = subscription_id(OTHER_OWNER, "token")
    subscribing.subscriptions.create(make_subscription())
    subscribing.subscriptions.create(make_subscription(other, OTHER_OWNER))
    mine, theirs = accepted(make_session()), accepted(make_session(owner=OTHER_OWNER))
    subscribing.bus.publish([mine, theirs])
    assert receive(subscribing) == ids(mine)
    assert receive(subscribing, other) == ids(theirs)


def test_sessions_and_kinds_filter(subscribing: SubscriptionBench) -> None:
    """Only what was asked for is kept."""
    wanted, unwanted = make_session("wanted"), make_session("unwanted")
    subscribing.subscriptions.create(
        make_subscription(session_ids=(wanted.session_id,), kinds=(EventKind.STARTED,))
    )
    news = [make(session) for session in (wanted, unwanted) for make in (accepted, started)]
    subscribing.bus.publish(news)
    assert receive(subscribing) == ids(started(wanted))


def test_events_that_are_not_acknowledged_are_kept(subscribing: SubscriptionBench) -> None:
    """Acknowledging a part removes that part; unknown receipts change nothing."""
    session = make_session()
    subscribing.subscriptions.create(make_subscription())
    steps = [progressed(session, percent, [], NOW) for percent in range(10, 100, 10)]
    subscribing.bus.publish(steps)
    subscribing.bus.publish([accepted(session), started(session)])
    first = subscribing.subscriptions.receive(NAME, 0)
    assert len(first) == 10
    subscribing.subscriptions.acknowledge(NAME, [*(each.receipt for each in first[1:]), "other"])
    (rest,) = subscribing.subscriptions.receive(NAME, 0)
    assert rest.detail["event_id"] not in {each.detail["event_id"] for each in first}


def test_a_subscription_is_found_as_it_was_made(subscribing: SubscriptionBench) -> None:
    """With its filters, owner and times; another of the same id does not replace it."""
    made = make_subscription(session_ids=("a", "b"), kinds=(EventKind.FINISHED, EventKind.FAILED))
    assert subscribing.subscriptions.create(made) == made
    assert subscribing.subscriptions.create(make_subscription(created_at=FAR)) == made
    assert subscribing.subscriptions.find(NAME) == made


def test_creating_again_keeps_what_is_in_it(subscribing: SubscriptionBench) -> None:
    """A repeated request, whose answer got lost, loses no event."""
    subscribing.subscriptions.create(make_subscription())
    event = accepted(make_session())
    subscribing.bus.publish([event])
    subscribing.subscriptions.create(make_subscription())
    assert receive(subscribing) == ids(event)


def test_what_is_deleted_is_gone(subscribing: SubscriptionBench) -> None:
    """Deleting again is no error, nor is keeping it; only asking it for events is."""
    subscriptions = subscribing.subscriptions
    subscriptions.create(make_subscription())
    for _ in range(2):
        subscriptions.delete(NAME)
        subscriptions.keep(NAME, FAR)
        subscriptions.acknowledge(NAME, ["receipt"])
        assert subscriptions.find(NAME) is None
        assert subscriptions.stale(FAR, 10) == []
        with pytest.raises(NotFound):
            subscriptions.receive(NAME, 0)


def test_subscriptions_are_counted_by_owner(subscribing: SubscriptionBench) -> None:
    """For the quota."""
    for token in ("a", "b"):
        subscribing.subscriptions.create(make_subscription(subscription_id(OWNER, token)))
    assert subscribing.subscriptions.count(OWNER) == 2
    assert subscribing.subscriptions.count(OTHER_OWNER) == 0


def test_unused_subscriptions_become_stale(subscribing: SubscriptionBench) -> None:
    """Not before their time, and not while they are kept."""
    subscriptions = subscribing.subscriptions
    made = subscriptions.create(make_subscription())
    assert subscriptions.stale(made.stale_at - 0.1, 10) == []
    assert subscriptions.stale(made.stale_at, 10) == [NAME]
    subscriptions.keep(NAME, FAR)
    assert subscriptions.stale(FAR - 1, 10) == []
    assert subscriptions.find(NAME) == replace(made, stale_at=FAR)


# --- on AWS ---------------------------------------------------------------------------------------


@pytest.fixture
def on_aws(stack: AwsStack) -> AwsSubscriptions:
    stack.create_table()
    stack.create_bus()
    return AwsSubscriptions(stack.settings())


def test_a_queue_is_encrypted_short_lived_and_fed_by_one_rule(on_aws: AwsSubscriptions) -> None:
    """Its policy lets this rule write, and nobody else."""
    on_aws.create(make_subscription())
    sqs, events = boto3.client("sqs"), boto3.client("events")
    name = f"{STACK_NAME}-events-{NAME}"
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert found["SqsManagedSseEnabled"] == "true"
    assert found["MessageRetentionPeriod"] == "3600"
    (statement,) = json.loads(found["Policy"])["Statement"]
    rule = events.describe_rule(Name=name, EventBusName=STACK_NAME)
    assert statement["Effect"] == "Allow"
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Action"] == "sqs:SendMessage"
    assert statement["Resource"] == found["QueueArn"]
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": rule["Arn"]}}
    assert json.loads(rule["EventPattern"]) == {
        "source": ["stepgrid"],
        "detail": {"owner": [OWNER]},
    }
    (target,) = events.list_targets_by_rule(Rule=name, EventBusName=STACK_NAME)["Targets"]
    assert target["Arn"] == found["QueueArn"]


def test_nothing_of_a_deleted_subscription_is_left(on_aws: AwsSubscriptions) -> None:
    """Neither queue nor rule nor item, also if it was left half made."""
    sqs, events = boto3.client("sqs"), boto3.client("events")
    on_aws.create(make_subscription())
    half = subscription_id(OWNER, "half")
    on_aws.create(make_subscription(half))
    name = f"{STACK_NAME}-events-{half}"
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"])
    for each in (NAME, half):
        on_aws.delete(each)
    assert sqs.list_queues().get("QueueUrls", []) == []
    assert events.list_rules(EventBusName=STACK_NAME)["Rules"] == []
    assert on_aws.stale(FAR, 10) == []


def test_names_fit_however_long_the_stack_is_called() -> None:
    """A rule's name has at most 64 characters; the template limits a stack's to 29."""
    assert len("s" * 29 + "-events-" + NAME) <= 64


@pytest.mark.parametrize(
    ("owner", "session_ids", "by_session"),
    [
        ("arn:aws:sts::123456789012:assumed-role/" + "r" * 64 + "/" + "p" * 64, "0" * 36, True),
        ("arn:aws:iam::123456789012:user/" + "p" * 512 + "/" + "u" * 64, "\U0001f600" * 128, False),
    ],
    ids=["sessions", "whatever a caller may send"],
)
def test_the_longest_pattern_fits(
    on_aws: AwsSubscriptions, owner: str, session_ids: str, by_session: bool
) -> None:
    """A pattern has at most 2,048 characters: sessions that don't fit in are left out of it."""
    longest = make_subscription(
        owner=owner,
        session_ids=tuple(
            f"{number:02}{session_ids[2:]}" for number in range(MAX_SUBSCRIBED_SESSIONS)
        ),
        kinds=tuple(EventKind),
    )
    on_aws.create(longest)
    rule = {"Name": f"{STACK_NAME}-events-{NAME}", "EventBusName": STACK_NAME}
    pattern = boto3.client("events").describe_rule(**rule)["EventPattern"]
    assert len(pattern) <= 2_048
    assert json.loads(pattern)["detail"]["owner"] == [owner]
    assert ("session_id" in json.loads(pattern)["detail"]) is by_session


class Refusing:
    """A client of AWS whose one operation is answered with an error."""

    def __init__(self, service: Any, operation: str, code: str) -> None:
        self._client = boto3.client(service)
        self._operation = operation
        self._code = code

    def __getattr__(self, name: str) -> Any:
        return self._refuse if name == self._operation else getattr(self._client, name)

    def _refuse(self, **request: object) -> None:
        raise ClientError({"Error": {"Code": self._code}}, self._operation)


def test_a_full_bus_is_a_quota(on_aws: AwsSubscriptions) -> None:
    """EventBridge's own limit of rules is told as such, and what was begun is removed."""
    on_aws.__dict__["_events"] = Refusing("events", "put_rule", "LimitExceededException")
    with pytest.raises(QuotaExceeded):
        on_aws.create(make_subscription())
    assert on_aws.find(NAME) is None


def test_a_token_is_not_good_for_a_second_queue_at_once(on_aws: AwsSubscriptions) -> None:
    """SQS keeps the name of a deleted queue for a minute; what was begun is removed."""
    code = "AWS.SimpleQueueService.QueueDeletedRecently"
    on_aws.__dict__["_sqs"] = Refusing("sqs", "create_queue", code)
    with pytest.raises(Conflict, match="new token"):
        on_aws.create(make_subscription())
    assert on_aws.find(NAME) is None
    assert boto3.client("events").list_rules(EventBusName=STACK_NAME)["Rules"] == []


def test_requests_that_meet_in_a_rule_are_repeated(on_aws: AwsSubscriptions) -> None:
    """EventBridge refuses one of two changes of a rule: that is no fault of the deployment."""
    for operation, change in (
        ("put_targets", lambda: on_aws.create(make_subscription())),
        ("remove_targets", lambda: on_aws.delete(NAME)),
    ):
        refusing = Refusing("events", operation, "ConcurrentModificationException")
        on_aws.__dict__["_events"] = refusing
        with pytest.raises(Unavailable, match="busy"):
            change()
