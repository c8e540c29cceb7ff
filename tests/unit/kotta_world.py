"""A Cloud Kotta server on this machine: the real routes, over jobs in a dictionary."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from stepgrid.testing import InMemoryGrid
from stepgrid_core import kotta_routes
from stepgrid_core.contract import (
    JobDescription,
    JobList,
    JobOutput,
    JobOutputs,
    JobRequest,
    JobSummary,
)
from stepgrid_core.endpoints import HttpAnswer, HttpRequest
from stepgrid_core.errors import NotFound
from stepgrid_core.kotta_service import JobService
from stepgrid_core.memory import MemoryTokenVerifier
from stepgrid_core.ports import Caller
from stepgrid_core.states import JobState
from stepgrid_core.wiring import Grid

ANN = Caller("cognito:ann", "Yadu Nand B", "yadunand@uchicago.edu")
BOB = Caller("cognito:bob", "bob")
TOKEN, BOBS_TOKEN = "anns.id.token", "bobs.id.token"
JOB_ID = "dad3a7ae-91de-4af0-9a69-0c40ee00ebf1"


def epoch(text: str) -> float:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()


#: The job of the old client's manual.
SEED_JOB = JobDescription.model_validate(
    {
        "job_id": JOB_ID,
        "state": "completed",
        "queue": "Test",
        "executable": "/bin/echo test.sh",
        "script_name": "test.sh",
        "array": 1,
        "walltime_seconds": 300,
        "created_at": epoch("2016-03-11 18:27:24"),
        "started_at": epoch("2016-03-11 18:27:56"),
        "completed_at": epoch("2016-03-11 18:27:58"),
        "stages": {
            "staging_inputs": 0.134030103683,
            "processing": 1.00426697731,
            "staging_outputs": 0.115742921829,
        },
    }
)


def output(name: str, url: str | None) -> JobOutput:
    return JobOutput(name=name, available=url is not None, url=url)


@dataclass
class FakeJobs:
    """The jobs API in a dictionary; `submitted` is what reached it."""

    jobs: dict[str, tuple[str, JobDescription]] = field(default_factory=dict)
    outputs: list[JobOutput] = field(default_factory=list)
    submitted: list[tuple[str, JobRequest]] = field(default_factory=list)
    uploads: list[tuple[str, str]] = field(default_factory=list)
    failure: Exception | None = None
    page: int = 100
    #: in place of the one that only takes note of names
    upload: Callable[[Grid, str, str], str] | None = None
    list_page: Callable[[Grid, str, str | None], JobList] | None = None

    def add(self, job: JobDescription, owner: str = ANN.owner) -> None:
        self.jobs[job.job_id] = (owner, job)

    def service(self) -> JobService:
        return JobService(
            submit=self._submit,
            describe=self._describe,
            list_page=self.list_page or self._list,
            list_outputs=self._outputs,
            cancel=self._cancel,
            upload=self.upload or self._upload,
        )

    def _submit(self, grid: Grid, owner: str, request: JobRequest) -> str:
        if self.failure is not None:
            raise self.failure
        self.submitted.append((owner, request))
        return JOB_ID

    def _describe(self, grid: Grid, owner: str, job_id: str) -> JobDescription:
        if self.failure is not None:
            raise self.failure
        of, job = self.jobs.get(job_id, ("", None))
        if job is None or of != owner:
            raise NotFound(f"job {job_id} is unknown")
        return job

    def _list(self, grid: Grid, owner: str, cursor: str | None) -> JobList:
        own = [job for of, job in self.jobs.values() if of == owner]
        first = int(cursor or 0)
        end = first + self.page
        summaries = [JobSummary.model_validate(job.model_dump()) for job in own[first:end]]
        return JobList(jobs=summaries, cursor=str(end) if end < len(own) else None)

    def _outputs(self, grid: Grid, owner: str, job_id: str) -> JobOutputs:
        self._describe(grid, owner, job_id)
        return JobOutputs(job_id=job_id, outputs=self.outputs)

    def _cancel(self, grid: Grid, owner: str, job_id: str) -> JobDescription:
        job = self._describe(grid, owner, job_id)
        if job.state not in (JobState.COMPLETED, JobState.FAILED):
            job = job.model_copy(update={"state": JobState.CANCELLED})
            self.add(job, owner)
        return job

    def _upload(self, grid: Grid, owner: str, name: str) -> str:
        self.uploads.append((owner, name))
        return f"https://bucket.s3.us-east-1.amazonaws.com/files/{name}?X-Amz-Signature=1&a=b"


def make_grid(tokens: dict[str, Caller] | None = None, **settings: Any) -> Grid:
    callers = {TOKEN: ANN, BOBS_TOKEN: BOB} if tokens is None else tokens
    wiring = InMemoryGrid({}, settings=settings).wiring
    return replace(wiring, tokens=MemoryTokenVerifier(callers))


@dataclass
class KottaServer:
    """files: what GET answers beside the routes. seen: the requests, in order."""

    jobs: FakeJobs = field(default_factory=FakeJobs)
    grid: Grid = field(default_factory=make_grid)
    files: dict[str, bytes] = field(default_factory=dict)
    seen: list[HttpRequest] = field(default_factory=list)
    url: str = ""

    def answer(self, request: HttpRequest) -> HttpAnswer:
        self.seen.append(request)
        return kotta_routes.answer(self.grid, request, self.jobs.service())


def _handler(server: KottaServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if parts.path in server.files:
                self._send(200, server.files[parts.path])
                return
            request = HttpRequest(
                method=self.command,
                path=parts.path.removeprefix("/stage"),
                query=parse_qs(parts.query),
                body=body,
                headers={name.lower(): value for name, value in self.headers.items()},
            )
            answered = server.answer(request)
            self._send(answered.status, answered.body.encode())

        do_GET = do_POST = _serve  # noqa: N815

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(int(status))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    return Handler


@contextmanager
def serving() -> Iterator[KottaServer]:
    """A server below /stage, as API Gateway has them."""
    server = KottaServer()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    server.url = f"http://127.0.0.1:{http.server_port}/stage"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
