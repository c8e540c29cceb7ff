"""A node in the cloud beside one outside, on the deployed grid: bus, executor, worker, routes."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from stepgrid.local import LocalCloud
from stepgrid_core.aws.federation_table import AwsFederationTable
from stepgrid_core.federation.api_keys import hash_key
from stepgrid_core.federation.records import Collaboration, Node, Organization, User
from stepgrid_core.federation.registry import Registry, marks_of
from tests.system.containers import wait_until
from tests.system.federation_backstage import dynamodb_of, subject_of

API_KEY = "5f0c7a52-7dec-41d0-a765-00a0c91e6bf6"
#: Not those of the other tests of the same cloud.
OUTSIDE, CLOUD = 9201, 9202
COLLABORATION_ADMIN = 5
SECONDS = 60


@dataclass(frozen=True)
class Site:
    """The deployed federation as its users and nodes see it."""

    url: str
    user: str
    node: str

    def ask(self, method: str, path: str, token: str, body: Any = None, **query: str) -> Any:
        with requests.Session() as http:
            http.trust_env = False
            answer = http.request(
                method,
                f"{self.url}/api{path}",
                json=body,
                params=query,
                headers={"Authorization": f"Bearer {token}"},
                timeout=SECONDS,
            )
        assert answer.ok, answer.text
        return answer.json()

    def create_task(self, **kwargs: Any) -> Any:
        said = {"method": "mean", "args": [], "kwargs": kwargs}
        text = base64.b64encode(json.dumps(said).encode()).decode()
        body = {
            "name": "mean",
            "image": "harbor/mean",
            "collaboration_id": OUTSIDE,
            "organizations": [{"id": id, "input": text} for id in (OUTSIDE, CLOUD)],
            "databases": [{"label": "default"}],
        }
        return self.ask("POST", "/task", self.user, body)

    def do_run(self, result: Any) -> None:
        """What a node outside does: take a run, and end it."""
        body = {"instance": "a" * 16, "capacity": 1, "wait_seconds": 20}
        (run,) = self.ask("POST", f"/node/{OUTSIDE}/sync", self.node, body)["runs"]
        text = base64.b64encode(json.dumps(result).encode()).decode()
        word = {"claim": run["claim"], "status": "completed", "result": text}
        self.ask("PATCH", f"/run/{run['id']}", self.node, word)

    def status_of(self, task: Any, organization: int) -> str:
        runs = self.ask("GET", "/run", self.user, task_id=str(task["id"]))["data"]
        (status,) = (run["status"] for run in runs if run["organization"]["id"] == organization)
        return str(status)

    def results(self, task: Any) -> dict[int, Any]:
        found = self.ask("GET", "/result", self.user, task_id=str(task["id"]))["data"]
        outside, cloud = sorted(found, key=lambda each: each["id"])
        return {
            id: json.loads(base64.b64decode(each["result"]))
            for id, each in ((OUTSIDE, outside), (CLOUD, cloud))
        }


@pytest.fixture(scope="module")
def site(cloud: LocalCloud) -> Iterator[Site]:
    status = cloud.status()
    assert status.endpoint is not None
    assert status.agent_config_path is not None
    login = json.loads(status.agent_config_path.read_text())
    registry = Registry(AwsFederationTable(status.outputs["TableName"], dynamodb_of(cloud)))
    place = {"worker": "echo", "backend": "lambda", "allowed_images": ["harbor/*"]}
    subject = subject_of(cloud, login["username"])
    records = (
        Organization(OUTSIDE, "Outside"),
        Organization(CLOUD, "Cloud"),
        Collaboration(OUTSIDE, "both", organization_ids=(OUTSIDE, CLOUD)),
        Node(OUTSIDE, "outside-node", OUTSIDE, OUTSIDE, key_hash=hash_key(API_KEY)),
        Node(CLOUD, "cloud-node", CLOUD, OUTSIDE, cloud=place),
        User(OUTSIDE, login["username"], subject, OUTSIDE, role_ids=(COLLABORATION_ADMIN,)),
    )
    for record in records:
        assert registry.create(record, marks_of(record))
    url = status.endpoint.removesuffix("/v1")
    password = {"username": login["username"], "password": login["password"]}
    user = _log_in(url, "user", password)
    yield Site(url, user, _log_in(url, "node", {"api_key": API_KEY}))
    for record in records:
        registry.delete(record, marks_of(record))


def _log_in(url: str, kind: str, body: dict[str, str]) -> str:
    with requests.Session() as http:
        http.trust_env = False
        answer = http.post(f"{url}/api/token/{kind}", json=body, timeout=SECONDS)
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def test_a_node_outside_and_one_in_the_cloud_do_a_task_together(site: Site) -> None:
    """The worker `echo` answers what it was given: so the test sees it."""
    task = site.create_task(column="age")
    site.do_run({"of": "outside"})
    wait_until(lambda: site.ask("GET", f"/task/{task['id']}", site.user)["status"] == "completed")
    results = site.results(task)
    assert results[OUTSIDE] == {"of": "outside"}
    echoed = results[CLOUD]
    assert (echoed["method"], echoed["kwargs"]) == ("mean", {"column": "age"})
    assert (echoed["organization_id"], echoed["task_id"]) == (CLOUD, task["id"])


def test_large_inputs_and_results_go_by_the_store(site: Site) -> None:
    task = site.create_task(text="x" * 400_000)
    site.do_run("y")
    wait_until(lambda: site.status_of(task, CLOUD) == "completed")
    assert site.results(task)[CLOUD]["kwargs"] == {"text": "x" * 400_000}


def test_nothing_is_left_of_what_did_a_run(site: Site, cloud: LocalCloud) -> None:
    """Neither notes nor sessions: the run has all of it."""
    task = site.create_task()
    site.do_run(1)
    wait_until(lambda: site.status_of(task, CLOUD) == "completed")
    table = AwsFederationTable(cloud.status().outputs["TableName"], dynamodb_of(cloud))
    wait_until(lambda: table.list_ids("cloud-runs") == [])
    nodes = site.ask("GET", "/node", site.user, status="online")["data"]
    assert CLOUD in {node["id"] for node in nodes}
