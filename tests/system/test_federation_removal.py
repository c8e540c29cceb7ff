"""Who is removed loses access from the next request on, whatever is still held.

Held: a live token, an open socket, and a session of the SDK with signing keys of an hour.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stepgrid import AccessDenied, Grid, NotFound, RequestError
from stepgrid.federated_session import FederatedSession

from .hospitals import HYGIEIA, TRIAL, Hospitals
from .test_vantage6_sockets import Listener, listen  # noqa: F401 - a fixture

#: Too large to be kept in the table, or to come with a page of results.
ANSWER = "x" * 300_000
LARGE = base64.b64encode(json.dumps(ANSWER).encode()).decode()
Listen = Callable[[str], Listener]


class Held:
    """All that a researcher has before the removal, with one task that has ended."""

    def __init__(self, hospitals: Hospitals, user: str, listener: Listener) -> None:
        self.hospitals = hospitals
        self.token = hospitals.user_token(user)
        self.listener = listener
        self.grid: Grid = hospitals.grid(user)
        self.session: FederatedSession = self.grid.federation.submit(
            "harbor.example.org/count", "count", collaboration="trial", organizations=["Asclepius"]
        )
        self.run_id = hospitals.finish_run("Asclepius", "trial", self.session.task_id, LARGE)

    def answers(self) -> dict[str, int]:
        """Statuses of all that a token could read."""
        task, run = self.session.task_id, self.run_id
        paths = [f"/task/{task}", f"/task/{task}/status", f"/run/{run}", f"/result/{run}"]
        paths += [f"/run?task_id={task}", f"/result?task_id={task}", f"/task/{task}/result"]
        paths += [f"/collaboration/{TRIAL}", f"/organization?collaboration_id={TRIAL}"]
        everywhere = [f"{base}{path}" for base in ("", "/api") for path in paths]
        return {path: self.ask("GET", path).status_code for path in everywhere}

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        return self.hospitals.ask(method, path, body, self.token)

    def calls(self) -> list[Callable[[], Any]]:
        """All that the SDK could read of it, by signed requests."""
        id, connection = self.session.id, self.session._connection
        return [
            self.session.status,
            lambda: self.grid.session(id),
            lambda: connection.api.read_results(id, None),
            lambda: connection.api.list_tasks(id, None, None),
            lambda: connection.api.read_output(id, 0),
            lambda: self.grid.federation.session(self.session.task_id),
            lambda: self.grid.federation.collaboration("trial"),
        ]


def is_refused(call: Callable[[], Any]) -> bool:
    try:
        call()
    except (AccessDenied, NotFound, RequestError):
        return True
    return False


@pytest.fixture
def hold(hospitals: Hospitals, listen: Listen) -> Iterator[Callable[[str], Held]]:  # noqa: F811
    def make(user: str) -> Held:
        listener = listen(user)
        assert listener.join(f"collaboration_{TRIAL}")[0] == "message"
        return Held(hospitals, user, listener)

    return make


def status_of(run_id: int) -> Callable[[str, Any], bool]:
    return lambda name, data: name == "status_update" and data["run_id"] == run_id


def test_an_organization_that_leaves_a_collaboration(
    hospitals: Hospitals,
    hold: Callable[[str], Held],
    listen: Listen,  # noqa: F811
) -> None:
    """Its researcher goes on elsewhere, and sees nothing more of that collaboration."""
    galen, ada = hold("galen"), listen("ada")
    assert set(galen.answers().values()) == {200}
    assert not any(map(is_refused, galen.calls()))
    galen.listener.until(status_of(galen.run_id))

    hospitals.run("federation", "member", "remove", "trial", "Hygieia")

    assert {path: status for path, status in galen.answers().items() if status < 400} == {}
    assert [call for call in galen.calls() if not is_refused(call)] == []
    body = {
        "name": "",
        "image": "i",
        "collaboration_id": TRIAL,
        "input": "",
        "organization_ids": [1],
    }
    assert galen.ask("POST", "/api/task", body).status_code == 404
    assert galen.listener.join(f"collaboration_{TRIAL}")[0] == "error"
    task = hospitals.create_task("ada", "trial", ["Asclepius"], {"method": "count"})
    run_id = hospitals.finish_run("Asclepius", "trial", task["id"], "eA==")
    ada.until(status_of(run_id))
    other = hospitals.create_task("ada", "counts", ["Asclepius"], {"method": "partial"})
    foreign = []
    while not status_of(other["id"] * 1000)(*(event := galen.listener.heard.get(timeout=60))):
        foreign += [event] if status_of(run_id)(*event) else []
    assert foreign == []
    node = hospitals.ask(
        "POST", "/api/token/node", {"api_key": hospitals.api_key("Hygieia", "trial")}
    )
    assert node.status_code == 401
    assert galen.grid.federation.whoami().organization.id == HYGIEIA


def test_a_user_that_is_taken_out(hospitals: Hospitals, hold: Callable[[str], Held]) -> None:
    """Is nobody in the federation any more, though the login is as it was."""
    hera = hold("hera")
    assert set(hera.answers().values()) == {200}
    assert not any(map(is_refused, hera.calls()))

    hospitals.run("federation", "user", "remove", "hera")

    assert set(hera.answers().values()) == {401}
    assert [call for call in hera.calls() if not is_refused(call)] == []
    with pytest.raises(AccessDenied):
        hera.grid.federation.whoami()
    assert hera.grid.quota() is not None


def test_no_url_was_ever_handed_out(hospitals: Hospitals, hold: Callable[[str], Held]) -> None:
    """It would outlive the access of who holds it: results are read by signed requests alone."""
    ada = hold("ada")
    assert ada.session.by_organization() == {"Asclepius": ANSWER}
    for exchange in hospitals.proxy.exchanges:
        told = exchange.headers.encode() + exchange.answered
        for mark in (b"X-Amz-Signature", b"AWSAccessKeyId", b"Signature=", b"X-Amz-Credential"):
            assert mark.lower() not in told.lower(), exchange.path
