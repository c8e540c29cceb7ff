"""The Broker port on Lambda, which a local server plays: questions there, answers back."""

import json
from typing import Any

import pytest

from stepgrid_core.aws.broker_caller import AwsBroker
from stepgrid_core.container.broker_rows import Desk
from stepgrid_core.errors import InvalidRequest, NotFound, Unavailable

from .test_function_caller import StubLambda, stub

__all__ = ["stub"]

WHO = {"session_id": "s", "ticket": "t", "container": "c"}


def answering(stub: StubLambda, answer: Any, **headers: str) -> AwsBroker:
    body = json.dumps(answer).encode()
    stub.reply = lambda _: (200, headers, body)
    return AwsBroker("grid-broker")


def test_a_question_is_an_invocation_of_the_broker(stub: StubLambda) -> None:
    """Which waits for its answer; what is asked arrives as it was."""
    asked: list[bytes] = []
    broker = answering(stub, {})
    stub.reply = lambda body: asked.append(body) or (200, {}, b'{"chunk": 7}')
    assert broker.ask({"action": "claim", "name": "é"}) == {"chunk": 7}
    assert [json.loads(body) for body in asked] == [{"action": "claim", "name": "é"}]
    assert stub.requests == ["/2015-03-31/functions/grid-broker/invocations"]


def test_a_broker_that_failed_is_unavailable(stub: StubLambda) -> None:
    """A timeout or a crash of it: the same question may be asked again."""
    failed = {"X-Amz-Function-Error": "Unhandled"}
    broker = answering(stub, {"errorMessage": "Task timed out after 29.00 seconds"}, **failed)
    with pytest.raises(Unavailable, match="timed out"):
        broker.ask({})
    with pytest.raises(Unavailable, match="no reason"):
        answering(stub, {}, **failed).ask({})


def test_a_broker_that_is_throttled_is_unavailable(stub: StubLambda) -> None:
    """After the repeats of the client."""
    broker = answering(stub, {})
    stub.reply = lambda _: (429, {"X-Amzn-ErrorType": "TooManyRequestsException"}, b"{}")
    with pytest.raises(Unavailable):
        broker.ask({})
    assert len(stub.requests) > 1


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        ("not_found", NotFound),
        ("invalid_request", InvalidRequest),
        ("unavailable", Unavailable),
        ("of a newer broker", InvalidRequest),
    ],
)
def test_a_refusal_is_raised(stub: StubLambda, code: str, raised: type[Exception]) -> None:
    """By its code; one that is not known is a mistake of the container's."""
    broker = answering(stub, {"error": {"code": code, "message": "why"}})
    with pytest.raises(raised, match="why"):
        Desk(broker, WHO).ask("open")


def test_a_desk_says_who_asks(stub: StubLambda) -> None:
    """With each question, and whatever the question is."""
    asked: list[Any] = []
    broker = answering(stub, {})
    stub.reply = lambda body: asked.append(json.loads(body)) or (200, {}, b"{}")
    Desk(broker, WHO).ask("claim", puller=1)
    assert asked == [{**WHO, "action": "claim", "puller": 1}]
