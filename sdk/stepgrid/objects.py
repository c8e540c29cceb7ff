"""Payload objects by presigned URL: bytes up, bytes down, and away.

The URL itself is the permission, so nothing is signed here. It knows neither the API nor what is in
the bytes.
"""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

import requests

from stepgrid_core.errors import ConfigurationError, NotFound, Unavailable

from .http_client import describe_failure, open_client, time_limits
from .request_counts import RequestCounts
from .retry import Clock, SystemClock, Transient, persist

#: Of one object with all repetitions: a part of 16 MiB over a slow line takes its time.
DEFAULT_TIMEOUT_SECONDS = 300.0
#: Whoever removes something is mostly on the way to raise an error.
DELETE_TIMEOUT_SECONDS = 5.0
#: Taken from a connection at once: in requests' own pieces of 10 KB a download costs four times
#: the processor's time.
READ_BYTES = 1024 * 1024
#: Presigned URLs live for an hour, but no longer than the credentials that made them: S3 answers
#: 403 in the one case and 400 in the other.
_REFUSED = (400, 403)


class LinkRefused(Unavailable):
    """A presigned URL is not valid, mostly because it expired; a new one may be."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Objects(Protocol):
    """Where presigned URLs lead: to S3, or into memory (stepgrid.testing)."""

    def put(self, url: str, data: bytes) -> str:
        """Store the bytes; answers their ETag. Raises LinkRefused, Unavailable."""

    def get(self, url: str, byte_range: tuple[int, int] | None = None) -> bytes:
        """The bytes, or a range of them: first byte and length.

        Raises LinkRefused, NotFound, Unavailable.
        """

    def delete(self, url: str) -> None:
        """Remove what expires anyway: tried for a moment. Raises as `get`."""


class HttpObjects:
    """Objects over HTTPS."""

    def __init__(
        self,
        endpoint: str,
        connections: int,
        *,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        clock: Clock | None = None,
        jitter: Callable[[], float] = random.random,
        counts: RequestCounts | None = None,
    ) -> None:
        """endpoint: of the grid; one on loopback has its payload store there as well.

        counts: where each attempt is counted.
        """
        self._client = open_client(endpoint, connections, (counts or RequestCounts()).count_object)
        self._timeout_seconds = timeout_seconds
        self._clock = clock or SystemClock()
        self._jitter = jitter
        self._closed = False

    def put(self, url: str, data: bytes) -> str:
        """See Objects.put."""
        return self._request("PUT", url, data).headers.get("ETag", "")

    def get(self, url: str, byte_range: tuple[int, int] | None = None) -> bytes:
        """See Objects.get."""
        if byte_range is None:
            return self._request("GET", url, None).body
        first, length = byte_range
        asked = {"Range": f"bytes={first}-{first + length - 1}"}
        answer = self._request("GET", url, None, asked)
        whole = answer.status != HTTPStatus.PARTIAL_CONTENT  # HTTP allows it
        return answer.body[first : first + length] if whole else answer.body

    def delete(self, url: str) -> None:
        """See Objects.delete."""
        self._request("DELETE", url, None, most_seconds=DELETE_TIMEOUT_SECONDS)

    def close(self) -> None:
        """Close idle connections, and give up what is being repeated.

        Python joins the transfer threads at its end: they must not hold it up.
        """
        self._closed = True
        self._client.close()

    def _request(
        self,
        method: str,
        url: str,
        data: bytes | None,
        headers: Mapping[str, str] | None = None,
        most_seconds: float = math.inf,
    ) -> _Answer:
        def attempt(left_seconds: float) -> _Answer:
            return self._attempt(method, url, data, headers, left_seconds)

        seconds = min(most_seconds, self._timeout_seconds)
        return persist(attempt, self._clock, seconds, self._jitter)

    def _attempt(
        self,
        method: str,
        url: str,
        data: bytes | None,
        headers: Mapping[str, str] | None,
        left_seconds: float,
    ) -> _Answer:
        what = f"{method} {_without_signature(url)}"
        if self._closed:
            raise ConfigurationError(f"{what}: the Grid was closed; make another one")
        try:
            with self._client.request(
                method,
                url,
                data=data,
                headers=headers,
                auth=_unsigned,
                timeout=time_limits(left_seconds),
                allow_redirects=False,
                stream=True,
            ) as response:
                body = b"".join(response.iter_content(READ_BYTES))
        except requests.RequestException as error:
            hint = "the payload store did not answer; try again"
            raise describe_failure(error, what, hint) from None  # its text holds the signature
        _check_status(response.status_code, what)
        return _Answer(response.status_code, response.headers, body)


def _unsigned(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keeps requests from taking a password for this host out of ~/.netrc."""
    return request


def _without_signature(url: str) -> str:
    """A presigned URL lets everybody in who reads it in a log."""
    return url.partition("?")[0]


def _check_status(status: int, what: str) -> None:
    if 200 <= status < 300:
        return
    if status in _REFUSED:
        raise LinkRefused(f"{what}: the payload store refused the presigned URL (HTTP {status})")
    if status == 404:
        raise NotFound(f"{what}: there is no such object; its session may have expired")
    failure = Unavailable(f"{what}: the payload store answered HTTP {status}; try again")
    if status == 429 or status >= 500:
        raise Transient(failure)
    raise failure
