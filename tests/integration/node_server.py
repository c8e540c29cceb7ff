"""A server's wire for one node, in this process: what a node asks, answered from memory.

It keeps claims and results as the real one does, and fails when it is told to.
"""

import base64
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Json = dict[str, Any]

API_KEY = "a-key-of-node-3"
NODE, ORGANIZATION, OTHER, COLLABORATION = 3, 1, 2, 1
IMAGE = "harbor.test/federated-average:1"
FINAL = {"completed", "failed", "start failed", "crashed", "not allowed"} | {
    "non-existing Docker image"
}


def encode(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


def token_of(subject: Any, serial: int) -> str:
    """As a JWT looks; nobody here verifies it."""
    parts = ({"alg": "none"}, {"sub": subject, "n": serial}, "signature")
    texts = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts)
    return ".".join(text.rstrip("=") for text in texts)


@dataclass
class FakeRun:
    """A run, as the server has it."""

    id: int
    task: Json
    input: str
    claim: str | None = None
    instance: str | None = None
    attempt: int = 0
    status: str = "pending"
    result: str | None = None
    log: str = ""
    patches: list[Json] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        return self.status in FINAL


class FakeServer:
    """Everything behind `/api`. Threads share it."""

    def __init__(self, encrypted: bool = False) -> None:
        self.changed = threading.Condition()
        self.encrypted = encrypted
        self.public_keys = {ORGANIZATION: "", OTHER: ""}
        self.runs: dict[int, FakeRun] = {}
        self.tasks: dict[int, Json] = {}
        self.requests: list[str] = []
        self.syncs: list[Json] = []
        self.tokens: set[str] = set()
        self.container_tokens: dict[str, Json] = {}
        self.api_key = API_KEY
        #: status to answer instead, by "METHOD path"; 0: the answer is lost after it was made
        self.faults: Callable[[str], int | None] = lambda _what: None
        self._serial = 0

    # -- what a test does

    def add_task(
        self,
        input: Any,
        databases: tuple[str, ...] = (),
        image: str = IMAGE,
        text: str | None = None,
        init_org: int = ORGANIZATION,
    ) -> FakeRun:
        """A task for the organization of the node; text: its input as it travels."""
        with self.changed:
            task = self._new_task(
                {"image": image, "databases": [{"label": each} for each in databases]}, init_org
            )
            return self._new_run(task, text if text is not None else encode(input))

    def wait(self, is_so: Callable[[], bool], seconds: float = 60) -> None:
        with self.changed:
            assert self.changed.wait_for(is_so, seconds), [self.requests[-20:], self.runs]

    def end_lease(self, run: FakeRun) -> None:
        """Pending again, for whoever asks next."""
        with self.changed:
            run.claim = run.instance = None
            run.status = "pending"
            self.changed.notify_all()

    def kill(self, run: FakeRun) -> None:
        with self.changed:
            run.status, run.claim = "failed", "nobody's"
            self.changed.notify_all()

    # -- routes

    def answer(self, method: str, path: str, query: Json, body: Json, bearer: str) -> tuple:
        with self.changed:
            self.requests.append(f"{method} {path}")
            self.changed.notify_all()
        for pattern, route in _ROUTES.items():
            if match := re.fullmatch(pattern, f"{method} {path}"):
                with self.changed:
                    answer = route(self, body, query, bearer, *map(int, match.groups()))
                    self.changed.notify_all()
                    return answer
        return 404, {"msg": f"no route {method} {path}"}

    def _log_in(self, body: Json, _query: Json, _bearer: str) -> tuple[int, Json]:
        if body["api_key"] != self.api_key:
            return 401, {"msg": "Api key is not recognized!"}
        token = token_of(str(NODE), self._next())
        self.tokens.add(token)
        return 200, {"access_token": token, "refresh_token": "r", "refresh_url": "/api/x"}

    def _node(self, _body: Json, _query: Json, bearer: str, id: int) -> tuple[int, Json]:
        if bearer not in self.tokens:
            return 401, {"msg": "Token has expired"}
        found = {"id": id, "name": "north", "organization": {"id": ORGANIZATION}}
        return 200, {**found, "collaboration": {"id": COLLABORATION}}

    def _collaboration(self, *_: Any) -> tuple[int, Json]:
        return 200, {"id": COLLABORATION, "name": "hearts", "encrypted": self.encrypted}

    def _organization(self, body: Json, _query: Json, _bearer: str, id: int) -> tuple[int, Json]:
        if "public_key" in body:
            self.public_keys[id] = body["public_key"]
        shown = {"id": id, "name": f"hospital {id}", "public_key": self.public_keys[id]}
        return 200, shown

    def _organizations(self, *_: Any) -> tuple[int, Json]:
        shown = [{"id": ORGANIZATION, "name": "hospital 1"}]
        return 200, {"data": shown, "links": {}}

    def _sync(self, body: Json, _query: Json, bearer: str, _id: int) -> tuple[int, Json]:
        if bearer not in self.tokens:
            return 401, {"msg": "Token has expired"}
        self.syncs.append(body)
        if body.get("leaving"):
            return 200, {"runs": [], "stop": [], "lease_seconds": 60}
        news = self._news(body)
        if not news["runs"] and not news["stop"] and body["wait_seconds"]:
            self.changed.wait(0.5)
            if self.syncs[-1]["instance"] == body["instance"]:  # else it is dead by now
                news = self._news(body)
        return 200, news

    def _news(self, body: Json) -> Json:
        held = {each["run_id"]: each["claim"] for each in body["holding"]}
        stop = [id for id, claim in held.items() if not self._is_held(id, claim)]
        given = [run for run in self.runs.values() if self._is_for(run, body["instance"], held)]
        shown = [self._hand_out(run, body["instance"]) for run in given[: body["capacity"]]]
        return {"runs": shown, "stop": stop, "lease_seconds": 60}

    def _is_held(self, id: int, claim: str) -> bool:
        run = self.runs.get(id)
        return run is not None and run.claim == claim and not run.ended

    def _is_for(self, run: FakeRun, instance: str, held: Json) -> bool:
        free = run.claim is None or run.instance == instance
        return free and not run.ended and run.id not in held

    def _hand_out(self, run: FakeRun, instance: str) -> Json:
        if run.claim is None:
            run.attempt += 1
            run.claim, run.instance = f"claim-{run.id}-{run.attempt}", instance
            run.status = "initializing"
        shown = {"id": run.id, "input": run.input, "task": run.task, "claim": run.claim}
        return {**shown, "attempt": run.attempt}

    def _patch_run(self, body: Json, _query: Json, _bearer: str, id: int) -> tuple[int, Json]:
        run = self.runs.get(id)
        if run is None:
            return 404, {"msg": f"Run id={id} not found!"}
        run.patches.append(body)
        if body["claim"] != run.claim or (run.ended and body["status"] not in FINAL):
            return 409, {"msg": "This run was given to another attempt; drop its result."}
        run.status = body["status"]
        run.result, run.log = body.get("result", run.result), body.get("log", run.log)
        return 200, {"id": id}

    def _container_token(self, body: Json, _query: Json, _bearer: str) -> tuple[int, Json]:
        task = self.tasks[body["task_id"]]
        subject = {
            "image": body["image"],
            "node_id": NODE,
            "organization_id": ORGANIZATION,
            "collaboration_id": COLLABORATION,
            "task_id": task["id"],
            "databases": task["databases"],
        }
        token = token_of(subject, self._next())
        self.container_tokens[token] = task
        return 200, {"container_token": token}

    def _post_task(self, body: Json, _query: Json, bearer: str) -> tuple[int, Json]:
        parent = self.container_tokens.get(bearer)
        if parent is None:
            return 401, {"msg": "Missing Authorization Header"}
        task = self._new_task({**body, "databases": [{"label": "default"}]}, ORGANIZATION)
        task["parent"], task["job_id"] = {"id": parent["id"]}, parent["job_id"]
        for each in body["organizations"]:
            self._new_run(task, each["input"], each["id"])
        return 201, task

    def _task_status(self, _body: Json, _query: Json, _bearer: str, id: int) -> tuple[int, Json]:
        runs = self._runs_of(id)
        done = all(run.ended for run in runs)
        return 200, {"status": "completed" if done else "active"}

    def _results(self, _body: Json, query: Json, _bearer: str) -> tuple[int, Json]:
        runs = self._runs_of(int(query["task_id"][0]))
        shown = [{"id": run.id, "result": run.result, "blob_storage_used": False} for run in runs]
        return 200, {"data": shown, "links": {}}

    def _runs_of(self, task_id: int) -> list[FakeRun]:
        return [run for run in self.runs.values() if run.task["id"] == task_id]

    def _new_task(self, body: Json, init_org: int) -> Json:
        id = len(self.tasks) + 1
        task = {
            "id": id,
            "image": body["image"],
            "databases": body["databases"],
            "job_id": id,
            "init_org": {"id": init_org},
            "init_user": {"id": 7},
        }
        self.tasks[id] = task
        return task

    def _new_run(self, task: Json, text: str, organization: int = ORGANIZATION) -> FakeRun:
        run = FakeRun(task["id"] * 1000 + len(self._runs_of(task["id"])), task, text)
        if organization != ORGANIZATION:
            run.claim = "another node's"
        self.runs[run.id] = run
        self.changed.notify_all()
        return run

    def _next(self) -> int:
        self._serial += 1
        return self._serial


