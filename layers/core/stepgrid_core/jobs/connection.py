"""An HTTP connection to an address that was looked at, and that can be given up from outside.

The name is resolved once, each of its addresses is checked, and the connection goes to the checked
number, not to the name: what the name leads to a moment later does not matter. Certificate, SNI and
Host stay the name's. Proxies of the environment are not used.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue

from .addresses import IpAddress
from .limits import StagingLimits

#: Addresses of a host that are tried, one after the other, within the time for a connection.
_MAX_TRIED = 4

#: The addresses of a host, as text.
Resolve = Callable[[str, int], Sequence[str]]
IsAllowed = Callable[[IpAddress], bool]


class FetchFailed(Exception):
    """An input can't be had; the message says why, after the input's name."""


def resolve_by_system(host: str, port: int) -> list[str]:
    """Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[4][0]) for address in found]


class Dialer:
    """Opens sockets to hosts whose addresses are all allowed."""

    def __init__(self, limits: StagingLimits, is_allowed: IsAllowed, resolve: Resolve) -> None:
        self._limits = limits
        self._is_allowed = is_allowed
        self._resolve = resolve

    def dial(self, host: str, port: int, trusted: bool) -> socket.socket:
        """Raises FetchFailed, and OSError. The address of a trusted host may be any."""
        numbers = list(dict.fromkeys(self._look_up(host, port)))
        if not trusted:
            self._check(host, numbers)
        failure = OSError(f"{host} has no address")
        tried = numbers[:_MAX_TRIED]
        for number in tried:
            try:
                seconds = self._limits.connect_seconds / len(tried)
                found = socket.create_connection((number, port), seconds)
            except OSError as error:
                failure = error
                continue
            if not trusted:
                self._check_peer(host, found)
            return found
        raise failure

    def _check_peer(self, host: str, found: socket.socket) -> None:
        """Before any byte is sent: to whom did the system connect?"""
        try:
            self._check(host, [str(found.getpeername()[0])])
        except (FetchFailed, OSError):
            found.close()
            raise

    def _check(self, host: str, numbers: Sequence[str]) -> None:
        for number in numbers:
            if not self._is_allowed(ipaddress.ip_address(number)):
                leads = "" if number == host else f" leads to {number}, which"
                raise FetchFailed(f"{host}{leads} is no public address")

    def _look_up(self, host: str, port: int) -> Sequence[str]:
        """In a thread of its own: the system's resolver knows no timeout that we could set."""
        answers: SimpleQueue[Sequence[str] | Exception] = SimpleQueue()

        def ask() -> None:
            try:
                answers.put(self._resolve(host, port))
            except Exception as error:  # raised where the answer is awaited
                answers.put(error)

        threading.Thread(target=ask, daemon=True).start()
        try:
            answer = answers.get(timeout=self._limits.connect_seconds)
        except Empty:
            raise FetchFailed(f"the name {host} was not resolved in time") from None
        if isinstance(answer, UnicodeError | OSError):
            raise FetchFailed(f"the name {host} can't be resolved")
        if isinstance(answer, Exception):
            raise answer
        return answer


class VettedConnection(http.client.HTTPConnection):
    """One request. `abort` ends it from any thread, whatever it waits for."""

    def __init__(
        self, scheme: str, host: str, port: int | None, open_socket: Callable[[], socket.socket]
    ) -> None:
        self._secure = scheme == "https"
        # It decides whether the Host header names the port.
        self.default_port = 443 if self._secure else 80
        super().__init__(host, port)
        self._open_socket = open_socket
        self._wire: socket.socket | None = None
        self._aborted = False

    def connect(self) -> None:
        self._wire = sock = self._open_socket()
        if self._secure:
            context = ssl.create_default_context()
            self._wire = sock = context.wrap_socket(
                sock, server_hostname=self.host, do_handshake_on_connect=False
            )
            self._check_aborted()
            sock.do_handshake()
        self._check_aborted()
        self.sock = sock

    def _check_aborted(self) -> None:
        if self._aborted:
            raise OSError("given up")

    def abort(self) -> None:
        """Whoever reads or writes finds the connection ended."""
        self._aborted = True
        if self._wire is not None:
            with suppress(OSError):
                # Not SSLSocket's own, which would first take the encryption away.
                socket.socket.shutdown(self._wire, socket.SHUT_RDWR)

    def close(self) -> None:
        super().close()
        if self._wire is not None:  # also where the handshake failed
            self._wire.close()
