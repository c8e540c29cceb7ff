"""Fetches one input over HTTP into a file: redirects, limits, digest.

Every hop is checked as the first one is. Bytes go to the file as they arrive, and are kept as they
are sent: nothing is decoded. It knows no job and no folder.
"""

import hashlib
import http.client
import os
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from ..job_urls import check_url
from ..ports import Clock
from .connection import Dialer, FetchFailed, VettedConnection
from .limits import StagingLimits
from .stopping import StopSignal

_READ_BYTES = 256 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HEADERS = {
    "Accept": "*/*",
    "Accept-Encoding": "identity",
    "Connection": "close",
    "User-Agent": "stepgrid",
}


@dataclass(frozen=True, slots=True)
class Fetched:
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Room:
    """What one file may take."""

    size: int  #: bytes
    deadline: float  #: monotonic


class Fetcher:
    """Of one job."""

    def __init__(
        self, dialer: Dialer, limits: StagingLimits, clock: Clock, stop: StopSignal
    ) -> None:
        self._dialer = dialer
        self._limits = limits
        self._clock = clock
        self._stop = stop

    def fetch(self, url: str, file_fd: int, room: Room, trusted: bool = False) -> Fetched:
        """Write what is at `url`. Raises FetchFailed and Stopped.

        trusted: the grid made this address itself, so it may lead anywhere; redirects may not.
        """
        for _ in range(self._limits.redirects + 1):
            if not trusted:
                _check_hop(url)
            answer = self._visit(url, file_fd, room, trusted)
            if isinstance(answer, Fetched):
                return answer
            _check_downgrade(url, answer)
            url, trusted = answer, False
        raise FetchFailed(f"it was redirected more than {self._limits.redirects} times")

    def _visit(self, url: str, file_fd: int, room: Room, trusted: bool) -> Fetched | str:
        """What was written, or where it is said to be."""
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        number = port or (443 if parts.scheme == "https" else 80)

        def open_socket() -> socket.socket:
            found = self._dialer.dial(host, number, trusted)
            found.settimeout(self._limits.read_seconds)
            return found

        connection = VettedConnection(parts.scheme, host, port, open_socket)
        with closing(connection):
            return self._guarded(
                connection, room, lambda: self._ask(connection, parts, url, file_fd, room)
            )

    def _guarded(
        self, connection: VettedConnection, room: Room, ask: Callable[[], Fetched | str]
    ) -> Fetched | str:
        """Ask, but no longer than there is time, and not when the job is to end."""
        left = room.deadline - self._clock.monotonic()
        if left <= 0:
            raise FetchFailed("there was no time left for it")
        timer = threading.Timer(left, connection.abort)
        timer.daemon = True
        with self._stop.on_stop(connection.abort):
            timer.start()
            try:
                return ask()
            except (FetchFailed, OSError, http.client.HTTPException) as error:
                self._stop.check()
                if self._clock.monotonic() >= room.deadline:
                    raise FetchFailed("it took too long") from error
                raise _translate(error) from error
            finally:
                timer.cancel()

    def _ask(
        self,
        connection: VettedConnection,
        parts: SplitResult,
        url: str,
        file_fd: int,
        room: Room,
    ) -> Fetched | str:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers=_HEADERS)
        with closing(connection.getresponse()) as response:
            if response.status in _REDIRECTS:
                return _read_redirect(response, url)
            if response.status != http.client.OK:
                reason = response.reason[:64] if response.reason.isprintable() else ""
                raise FetchFailed(f"the server answered {response.status} {reason}".rstrip())
            return self._save(response, file_fd, room)

    def _save(self, response: http.client.HTTPResponse, file_fd: int, room: Room) -> Fetched:
        expected = _read_length(response)
        if expected is not None and expected > room.size:
            raise FetchFailed(f"it has {expected} bytes, and there is room for {room.size}")
        digest, size = hashlib.sha256(), 0
        while expected is None or size < expected:
            # Not more than that: as much memory is taken, whatever comes.
            wanted = _READ_BYTES if expected is None else min(_READ_BYTES, expected - size)
            block = response.read1(wanted)
            if not block:
                break
            size += len(block)
            if size > room.size:
                raise FetchFailed(f"it has more bytes than there is room for: {room.size}")
            self._check_time(room)
            digest.update(block)
            _write_all(file_fd, block)
        if expected is not None and size != expected:
            raise FetchFailed(f"it ended after {size} of {expected} bytes")
        self._check_time(room)  # an aborted connection looks like an end where no length was told
        return Fetched(size, digest.hexdigest())

    def _check_time(self, room: Room) -> None:
        self._stop.check()
        if self._clock.monotonic() >= room.deadline:
            raise FetchFailed("it took too long")


def _check_hop(url: str) -> None:
    try:
        check_url(url, ("http", "https"))
    except ValueError as error:
        raise FetchFailed(str(error)) from None


def _check_downgrade(before: str, after: str) -> None:
    if before.lower().startswith("https:") and not after.lower().startswith("https:"):
        raise FetchFailed("it was redirected from https to another scheme")


def _read_redirect(response: http.client.HTTPResponse, url: str) -> str:
    location = response.headers.get("Location")
    if not location:
        raise FetchFailed(f"the server answered {response.status} and not where it is")
    try:
        return urljoin(url, location)
    except ValueError:
        raise FetchFailed("it was redirected to no valid URL") from None


def _read_length(response: http.client.HTTPResponse) -> int | None:
    """Bytes that the server says it sends; None where it says it otherwise, or not at all."""
    coding = response.headers.get("Transfer-Encoding")
    if coding is not None:
        if not response.chunked:
            raise FetchFailed("the server sends it in a Transfer-Encoding that is not known")
        return None
    lengths = {value.strip() for value in response.headers.get_all("Content-Length", [])}
    if not lengths:
        return None
    text = lengths.pop()
    if lengths or not (text.isascii() and text.isdigit()):
        raise FetchFailed("the server gave no valid Content-Length")
    return int(text)


def _write_all(file_fd: int, block: bytes) -> None:
    left = memoryview(block)
    while left:
        left = left[os.write(file_fd, left) :]


def _translate(error: Exception) -> FetchFailed:
    if isinstance(error, FetchFailed):
        return error
    if isinstance(error, TimeoutError):
        return FetchFailed("the server was silent for too long")
    if isinstance(error, ssl.SSLError):
        return FetchFailed(f"the server can't be trusted: {error.reason or error}")
    if isinstance(error, http.client.IncompleteRead):
        return FetchFailed("it ended in the middle")
    if isinstance(error, http.client.HTTPException):
        return FetchFailed(f"the server's answer is no HTTP ({type(error).__name__})")
    return FetchFailed(f"{getattr(error, 'strerror', None) or error}")