_ID = "([0-9]+)"
_ROUTES: dict[str, Callable[..., tuple[int, Json]]] = {
    "POST /token/node": FakeServer._log_in,
    f"GET /node/{_ID}": FakeServer._node,
    f"GET /collaboration/{_ID}": FakeServer._collaboration,
    "GET /organization": FakeServer._organizations,
    f"(?:GET|PATCH) /organization/{_ID}": FakeServer._organization,
    f"POST /node/{_ID}/sync": FakeServer._sync,
    f"PATCH /run/{_ID}": FakeServer._patch_run,
    "POST /token/container": FakeServer._container_token,
    "POST /task": FakeServer._post_task,
    f"GET /task/{_ID}/status": FakeServer._task_status,
    "GET /result": FakeServer._results,
}


@contextmanager
def serve(server: FakeServer) -> Iterator[str]:
    """On loopback while it is open; its URL."""

    class Handler(_Handler):
        fake = server

    http = _Http(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_address[1]}"
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A node that is killed leaves connections behind."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    fake: FakeServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        path = url.path.removeprefix("/api")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.fake.faults(f"{self.command} {path}")
        if fault:
            self._write(fault, {"msg": "as the test wants it"})
            return
        bearer = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        answer = self.fake.answer(
            self.command, path, parse_qs(url.query), json.loads(body or b"{}"), bearer
        )
        if fault == 0:
            self.close_connection = True
            return
        self._write(*answer)

    do_POST = do_PATCH = do_GET  # noqa: N815 - http.server's names

    def _write(self, status: int, shown: Json) -> None:
        data = json.dumps(shown).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass
