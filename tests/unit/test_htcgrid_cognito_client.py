"""The boto3 client that a program brings for its login."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from stepgrid import Unavailable
from stepgrid.cognito_wire import Refusal
from stepgrid.htcgrid.cognito_client import ClientCalls

SECRET = "correct horse"


class Client:
    """Answers initiate_auth as it was told."""

    def __init__(self, answer: dict[str, Any] | Exception) -> None:
        self.answer = answer

    def initiate_auth(self, **parameters: Any) -> dict[str, Any]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return {**self.answer, "asked": parameters}


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": SECRET}}, "InitiateAuth")


def test_calls_are_methods_of_the_client() -> None:
    """The operation's name in Python's form, its parameters as they are."""
    calls = ClientCalls(Client({"ChallengeName": "X"}))
    answer = calls.call("InitiateAuth", {"ClientId": "c"})
    assert answer == {"ChallengeName": "X", "asked": {"ClientId": "c"}}


@pytest.mark.parametrize(
    ("raised", "kind", "message"),
    [
        (refusal("NotAuthorizedException"), Refusal, "InitiateAuth: NotAuthorizedException"),
        (refusal("TooManyRequestsException"), Unavailable, "try again later"),
        (EndpointConnectionError(endpoint_url=SECRET), Unavailable, "EndpointConnectionError"),
    ],
)
def test_errors_are_ours_and_quote_nothing(
    raised: Exception, kind: type[Exception], message: str
) -> None:
    """Cognito's name for the reason, without boto3's text."""
    with pytest.raises(kind, match=message) as caught:
        ClientCalls(Client(raised)).call("InitiateAuth", {})
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__
