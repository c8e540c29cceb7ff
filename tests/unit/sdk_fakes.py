"""What the SDK's tests put in the place of AWS: a clock, a grid in memory, and an HTTP server."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from stepgrid import Grid, Session
from stepgrid.objects import LinkRefused
from stepgrid.testing import InMemoryGrid
from stepgrid.testing.runner import Handler
from stepgrid.testing.transport import MemoryObjects, MemoryTransport
from stepgrid_core.invocation import Invocation, facts_of

OWNER = "arn:aws:iam::000000000000:user/alice"


class FakeClock:
    """Time that passes only by sleeping; `slept` says how."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass(frozen=True)
class Sent:
    """A request as the transport was given it."""

    method: str
    path: str
    query: dict[str, Any]
    body: Any
    timeout_seconds: float | None = None
    held_seconds: float = 0.0


@dataclass
class RecordingTransport:
    """The real routes of a grid in memory; keeps what was asked, and may do something before."""

    memory: InMemoryGrid
    sent: list[Sent] = field(default_factory=list)
    before: Callable[[Sent], None] = lambda sent: None

    def __post_init__(self) -> None:
        self._inner = MemoryTransport(self.memory, OWNER)

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | float] | None = None,
        body: bytes | None = None,
        timeout_seconds: float | None = None,
        *,
        held_seconds: float = 0.0,
    ) -> dict[str, Any]:
        content = json.loads(body) if body else None
        sent = Sent(method, path, dict(query or {}), content, timeout_seconds, held_seconds)
        with self.memory.lock:
            self.sent.append(sent)
            self.before(sent)
            return self._inner.request(method, path, query, body, timeout_seconds)

    def asked(self, method: str, ending: str) -> list[Sent]:
        return [sent for sent in self.sent if sent.method == method and sent.path.endswith(ending)]


@dataclass
class RecordingObjects:
    """The objects of a grid in memory; each URL is refused as often as `refusals` says."""

    memory: InMemoryGrid
    puts: list[str] = field(default_factory=list)
    gets: list[str] = field(default_factory=list)
    refusals: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    #: given each URL; what they raise is what the client sees
    before_put: Callable[[str], None] = lambda url: None
    after_put: Callable[[str], None] = lambda url: None
    before_delete: Callable[[str], None] = lambda url: None

    def __post_init__(self) -> None:
        self._inner = MemoryObjects(self.memory)

    def put(self, url: str, data: bytes) -> str:
        self._refuse(url)
        self.before_put(url)
        self.puts.append(url)
        etag = self._inner.put(url, data)
        self.after_put(url)
        return etag

    def get(self, url: str, byte_range: tuple[int, int] | None = None) -> bytes:
        self._refuse(url)
        self.gets.append(url)
        return self._inner.get(url, byte_range)

    def delete(self, url: str) -> None:
        self.before_delete(url)
        self._inner.delete(url)

    def _refuse(self, url: str) -> None:
        if self.refused[url] < self.refusals:
            self.refused[url] += 1
            raise LinkRefused(f"{url} has expired")


def square(event: Any, context: Any) -> Any:
    """The worker of most tests: fails where it is asked to."""
    if event == "fail":
        raise ValueError("no square of that")
    if isinstance(event, dict):
        return event
    return event * event


class World:
    """A grid in memory with a client whose requests are recorded."""

    def __init__(
        self,
        worker: Handler = square,
        autorun: bool = True,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.memory = InMemoryGrid({"square": worker}, autorun=autorun, settings=settings)
        self.transport = RecordingTransport(self.memory)
        self.objects = RecordingObjects(self.memory)
        self.grid = Grid(transport=self.transport, objects=self.objects, clock=self.memory.clock)

    def run_chunk(self, chunk: int) -> None:
        """One chunk of the session that was submitted first, where nothing runs by itself."""
        dispatch = self.memory.dispatcher.started[0]
        lines = dispatch.lines[chunk] if dispatch.lines else None
        token = f"token-{chunk}"
        self.memory.executions.invoke(Invocation(facts_of(dispatch.session), chunk, token, lines))


def running_session(count: int, **options: Any) -> tuple[World, Session, Callable[[int], None]]:
    """A session of which nothing runs until the third value is called with a chunk's number."""
    world = World(autorun=False)
    session = world.grid.submit("square", range(count), **options)
    return world, session, world.run_chunk


def run_at_each_look(world: World, steps: Iterator[Any]) -> None:
    """Do the next step of the work whenever the client waits for news."""

    def before(sent: Sent) -> None:
        if "wait" in sent.query:
            next(steps, None)

    world.transport.before = before


@dataclass(frozen=True)
class Reply:
    """What the HTTP server answers once."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    breaks: bool = False  #: the connection ends without an answer
    hangs: bool = False  #: there is no answer until the server is stopped


@dataclass(frozen=True)
class Received:
    method: str
    target: str  #: path and query as they were on the wire
    headers: Mapping[str, str]
    body: bytes


class ScriptedServer:
    """An HTTP server on loopback that answers from a script, then goes on with the last answer."""

    def __init__(self, script: list[Reply]) -> None:
        self.script = list(script)
        self.received: list[Received] = []
        self.released = threading.Event()
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def next_reply(self) -> Reply:
        with self._lock:
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body leave together

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                server.received.append(Received(self.command, self.path, headers, body))
                reply = server.next_reply()
                if reply.hangs:
                    server.released.wait()
                if reply.hangs or reply.breaks:
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - http.server's names

            def log_message(self, format: str, *args: Any) -> None:
                """Says nothing."""

        return Handler

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        return thread

    def stop(self, thread: threading.Thread) -> None:
        self.released.set()
        self._http.shutdown()
        thread.join()
        self._http.server_close()


@contextmanager
def serving(*script: Reply) -> Iterator[ScriptedServer]:
    server = ScriptedServer(list(script))
    thread = server.start()
    try:
        yield server
    finally:
        server.stop(thread)
