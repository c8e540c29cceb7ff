"""The route /socket.io/ behind an HTTP server on this machine, for real clients.

The server can be stopped and started again on its port, with the state that the tables have kept:
that is what every invocation of a function finds.
"""

from __future__ import annotations

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.unit.socket_world import SocketWorld


class Stopped(ConnectionError):
    """The server ends while a poll waits."""


class StoppableClock:
    """This machine's time; who sleeps is woken when the server ends."""

    def __init__(self) -> None:
        self.stopped = threading.Event()

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        if self.stopped.wait(seconds):
            raise Stopped


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, world: SocketWorld) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.world = world
        self.connections: list[socket.socket] = []

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self.connections.append(connection)
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no error of the server."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.world.request(self.command, query, body, headers, parts.path)
        self.send_response(int(answer.status))
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.data)))
        self.end_headers()
        self.wfile.write(answer.data)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Tests are quiet."""


class SocketBench:
    """A world that can be reached over HTTP."""

    def __init__(self) -> None:
        self._clock = StoppableClock()
        self.world = SocketWorld(self._clock)
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._clock.stopped.clear()
        self._server = _Server(self.port, self.world)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def stop(self) -> None:
        """Also of requests that wait: their clients see the connection end."""
        self._clock.stopped.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for connection in self._server.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # ended by itself
                continue

    def replace(self, world: SocketWorld) -> None:
        """The next request is answered by this one."""
        self.world = self._server.world = world
