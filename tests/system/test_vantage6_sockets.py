"""Events of a federation over python-socketio 5, which vantage6's nodes listen with: /tasks."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import socketio

from .hospitals import COUNTS, ELSEWHERE, HOSPITALS, Hospitals, kill_of, of_run

SECONDS = 60


class Listener:
    """A researcher with an open socket."""

    def __init__(self, hospitals: Hospitals, user: str) -> None:
        self.heard: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._http = requests.Session()
        self._http.trust_env = False
        self.socket = socketio.Client(
            handle_sigint=False, http_session=self._http, request_timeout=SECONDS
        )
        self.socket.on("*", self._hear, namespace="/tasks")
        self.socket.connect(
            hospitals.proxy.origin,
            headers={"Authorization": f"Bearer {hospitals.user_token(user)}"},
            namespaces=["/tasks"],
            socketio_path=f"{hospitals.path}/socket.io",
            wait_timeout=SECONDS,
        )

    def join(self, room: str) -> tuple[str, Any]:
        """What is answered."""
        self.socket.emit("join_room", room, namespace="/tasks")
        return self.until(lambda name, _: name in ("message", "error"))

    def until(self, wanted: Callable[[str, Any], bool]) -> tuple[str, Any]:
        """The next event that is so; others before it are passed over."""
        while not wanted(*(event := self.heard.get(timeout=SECONDS))):
            pass
        return event

    def close(self) -> None:
        self.socket.shutdown()
        self._http.close()

    def _hear(self, name: str, data: Any = None) -> None:
        self.heard.put((name, data))


@pytest.fixture
def listen(hospitals: Hospitals) -> Iterator[Callable[[str], Listener]]:
    listeners: list[Listener] = []

    def open(user: str) -> Listener:
        listeners.append(Listener(hospitals, user))
        return listeners[-1]

    yield open
    for each in listeners:
        each.close()


def test_nodes_and_researchers_hear_what_happens(
    hospitals: Hospitals, listen: Callable[[str], Listener]
) -> None:
    """new_task and kill_containers at a node; status_update wherever somebody listens."""
    ada = listen("ada")
    assert ada.join(f"collaboration_{COUNTS}") == (
        "message",
        f"joined room collaboration_{COUNTS}",
    )
    task = hospitals.create_task("ada", "counts", ["Asclepius"], {"method": "hold"})
    run_id, node = task["id"] * 1000, hospitals.nodes["Asclepius"]
    told = {"id": task["id"], "parent_id": None}
    node.hear(lambda line: line.get("heard") == "new_task" and line["data"] == told)
    node.hear(of_run("began", run_id))
    update = {"result_id": run_id, "run_id": run_id}
    ada.until(lambda name, data: (name, data) == ("status_update", update))
    change = ada.until(lambda name, _: name == "algorithm_status_change")[1]
    assert (change["run_id"], change["status"]) == (run_id, "active")
    token = hospitals.user_token("ada")
    assert hospitals.ask("POST", "/api/kill/task", {"id": task["id"]}, token).status_code == 200
    killed = node.hear(kill_of(run_id))["data"]
    assert (killed["collaboration_id"], len(killed["kill_list"])) == (COUNTS, 1)
    assert killed["kill_list"][0]["run_id"] == run_id
    ada.until(lambda name, data: (name, data) == ("status_update", update))


def test_a_node_hears_the_updates_of_its_collaboration(hospitals: Hospitals) -> None:
    task = hospitals.create_task("ada", "counts", ["Asclepius"], {"method": "partial"})
    for name in HOSPITALS:
        change = hospitals.nodes[name].hear(
            lambda line: (
                line.get("heard") == "algorithm_status_change"
                and line["data"]["task_id"] == task["id"]
                and line["data"]["status"] == "completed"
            )
        )
        assert change["collaboration"] == "counts"


def test_a_room_of_others_is_refused(
    hospitals: Hospitals, listen: Callable[[str], Listener]
) -> None:
    ada = listen("ada")
    for room in (f"collaboration_{ELSEWHERE}", "collaboration_77", "all_nodes"):
        assert ada.join(room) == ("error", "this room is not yours to join")
