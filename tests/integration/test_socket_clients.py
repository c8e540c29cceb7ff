"""/socket.io/ and the clients that are out there: of Engine.IO 3 and of Engine.IO 4.

socketIO-client is what the documentation of vantage6 before 4 shows, python-socketio is what its
nodes have. Neither is changed or told anything that it would not be told on a real server.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import socketio
from socketIO_client import SocketIO, SocketIONamespace

from stepgrid_core.federation import notices
from stepgrid_core.federation.kill_orders import order_kill
from stepgrid_core.federation.records import RunRecord
from stepgrid_core.records import FederationFacts
from tests.unit.socket_world import ANN, BOB, EVE, OTHERS_RUN, RUN, SocketWorld

from .socket_bench import SocketBench

SECONDS = 30  #: after so long nothing comes any more
JOINED = ("message", "joined room collaboration_1")
REFUSED = ("error", "this room is not yours to join")
ROOM = "collaboration_1"


@pytest.fixture
def bench() -> Iterator[SocketBench]:
    bench = SocketBench()
    yield bench
    bench.stop()


def change(world: SocketWorld, *statuses: str, run: int = RUN) -> None:
    for status in statuses:
        notices.status_update(world.federation, world.task, RunRecord(run, status, 1))


class Heard(queue.Queue[tuple[str, Any]]):
    """What a client was told."""

    def next(self, *names: str) -> tuple[str, Any]:
        """The next event of these names; others before it are passed over."""
        while True:
            event = self.get(timeout=SECONDS)
            if event[0] in names:
                return event

    def rest(self) -> list[tuple[str, Any]]:
        events = []
        while not self.empty():
            events.append(self.get_nowait())
        return events


class TestOldClient:
    """socketIO-client 0.7.2, as the documentation uses it."""

    @pytest.fixture
    def connect(self, bench: SocketBench) -> Iterator[Callable[[int], tuple[Any, Any]]]:
        made = []

        def connect(user: int) -> tuple[Any, Any]:
            token = bench.world.user_token(user)
            client = SocketIO(bench.url, headers={"Authorization": f"Bearer {token}"})
            made.append(client)
            return client, client.define(_Namespace, "/tasks")

        yield connect
        for client in made:
            client.disconnect()
            client._http_session.close()

    def test_a_room_is_joined_and_its_updates_come_once_and_in_order(
        self, bench: SocketBench, connect: Any
    ) -> None:
        client, namespace = connect(ANN)
        namespace.emit("join_room", ROOM)
        _wait(client, namespace, 1)
        assert namespace.heard == [JOINED]
        statuses = [f"status {number}" for number in range(20)]
        change(bench.world, *statuses, *statuses)
        _wait(client, namespace, 41)
        updates = namespace.heard[1::2]
        assert updates == [("status_update", {"result_id": RUN, "run_id": RUN})] * 20
        assert [data["status"] for _, data in namespace.heard[2::2]] == statuses
        assert len(namespace.heard) == 41

    def test_a_foreign_room_is_refused(self, bench: SocketBench, connect: Any) -> None:
        client, namespace = connect(EVE)
        namespace.emit("join_room", ROOM)
        _wait(client, namespace, 1)
        change(bench.world, "active")
        client.wait(seconds=1)
        assert namespace.heard == [REFUSED]

    def test_two_clients_hear_their_own_rooms(self, bench: SocketBench, connect: Any) -> None:
        """Ann of the whole collaboration, Bob of his organization's part."""
        ann, anns = connect(ANN)
        bob, bobs = connect(BOB)
        change(bench.world, "active")
        change(bench.world, "active", run=OTHERS_RUN)
        _wait(bob, bobs, 2)
        _wait(ann, anns, 4)
        assert [_run(data) for _, data in bobs.heard] == [OTHERS_RUN] * 2
        assert [_run(data) for _, data in anns.heard] == [RUN] * 2 + [OTHERS_RUN] * 2

    def test_another_process_goes_on_with_a_connection(
        self, bench: SocketBench, connect: Any
    ) -> None:
        """All of it is in the table: what the client was told meanwhile is waiting there."""
        client, namespace = connect(ANN)
        sids = bench.world.sockets.members(ROOM)
        change(bench.world, "active")
        bench.replace(SocketWorld(bench.world.clock, sockets=bench.world.sockets))
        _wait(client, namespace, 2)
        assert [name for name, _ in namespace.heard] == ["status_update", "algorithm_status_change"]
        assert bench.world.sockets.members(ROOM) == sids

    def test_a_client_starts_anew_when_its_connection_is_gone(
        self, bench: SocketBench, connect: Any
    ) -> None:
        """By itself, and it is in its rooms again."""
        client, namespace = connect(ANN)
        (sid,) = bench.world.sockets.members(ROOM)
        socket = bench.world.sockets.read(sid)
        assert socket is not None
        bench.world.sockets.close(socket)
        _until(client, lambda: bool(bench.world.sockets.members(ROOM)))
        change(bench.world, "active")
        _wait(client, namespace, 2)
        assert [name for name, _ in namespace.heard] == ["status_update", "algorithm_status_change"]


