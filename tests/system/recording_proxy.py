"""What stands between clients and the grid in tests: it passes all on, remembers it, may lose it.

It knows HTTP alone. Host headers are passed on as they came: signatures hold for them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECONDS = 60
_OF_ONE_CONNECTION = ("connection", "keep-alive", "transfer-encoding", "content-length", "date")


@dataclass(frozen=True)
class Exchange:
    """A request and what was answered to it."""

    method: str
    path: str  #: with its query
    asked: bytes
    status: int
    answered: bytes
    headers: str


class RecordingProxy:
    def __init__(self, host: str, port: int) -> None:
        """host, port: where the grid is."""
        self.exchanges: list[Exchange] = []
        self._news = threading.Condition()
        self._lost: list[tuple[str, str]] = []
        self._target = (host, port)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def lose_next_answer(self, method: str, ending: str) -> None:
        """The grid carries the request out, and its client sees the connection break."""
        self._lost.append((method, ending))

    def wait_for(self, wanted: Callable[[Exchange], bool], since: int = 0) -> Exchange:
        """The first exchange that is so, now or as soon as there is one; since: how many before."""

        def find() -> Exchange | None:
            return next(filter(wanted, self.exchanges[since:]), None)

        with self._news:
            assert self._news.wait_for(find, SECONDS), "no such exchange"
            found = find()
        assert found is not None
        return found

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _pass_on(self, request: BaseHTTPRequestHandler, asked: bytes) -> Exchange:
        connection = HTTPConnection(*self._target, timeout=SECONDS)
        try:
            headers = {name: value for name, value in request.headers.items() if _stays(name)}
            connection.request(request.command, request.path, asked, headers)
            answer = connection.getresponse()
            content = answer.read()
            told = "".join(f"{name}: {value}\r\n" for name, value in answer.getheaders())
            return Exchange(request.command, request.path, asked, answer.status, content, told)
        finally:
            connection.close()

    def _remember(self, exchange: Exchange) -> bool:
        """False: its answer gets lost."""
        path = exchange.path.partition("?")[0]
        with self._news:
            self.exchanges.append(exchange)
            self._news.notify_all()
            for order in self._lost:
                if exchange.method == order[0] and path.endswith(order[1]):
                    self._lost.remove(order)
                    return False
        return True

    def _handler(proxy) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the handler is `self`
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                asked = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                exchange = proxy._pass_on(self, asked)
                if not proxy._remember(exchange):
                    self.close_connection = True
                    return
                self.send_response_only(exchange.status)
                for line in exchange.headers.splitlines():
                    name, _, value = line.partition(": ")
                    if _stays(name):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(exchange.answered)))
                self.end_headers()
                self.wfile.write(exchange.answered)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:  # the client has gone, perhaps in the middle of a long poll
                    self.close_connection = True

            def log_message(self, format: str, *arguments: Any) -> None:
                """A test has its own output."""

        return Handler


def _stays(header: str) -> bool:
    return header.lower() not in _OF_ONE_CONNECTION
