"""The proxy: what an algorithm may ask, and that it speaks plainly whatever is encrypted."""

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from stepgrid.federation_crypto import PrivateKey
from stepgrid.node.payloads import EncryptedPayloads, Payloads, PlainPayloads
from stepgrid.node.proxy import MOST_BYTES, Desk, Proxy, Visit
from stepgrid.node.server import Server
from tests.integration.node_server import API_KEY, OTHER, FakeServer, encode, serve

KEY, OTHERS_KEY = PrivateKey.generate(), PrivateKey.generate()
INPUT = {"method": "partial_average"}


@dataclass
class Visitor:
    """An algorithm that is at work."""

    url: str
    token: str
    server: FakeServer
    gone: threading.Event = field(default_factory=threading.Event)
    subtasks: list[None] = field(default_factory=list)

    def ask(self, method: str, path: str, **given: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"} | given.pop("headers", {})
        return requests.request(method, self.url + path, headers=headers, timeout=60, **given)

    def make_task(self, *ids: int) -> requests.Response:
        organizations = [{"id": id, "input": encode(INPUT)} for id in ids]
        return self.ask("POST", "/task", json={"image": "a", "organizations": organizations})


def open_visitor(payloads: Payloads) -> Iterator[Visitor]:
    fake, stopping = FakeServer(payloads.encrypted), threading.Event()
    fake.public_keys = {1: KEY.public_key.text, OTHER: OTHERS_KEY.public_key.text}
    run = fake.add_task({})
    with serve(fake) as url:
        server = Server(f"{url}/api", API_KEY, stopping, pause_seconds=(0.001, 0.001))
        body = {"task_id": run.task["id"], "image": "a"}
        token = fake.answer("POST", "/token/container", {}, body, "")[1]["container_token"]
        desk = Desk(server, payloads)
        with Proxy(desk) as proxy:
            visitor = Visitor(f"http://{proxy.host}:{proxy.port}", token, fake)
            desk.admit(token, Visit(visitor.gone, lambda: visitor.subtasks.append(None)))
            yield visitor
            stopping.set()
        server.close()


@pytest.fixture
def visitor() -> Iterator[Visitor]:
    yield from open_visitor(PlainPayloads())


@pytest.fixture
def encrypted() -> Iterator[Visitor]:
    yield from open_visitor(EncryptedPayloads(KEY))


def test_what_algorithms_read_is_passed_on(visitor: Visitor) -> None:
    assert visitor.ask("GET", "/organization/2").json()["name"] == "hospital 2"
    assert visitor.ask("GET", "/task/1/status").json() == {"status": "active"}
    assert visitor.ask("GET", "/result", params={"task_id": 1}).json()["data"][0]["id"] == 1000
    assert visitor.ask("GET", "/collaboration/1/").status_code == 200


def test_refusals_are_passed_on(visitor: Visitor) -> None:
    """With their words: algorithms look at them."""
    visitor.server.faults = lambda _: 404
    answer = visitor.ask("GET", "/task/99")
    assert (answer.status_code, answer.json()) == (404, {"msg": "as the test wants it"})


def test_a_subtask_is_made_with_the_algorithms_own_token(visitor: Visitor) -> None:
    assert visitor.make_task(1).json()["job_id"] == 1
    (run,) = [run for run in visitor.server.runs.values() if run.id != 1000]
    assert run.input == encode(INPUT)
    assert visitor.subtasks == [None]


def test_inputs_are_encrypted_for_each_organization(encrypted: Visitor) -> None:
    """And for no other."""
    assert encrypted.make_task(1, OTHER).status_code == 201
    own, others = [run for run in encrypted.server.runs.values() if run.id != 1000]
    assert json.loads(KEY.decrypt(own.input)) == INPUT
    assert json.loads(OTHERS_KEY.decrypt(others.input)) == INPUT


def test_results_are_decrypted(encrypted: Visitor) -> None:
    """What can't be is left as it is, as vantage6's proxy has it."""
    run = encrypted.server.runs[1000]
    for sent, got in (
        (KEY.public_key.encrypt(b'{"a": 1}'), base64.b64encode(b'{"a": 1}').decode()),
        ("bm90IGZvciB1cw==", "bm90IGZvciB1cw=="),
        (None, None),
    ):
        run.result = sent
        (shown,) = encrypted.ask("GET", "/result", params={"task_id": 1}).json()["data"]
        assert shown["result"] == got


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"organizations": []},
        {"organizations": [{"id": 1}]},
        {"organizations": [{"id": 1, "input": "%"}]},
    ],
)
def test_a_task_that_can_not_be_encrypted_is_not_sent(encrypted: Visitor, body: Any) -> None:
    assert encrypted.ask("POST", "/task", json=body).status_code == 400
    assert "POST /task" not in encrypted.server.requests