class _Namespace(SocketIONamespace):  # type: ignore[misc]
    def initialize(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    def on_status_update(self, data: Any) -> None:
        self.heard.append(("status_update", data))

    def on_algorithm_status_change(self, data: Any) -> None:
        self.heard.append(("algorithm_status_change", data))

    def on_message(self, data: Any) -> None:
        self.heard.append(("message", data))

    def on_error(self, data: Any) -> None:
        self.heard.append(("error", data))


def _wait(client: Any, namespace: _Namespace, count: int) -> None:
    _until(client, lambda: len(namespace.heard) >= count)


def _until(client: Any, is_done: Callable[[], bool]) -> None:
    """The client only listens while it waits."""
    give_up_at = time.monotonic() + SECONDS
    while not is_done():
        assert time.monotonic() < give_up_at
        client.wait(seconds=1)


def _run(data: dict[str, Any]) -> int:
    return int(data["run_id"])


class TestNewClient:
    """python-socketio 5, as vantage6's nodes use it."""

    @pytest.fixture
    def connect(self, bench: SocketBench) -> Iterator[Callable[..., tuple[Any, Heard]]]:
        made: list[socketio.Client] = []

        def connect(token: str, **how: Any) -> tuple[Any, Heard]:
            client = _client()
            made.append(client)
            heard = Heard()
            client.on("*", lambda name, data=None: heard.put((name, data)), namespace="/tasks")
            how = how or {"headers": {"Authorization": f"Bearer {token}"}}
            client.connect(bench.url, namespaces=["/tasks"], wait_timeout=SECONDS, **how)
            return client, heard

        yield connect
        for client in made:
            _end(client)

    def test_updates_come_once(self, bench: SocketBench, connect: Any) -> None:
        """Its handlers run in threads of their own: their order is the client's affair."""
        client, heard = connect(bench.world.user_token(ANN))
        client.emit("join_room", ROOM, namespace="/tasks")
        assert heard.next("message", "error") == JOINED
        statuses = [f"status {number}" for number in range(20)]
        change(bench.world, *statuses, *statuses)
        told = [heard.get(timeout=SECONDS) for _ in range(40)]
        changes = [data["status"] for name, data in told if name == "algorithm_status_change"]
        assert sorted(changes) == sorted(statuses)
        client.emit("join_room", "collaboration_2", namespace="/tasks")
        assert [heard.get(timeout=SECONDS), *heard.rest()] == [REFUSED]

    def test_an_event_may_be_acknowledged(self, bench: SocketBench, connect: Any) -> None:
        client, _ = connect(bench.world.user_token(ANN))
        assert client.call("ping", namespace="/tasks", timeout=SECONDS) is None

    def test_a_token_may_come_with_the_connect(self, bench: SocketBench, connect: Any) -> None:
        token = bench.world.user_token(ANN)
        client, heard = connect(token, auth={"token": token})
        client.emit("join_room", ROOM, namespace="/tasks")
        assert heard.next("message", "error") == JOINED

    def test_another_process_goes_on_with_a_connection(
        self, bench: SocketBench, connect: Any
    ) -> None:
        """All of it is in the table: the client notices nothing."""
        client, heard = connect(bench.world.user_token(ANN))
        sid = client.eio.sid
        old = bench.world
        new = SocketWorld(old.clock, sockets=old.sockets)
        bench.replace(new)
        change(new, "active")
        assert heard.next("status_update")
        assert client.eio.sid == sid

    def test_a_node_goes_on_when_the_server_comes_back(
        self, bench: SocketBench, connect: Any
    ) -> None:
        """It is told to look for what it missed."""
        _, heard = connect(bench.world.node_token(1))
        heard.next("sync")
        bench.stop()
        bench.start()
        heard.next("sync")
        notices.new_task(bench.world.federation, bench.world.task)
        assert heard.next("new_task") == ("new_task", {"id": 5, "parent_id": 4})


class _NodeNamespace(socketio.ClientNamespace):  # type: ignore[misc]
    """What a node of vantage6 does with its socket."""

    def __init__(self, renew: Callable[[], None]) -> None:
        super().__init__("/tasks")
        self.heard = Heard()
        self._renew = renew

    def on_sync(self) -> None:
        self.heard.put(("sync", None))
        self.emit("node_info_update", {"encryption": False, "allowed_algorithms": "all"})

    def on_new_task(self, data: dict[str, Any]) -> None:
        self.heard.put(("new_task", data["id"]))

    def on_kill_containers(self, info: dict[str, Any]) -> None:
        for each in info["kill_list"]:
            self.emit("algorithm_status_change", {**each, "status": "killed by user"})
        self.heard.put(("kill_containers", None))

    def on_algorithm_status_change(self, data: dict[str, Any]) -> None:
        self.heard.put(("algorithm_status_change", data))

    def on_expired_token(self) -> None:
        self.heard.put(("expired_token", None))
        self.client.disconnect()
        self._renew()


class TestNode:
    """A client that is built as vantage6's node builds its own."""

    def test_it_comes_with_an_old_token_and_works_with_a_new_one(self, bench: SocketBench) -> None:
        world, made = bench.world, []

        def connect(token: str) -> _NodeNamespace:
            client = _client(request_timeout=60)
            namespace = _NodeNamespace(lambda: renewed.put(connect(world.node_token(1))))
            client.register_namespace(namespace)
            made.append(client)
            client.connect(url=bench.url, headers={"Authorization": f"Bearer {token}"}, wait=False)
            return namespace

        renewed: queue.Queue[_NodeNamespace] = queue.Queue()
        try:
            old = connect(world.node_token(1, seconds_ago=7_200))
            assert old.heard.next("expired_token", "sync") == ("expired_token", None)
            node = renewed.get(timeout=SECONDS)
            node.heard.next("sync")
            notices.new_task(world.federation, world.task)
            assert node.heard.next("new_task") == ("new_task", 5)
            order_kill(world.federation.grid, FederationFacts(5, 1, (1,)), [0])
            _, told = node.heard.next("algorithm_status_change")
            assert (told["status"], told["node_id"]) == ("killed by user", 1)
            assert world.node().config["allowed_algorithms"] == "all"
            assert world.node().online
        finally:
            for client in made:
                _end(client)


def _client(**how: Any) -> socketio.Client:
    session = requests.Session()
    return socketio.Client(
        reconnection_delay=0.05, handle_sigint=False, http_session=session, **how
    )


def _end(client: socketio.Client) -> None:
    client.shutdown()
    client.eio.http.close()
