"""What the tests of jobs share: a runner with a memory desk, and a server that counts."""

import contextlib
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from stepgrid_core.contract import JobSpec
from stepgrid_core.jobs import JobRunner, StagingLimits
from stepgrid_core.memory import MemoryJobDesk
from stepgrid_core.ports import CommonInput, FailedTask, FinishedTasks, TaskOutcome
from stepgrid_core.records import JobRecord
from stepgrid_core.runner_prints import PrintedLine
from tests.task_samples import make_spans

LIMITS = StagingLimits(
    connect_seconds=5,
    read_seconds=5,
    stage_in_seconds=20,
    term_seconds=0.1,
    cancel_stage_out_seconds=10,
)
SESSION = "ses"


class RealClock:
    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class JobBench:
    """One runner; each `run` is one job."""

    def __init__(self, root: Path, desk: MemoryJobDesk | None = None, **options: Any) -> None:
        self.root = root
        self.desk = desk or MemoryJobDesk()
        self.lines: list[PrintedLine] = []
        options = {"limits": LIMITS, "is_allowed_address": lambda address: True, **options}
        clock = options.pop("clock", None) or RealClock()
        self.runner = JobRunner(self.desk, root, clock, on_print=self.lines.append, **options)
        self.runner.permit(3600)

    def begin(self, spec: JobSpec, timeout_seconds: float = 60.0) -> Any:
        common = CommonInput(SESSION, spec.model_dump_json().encode())
        return self.runner.run(make_spans(b'{"index": 0}'), timeout_seconds, common)

    def run(self, spec: JobSpec, timeout_seconds: float = 60.0) -> TaskOutcome:
        outcomes = [one for one in self.begin(spec, timeout_seconds) if one is not None]
        assert len(outcomes) == 1
        return outcomes[0]

    @property
    def record(self) -> JobRecord:
        return self.desk.record(0)

    def output(self, name: str) -> bytes:
        return self.desk.stored[0, name]

    def printed(self, stream: str) -> list[str]:
        return [line.text for line in self.lines if line.stream == stream]

    def await_thread(self) -> None:
        """Of a job that was left to itself."""
        for thread in threading.enumerate():
            if thread.name == SESSION:
                thread.join()

    def left_over(self) -> list[Path]:
        """What is in the folder of the runner, which should be nothing between two jobs."""
        return list(self.root.glob("*/*"))


MakeBench = Callable[..., JobBench]


@pytest.fixture
def jobs_root() -> Iterator[Path]:
    """Not pytest's own folder, through which no other user may pass."""
    with tempfile.TemporaryDirectory(prefix="jobs-") as folder:
        os.chmod(folder, 0o711)
        yield Path(folder, "root")


@pytest.fixture
def make_bench(jobs_root: Path) -> Iterator[MakeBench]:
    benches: list[JobBench] = []

    def make(desk: MemoryJobDesk | None = None, **options: Any) -> JobBench:
        benches.append(JobBench(jobs_root, desk, **options))
        return benches[-1]

    yield make
    for bench in benches:
        bench.runner.close()
    assert list(jobs_root.glob("*")) == []


def script(text: str, **fields: Any) -> JobSpec:
    """A job that is a shell script."""
    return JobSpec(executable="job.sh", script=f"#!/bin/sh\n{text}", script_name="job.sh", **fields)


def await_outcome(outcomes: Any, until: Callable[[], bool]) -> None:
    """Drive a run until something is true; fails if the run ends first."""
    for outcome in outcomes:
        assert outcome is None, "the job ended too early"
        if until():
            return
    raise AssertionError("the job ended too early")


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")


def await_death(pid: int, seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not is_alive(pid):
            return True
        time.sleep(0.01)
    return False


Answer = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """Answers by path on 127.0.0.1; counts connections and requests."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.requests: list[str] = []
        self.connections = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                server.connections += 1
                super().setup()

            def do_GET(self) -> None:
                server.requests.append(self.path)
                self.close_connection = True
                answer = server.answers.get(self.path.partition("?")[0])
                if answer is None:
                    self.send_error(404)
                else:
                    with contextlib.suppress(OSError):
                        answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))
        self._thread.start()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def give(data: bytes, length: int | None = None, status: int = 200, **headers: str) -> Answer:
    """`length`: what is said, if it is not the truth."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(data) if length is None else length))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def redirect(location: str, status: int = 302) -> Answer:
    return give(b"", status=status, Location=location)


def raw(data: bytes, then: Callable[[socket.socket], None] = lambda sock: None) -> Answer:
    """Bytes as they are, in the place of an answer."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(data)
        then(handler.connection)

    return answer


def finished(outcome: TaskOutcome) -> bool:
    return isinstance(outcome, FinishedTasks)


def fault(outcome: TaskOutcome) -> tuple[str, str]:
    assert isinstance(outcome, FailedTask)
    assert not outcome.fault.retryable
    return outcome.fault.type, outcome.fault.message
