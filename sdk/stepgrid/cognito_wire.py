"""The wire to Cognito: one JSON request, repeated until it is answered or refused.

Without boto3, whose debug log shows whole requests: these hold passwords and tokens. An error names
what Cognito called the refusal, never its text, which may quote what was sent.
"""

import json
import random
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import requests

from stepgrid_core.errors import Unavailable

from .http_client import describe_failure, open_client, time_limits
from .retry import Clock, SystemClock, Transient, persist

#: Of one call with all its repetitions.
CALL_SECONDS = 20.0
#: Cognito's two services, as their requests name them.
USERS = "AWSCognitoIdentityProviderService"
IDENTITIES = "AWSCognitoIdentityService"

THROTTLED = ("TooManyRequestsException", "LimitExceededException", "ThrottlingException")


class Refusal(Exception):
    """Cognito refused a call. code: its name for the reason. advice: what a person may be told."""

    def __init__(self, operation: str, code: str, advice: str = "") -> None:
        super().__init__(f"Cognito {operation}: {code}")
        self.code = code
        self.advice = advice


class Calls(Protocol):
    """How calls of one service are made: by Wire, or by a client that a program brings."""

    def call(self, operation: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer. Raises Refusal, or Unavailable if there is none."""

    def close(self) -> None: ...


class Wire:
    """Calls of one of the two services."""

    def __init__(
        self,
        service: str,
        url: str,
        *,
        auth: Any = None,
        clock: Clock | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """service: USERS or IDENTITIES. url: of it. auth: what signs, None for the open calls."""
        self._service = service
        self._url = url
        self._auth = auth
        self._clock = clock or SystemClock()
        self._jitter = jitter
        self._client = open_client(url, connections=2)

    def call(self, operation: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """See Calls.call."""
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"{self._service}.{operation}",
        }

        def attempt(left_seconds: float) -> dict[str, Any]:
            try:
                response = self._client.post(
                    f"{self._url}/",
                    data=json.dumps(body),
                    headers=headers,
                    auth=self._auth,
                    timeout=time_limits(left_seconds),
                    allow_redirects=False,
                )
            except requests.RequestException as error:
                hint = f"is {self._url} up?"
                raise describe_failure(error, f"Cognito {operation}", hint) from None
            return _read_answer(operation, response.status_code, response.content)

        return persist(attempt, self._clock, CALL_SECONDS, self._jitter)

    def close(self) -> None:
        """Close idle connections."""
        self._client.close()


def _read_answer(operation: str, status: int, content: bytes) -> dict[str, Any]:
    """Raises Refusal, or Transient where another attempt may help."""
    try:
        answer = json.loads(content or b"{}")  # some calls have nothing to say
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or status >= 500:
        raise Transient(Unavailable(f"Cognito {operation}: HTTP {status}; try again later"))
    if status < 300:
        return answer
    code = str(answer.get("__type", "")).rpartition("#")[2] or f"HTTP {status}"
    if code in THROTTLED:
        raise Transient(Unavailable(f"Cognito {operation}: {code}; try again later"))
    # The one text that a person needs, and which quotes nothing: the password policy.
    advice = str(answer.get("message", "")) if code == "InvalidPasswordException" else ""
    raise Refusal(operation, code, advice)
