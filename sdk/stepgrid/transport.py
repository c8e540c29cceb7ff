"""The wire: one signed HTTPS request of the `/v1` API, repeated until it is answered.

    Api ── Transport.request ──▶ sign (SigV4) ──▶ API Gateway
                 ▲                                    │ 2xx          the JSON object
                 │                                    │ 4xx          an error of the shared tree
                 `────── pause, with jitter ──────────┘ 429, 5xx, broken connections

Every request of the API may be repeated: submits by their client_token, cancels and deletes because
doing it twice is the same as once. This module knows no route and no model.
"""

import json
import random
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import requests
from botocore.exceptions import BotoCoreError
from requests_aws4auth import AWS4Auth

from stepgrid_core.errors import (
    REQUEST_ERRORS,
    AccessDenied,
    ConfigurationError,
    InvalidRequest,
    QuotaExceeded,
    RequestError,
    StepgridError,
    Unavailable,
)

from .http_client import describe_failure, open_client, time_limits
from .request_counts import RequestCounts
from .retry import Clock, SystemClock, Transient, persist

#: Of one call with all its repetitions.
DEFAULT_TIMEOUT_SECONDS = 60.0
#: Calls that may be under way at once without a new connection for each.
CONNECTIONS = 16
SERVICE = "execute-api"

Query = Mapping[str, str | float]

_BY_STATUS = {kind.status: kind for kind in REQUEST_ERRORS.values()}


class Transport(Protocol):
    """How requests reach the grid: over HTTPS, or in memory (stepgrid.testing)."""

    def request(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: bytes | None = None,
        timeout_seconds: float | None = None,
        *,
        held_seconds: float = 0.0,
    ) -> dict[str, Any]:
        """The JSON object that the grid answers.

        method, path: as in the contract, for example "GET" and "/v1/workers"; ids in it are
        percent-encoded. query: parameters to add. body: JSON text in UTF-8. timeout_seconds: of the
        call with all its repetitions, where that is to be less than what the transport allows.
        held_seconds: how long the grid was asked to hold its answer; the transport allows as much
        more.

        Raises RequestError, Unavailable, DeadlineExceeded or ConfigurationError.
        """


class HttpTransport:
    """The Transport over HTTPS, signed with Signature Version 4."""

    def __init__(
        self,
        endpoint: str,
        region: str,
        credentials: Any,
        *,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        clock: Clock | None = None,
        jitter: Callable[[], float] = random.random,
        counts: RequestCounts | None = None,
    ) -> None:
        """endpoint: base address, up to and with `/v1`.

        credentials: botocore's; None signs nothing, for the two routes that need no signature.
        counts: where each attempt is counted.
        """
        self._base = endpoint.rstrip("/").removesuffix("/v1")
        self._region = region
        self._credentials = credentials
        self._timeout_seconds = timeout_seconds
        self._clock = clock or SystemClock()
        self._jitter = jitter
        self._client = open_client(endpoint, CONNECTIONS, (counts or RequestCounts()).count_api)
        self._local = threading.local()

    def request(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: bytes | None = None,
        timeout_seconds: float | None = None,
        *,
        held_seconds: float = 0.0,
    ) -> dict[str, Any]:
        """See Transport.request."""

        def attempt(left_seconds: float) -> dict[str, Any]:
            return self._attempt(method, path, query, body, left_seconds)

        limit = self._timeout_seconds + held_seconds
        seconds = limit if timeout_seconds is None else min(timeout_seconds, limit)
        return persist(attempt, self._clock, seconds, self._jitter)

    def close(self) -> None:
        """Close idle connections."""
        self._client.close()

    def _attempt(
        self,
        method: str,
        path: str,
        query: Query | None,
        body: bytes | None,
        left_seconds: float,
    ) -> dict[str, Any]:
        try:
            response = self._client.request(
                method,
                self._base + path,
                params=query,
                data=body,
                headers={"Content-Type": "application/json"} if body is not None else None,
                auth=self._auth() if self._credentials is not None else None,
                timeout=time_limits(left_seconds),
                allow_redirects=False,  # a signature holds for one address
            )
        except requests.RequestException as error:
            hint = f"is {self._base} the grid's endpoint, and is it up?"
            raise describe_failure(error, f"{method} {path}", hint) from error
        except BotoCoreError as error:
            raise ConfigurationError(f"the AWS credentials can't be used: {error}") from error
        retry_after = response.headers.get("Retry-After", "")
        return read_answer(response.status_code, response.content, f"{method} {path}", retry_after)

    def _auth(self) -> AWS4Auth:
        """One for each thread: AWS4Auth keeps what it is signing in itself."""
        auth: AWS4Auth | None = getattr(self._local, "auth", None)
        if auth is None:
            auth = self._local.auth = AWS4Auth(
                region=self._region, service=SERVICE, refreshable_credentials=self._credentials
            )
        return auth


def read_answer(status: int, content: bytes, what: str, retry_after: str = "") -> dict[str, Any]:
    """The object of a 2xx answer. Raises what any other answer means; Transient where it may pass.

    what: the request, for messages. retry_after: the header, if there was one.
    """
    answer = _json_object(content)
    if _is_quota(answer):  # waiting may help, but how long is the caller's choice
        raise _refusal(status, answer, what)
    if status == 429 or status >= 500:
        raise Transient(_busy(status, answer, what), _seconds(retry_after))
    if status >= 400:
        raise _refusal(status, answer, what)
    if answer is None or status >= 300:
        raise Unavailable(
            f"{what}: HTTP {status} and not the JSON of a grid; is the endpoint a grid's?"
        )
    return answer


def _json_object(content: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(content)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _is_quota(answer: dict[str, Any] | None) -> bool:
    error = _grid_error(answer)
    return error is not None and error.get("code") == QuotaExceeded.code


def _busy(status: int, answer: dict[str, Any] | None, what: str) -> StepgridError:
    return Unavailable(f"{what}: HTTP {status}, {_reason(answer)}; send it again later")


def _refusal(status: int, answer: dict[str, Any] | None, what: str) -> RequestError:
    error = _grid_error(answer)
    kind = _BY_STATUS.get(status, InvalidRequest)
    if error is not None:
        kind = REQUEST_ERRORS.get(str(error.get("code")), kind)
        return kind(_message(error, answer), error.get("details"))
    if kind is AccessDenied:
        return AccessDenied(
            f"{what} was refused before it reached the grid: {_reason(answer)}; check the "
            "credentials, their policy (execute-api:Invoke) and the endpoint"
        )
    return kind(f"{what}: HTTP {status}, {_reason(answer)}")


def _grid_error(answer: dict[str, Any] | None) -> dict[str, Any] | None:
    """The error of our own API; None if something in front of it answered."""
    error = (answer or {}).get("error")
    return error if isinstance(error, dict) else None


def _message(error: dict[str, Any], answer: dict[str, Any] | None) -> str:
    request_id = (answer or {}).get("request_id")
    message = str(error.get("message") or error.get("code") or "no reason was given")
    return f"{message} (request_id {request_id})" if request_id else message


def _reason(answer: dict[str, Any] | None) -> str:
    """What our API, API Gateway or whoever else answered says of the reason."""
    error = _grid_error(answer)
    if error is not None:
        return _message(error, answer)
    answer = answer or {}
    return str(answer.get("message") or answer.get("Message") or "no reason was given")[:500]


def _seconds(retry_after: str) -> float:
    """AWS says it in seconds; the form with a date is taken as not said."""
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0
