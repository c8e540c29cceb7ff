"""/socket.io/ of the deployed federation: API Gateway, functions, event bus, and real clients."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import socketio
from socketIO_client import SocketIO, SocketIONamespace

from stepgrid.local import LocalCloud
from stepgrid_core.aws.federation_table import AwsFederationTable
from stepgrid_core.federation.api_keys import hash_key
from stepgrid_core.federation.records import Collaboration, Node, Organization, User
from stepgrid_core.federation.registry import Registry, marks_of
from tests.system.federation_backstage import dynamodb_of, subject_of

API_KEY = "0b1c2d3e-7dec-41d0-a765-00a0c91e6bf6"
#: Not those of the other tests of the same cloud.
ID = 9101
VIEWER = 2
SECONDS = 60
NODE_ONLINE = {"id": ID, "name": "socket-node", "org_id": ID}


@dataclass(frozen=True)
class Site:
    """The deployed federation, with one organization, its node and its user."""

    origin: str
    stage_path: str
    username: str
    password: str

    def log_in(self, kind: str, body: dict[str, str]) -> str:
        with requests.Session() as http:
            http.trust_env = False
            url = f"{self.origin}{self.stage_path}/token/{kind}"
            answer = http.post(url, json=body, timeout=SECONDS)
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    def user_headers(self) -> dict[str, str]:
        login = {"username": self.username, "password": self.password}
        return {"Authorization": f"Bearer {self.log_in('user', login)}"}

    def node_headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.log_in('node', {'api_key': API_KEY})}"}


@pytest.fixture(scope="module")
def site(cloud: LocalCloud) -> Iterator[Site]:
    status = cloud.status()
    endpoint, config = status.endpoint, status.agent_config_path
    assert endpoint is not None
    assert config is not None
    login = json.loads(config.read_text())
    registry = Registry(AwsFederationTable(status.outputs["TableName"], dynamodb_of(cloud)))
    records = (
        Organization(ID, "Sockets"),
        Collaboration(ID, "sockets", organization_ids=(ID,)),
        Node(ID, "socket-node", ID, ID, key_hash=hash_key(API_KEY)),
        User(ID, login["username"], subject_of(cloud, login["username"]), ID, role_ids=(VIEWER,)),
    )
    for record in records:
        assert registry.create(record, marks_of(record))
    address = urlsplit(endpoint)
    origin = f"{address.scheme}://{address.netloc}"
    yield Site(origin, address.path.removesuffix("/v1"), login["username"], login["password"])
    for record in records:
        registry.delete(record, marks_of(record))


class _Namespace(SocketIONamespace):  # type: ignore[misc]
    def initialize(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    def on_event(self, event: str, *arguments: Any) -> None:
        self.heard.append((event, *arguments))

    def on_message(self, data: Any) -> None:
        self.heard.append(("message", data))


def test_what_a_node_does_is_heard_by_a_user(site: Site) -> None:
    """A node of python-socketio comes, and a user of socketIO-client is told over the event bus."""
    user = SocketIO(f"{site.origin}{site.stage_path}", headers=site.user_headers())
    session = requests.Session()
    node = socketio.Client(handle_sigint=False, http_session=session)
    heard: queue.Queue[str] = queue.Queue()
    node.on("*", lambda name, *_: heard.put(name), namespace="/tasks")
    try:
        namespace = user.define(_Namespace, "/tasks")
        namespace.emit("join_room", f"collaboration_{ID}")
        _wait(user, namespace, ("message", f"joined room collaboration_{ID}"))
        node.connect(
            site.origin,
            headers=site.node_headers(),
            namespaces=["/tasks"],
            socketio_path=f"{site.stage_path}/socket.io",
            wait_timeout=SECONDS,
        )
        while heard.get(timeout=SECONDS) != "sync":
            pass
        _wait(user, namespace, ("node-online", NODE_ONLINE))
        node.disconnect()
        _wait(user, namespace, ("node-offline", NODE_ONLINE))
        assert len(namespace.heard) == 3
    finally:
        node.shutdown()
        session.close()
        user.disconnect()
        user._http_session.close()


def _wait(user: Any, namespace: _Namespace, event: tuple[str, Any]) -> None:
    give_up_at = time.monotonic() + SECONDS
    while event not in namespace.heard:
        assert time.monotonic() < give_up_at, namespace.heard
        user.wait(seconds=1)