def test_without_a_public_key_nothing_is_sent_plainly(encrypted: Visitor) -> None:
    encrypted.server.public_keys[OTHER] = ""
    answer = encrypted.make_task(1, OTHER)
    assert (answer.status_code, "organization 2" in answer.json()["msg"]) == (500, True)
    assert "POST /task" not in encrypted.server.requests


@pytest.mark.parametrize("header", ["Bearer other", "", "Basic x"])
def test_only_runs_at_work_are_answered(visitor: Visitor, header: str) -> None:
    """The server is not even asked."""
    answer = visitor.ask("GET", "/organization", headers={"Authorization": header})
    assert answer.status_code == 401
    assert visitor.server.requests == ["POST /token/container"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/user/1", 404),
        ("GET", "/token/node", 404),
        ("GET", "/task/../user", 404),
        ("GET", "//evil.test/task", 404),
        ("POST", "/organization", 405),
        ("PATCH", "/run/1000", 405),
        ("DELETE", "/task/1", 405),
        ("PUT", "/task/1", 405),
    ],
)
def test_other_routes_are_none_of_theirs(
    visitor: Visitor, method: str, path: str, status: int
) -> None:
    request = requests.Request(method, visitor.url).prepare()
    request.url = visitor.url + path  # as it is: a client would tidy it up
    request.headers["Authorization"] = f"Bearer {visitor.token}"
    with requests.Session() as client:
        assert client.send(request, timeout=60).status_code == status
    assert visitor.server.requests == ["POST /token/container"]


def test_a_lost_server_is_waited_for(visitor: Visitor) -> None:
    """vantage6's client takes any answer without a status for the end of its subtask."""
    left = [3]

    def fault(_what: str) -> int | None:
        left[0] -= 1
        return 503 if left[0] >= 0 else None

    visitor.server.faults = fault
    assert visitor.ask("GET", "/task/1/status").json() == {"status": "active"}
    assert left == [-1]


def test_a_task_is_never_sent_twice(visitor: Visitor) -> None:
    """Its answer may be lost, and the task there."""
    visitor.server.faults = lambda what: 0 if what == "POST /task" else None
    assert visitor.make_task(1).status_code == 502
    assert visitor.server.requests.count("POST /task") == 1


def test_a_run_that_is_over_waits_no_longer(visitor: Visitor) -> None:
    asked = threading.Event()

    def fault(_what: str) -> int:
        asked.set()
        return 503

    visitor.server.faults = fault
    statuses: list[int] = []
    thread = threading.Thread(
        target=lambda: statuses.append(visitor.ask("GET", "/task/1/status").status_code)
    )
    thread.start()
    asked.wait()
    visitor.gone.set()
    thread.join()
    assert statuses == [500]


def test_blobs_are_not_used(visitor: Visitor) -> None:
    assert visitor.ask("GET", "/blobstream/status").json() == {"blob_store_enabled": False}


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Length": str(MOST_BYTES + 1)},
        {"Content-Length": "-1"},
        {"Transfer-Encoding": "chunked"},
    ],
)
def test_bodies_have_a_length_that_fits(visitor: Visitor, headers: dict[str, str]) -> None:
    request = requests.Request("POST", f"{visitor.url}/task").prepare()
    del request.headers["Content-Length"]
    request.headers.update(headers)
    with requests.Session() as client:
        assert client.send(request, timeout=60).status_code == 413
