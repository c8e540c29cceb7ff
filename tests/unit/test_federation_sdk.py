"""grid.federation: tasks for organizations, over the real routes and a federation in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from stepgrid import (
    AccessDenied,
    ConfigurationError,
    DeadlineExceeded,
    Grid,
    InvalidRequest,
    NotFound,
    TaskCancelled,
    TaskFailed,
)
from stepgrid.federated_session import FederatedSession, Run
from stepgrid.federation import Federation
from stepgrid.federation_crypto import DecryptionFailed, PrivateKey
from stepgrid.testing import InMemoryGrid
from stepgrid.testing.federation import owner_named
from stepgrid_core.errors import PayloadCorrupted
from stepgrid_core.federation.records import Node

AGES = {"Asclepius": 61.5, "Hygieia": 48.0, "Panacea": 30.25}
IMAGE = "harbor.example.org/average"


def make_key() -> PrivateKey:
    """A small one: it is quick to make, and no less a key."""
    return PrivateKey(rsa.generate_private_key(public_exponent=65537, key_size=2048))


KEYS = {name: make_key() for name in AGES}


def average(organization: str, *columns: str, scale: float = 1.0) -> Any:
    if "none" in columns:
        raise LookupError("no such column")
    return AGES[organization] * scale


def document() -> dict[str, Any]:
    members = list(AGES)
    keys = {name: _pem(key) for name, key in KEYS.items()}
    return {
        "organizations": [{"name": each, "public_key": keys[each]} for each in members],
        "collaborations": [
            {
                "name": "counts",
                "organizations": members,
                "nodes": "all",
                "studies": [{"name": "pilot", "organizations": members[:2]}],
            },
            {"name": "heart", "encrypted": True, "organizations": members, "nodes": "all"},
            {"name": "elsewhere", "organizations": members[2:], "nodes": "all"},
        ],
        "users": [
            {"username": "tester", "organization": "Asclepius", "roles": ["Researcher"]},
            {"username": "viewer", "organization": "Asclepius", "roles": ["Viewer"]},
        ],
    }


def _pem(key: PrivateKey) -> str:
    import base64

    return base64.b64decode(key.public_key.text).decode()


@pytest.fixture
def memory() -> InMemoryGrid:
    return InMemoryGrid({}, federation=document(), algorithms={"average": average})


@pytest.fixture
def grid(memory: InMemoryGrid) -> Iterator[Grid]:
    with memory.client() as grid:
        yield grid


@pytest.fixture
def federation(grid: Grid) -> Federation:
    return grid.federation


class TestWhoAndWhat:
    def test_whoami(self, federation: Federation) -> None:
        member = federation.whoami()
        assert (member.username, member.organization.name) == ("tester", "Asclepius")
        assert member.organization.public_key == KEYS["Asclepius"].public_key.text

    def test_a_stranger_is_refused(self, memory: InMemoryGrid) -> None:
        with memory.client(owner_named("stranger")) as grid, pytest.raises(AccessDenied):
            grid.federation.whoami()

    def test_one_sees_ones_own_collaborations(self, federation: Federation) -> None:
        found = {each.name: each for each in federation.collaborations()}
        assert {name: each.encrypted for name, each in found.items()} == {
            "counts": False,
            "heart": True,
        }
        assert [each.name for each in found["counts"].organizations] == list(AGES)

    def test_a_collaboration_has_a_name_and_an_id(self, federation: Federation) -> None:
        assert federation.collaboration("heart") == federation.collaboration(2)
        with pytest.raises(NotFound, match="'elsewhere' of yours; there is: 'counts', 'heart'"):
            federation.collaboration("elsewhere")

    def test_nodes_are_online_once_they_were_heard_of(
        self, memory: InMemoryGrid, federation: Federation
    ) -> None:
        """Those of the encrypted collaboration never were."""
        federation.whoami()
        memory.run()
        assert [each.online for each in federation.nodes("counts")] == [True] * 3
        nodes = federation.nodes(2)
        assert [each.online for each in nodes] == [False] * 3
        assert [(each.organization_id, each.collaboration_id) for each in nodes] == [
            (id, 2) for id in (1, 2, 3)
        ]


class TestResults:
    def test_they_come_by_organization(self, federation: Federation) -> None:
        session = federation.submit(IMAGE, "average", collaboration="counts", args=["age"])
        assert session.by_organization() == AGES
        assert session.results() == list(session) == list(AGES.values())
        assert repr(session).endswith(f"of task 1 at {list(AGES)}>")

    def test_kwargs_and_some_organizations(self, federation: Federation) -> None:
        """In the order in which they were named, by name or id."""
        session = federation.submit(
            IMAGE,
            "average",
            collaboration=1,
            kwargs={"scale": 2},
            organizations=["Hygieia", 1],
            name="doubled",
        )
        assert session.by_organization() == {"Hygieia": 96.0, "Asclepius": 123.0}
        assert session.status().name == "doubled"

    def test_runs_say_whose_they_are(self, federation: Federation) -> None:
        session = federation.submit(IMAGE, "average", collaboration="counts")
        runs = list(session.as_completed())
        assert all(isinstance(run, Run) for run in runs)
        assert {run.organization: run.result() for run in runs} == AGES
        assert repr(runs[0]) == f"<Run {runs[0].id} at {runs[0].organization} finished>"
        assert session.task(1).result() == 48.0

    def test_a_run_that_crashed(self, federation: Federation) -> None:
        """With the log's end; and what nobody had begun is not begun."""
        session = federation.submit(
            IMAGE, "average", collaboration="counts", args=["none"], organizations=["Panacea"]
        )
        with pytest.raises(TaskFailed, match="no such column") as caught:
            session.results()
        assert caught.value.remote_type == "crashed"
        (error,) = session.by_organization(return_exceptions=True).values()
        assert isinstance(error, TaskFailed)

    def test_a_cancelled_session_has_none(self, memory: InMemoryGrid, grid: Grid) -> None:
        memory.autorun = False
        session = grid.federation.submit(IMAGE, "average", collaboration="counts")
        assert session.cancel().total_cancelled_tasks == 3
        memory.run()
        assert all(
            isinstance(each, TaskCancelled) for each in session.results(return_exceptions=True)
        )

    def test_a_node_that_is_away_is_waited_for(self, memory: InMemoryGrid, grid: Grid) -> None:
        memory.autorun = False
        session = grid.federation.submit(IMAGE, "average", collaboration="counts")
        with pytest.raises(DeadlineExceeded):
            session.by_organization(timeout=3600)
        memory.run()
        assert session.by_organization() == AGES

    def test_a_timeout_ends_what_waits(self, memory: InMemoryGrid, grid: Grid) -> None:
        memory.autorun = False
        session = grid.federation.submit(
            IMAGE, "average", collaboration="counts", timeout_seconds=60
        )
        memory.clock.advance(61)
        memory.sweep()
        assert session.status().state == "failed"

    def test_another_process_goes_on(self, memory: InMemoryGrid, federation: Federation) -> None:
        task_id = federation.submit(IMAGE, "average", collaboration="counts").task_id
        with memory.client() as again:
            assert again.federation.session(task_id).by_organization() == AGES
            with pytest.raises(NotFound):
                again.federation.session(77)

    def test_what_is_no_result_of_an_algorithm(self, memory: InMemoryGrid, grid: Grid) -> None:
        memory.autorun = False
        session = grid.federation.submit(
            IMAGE, "average", collaboration="counts", organizations=["Asclepius"]
        )
        end_with(memory, session, "no base64!")
        with pytest.raises(PayloadCorrupted, match=f"task {session.task_id}"):
            session.results()

    def test_a_token_means_one_task(self, federation: Federation) -> None:
        asked = {"collaboration": "counts", "client_token": "t"}
        first = federation.submit(IMAGE, "average", **asked)
        assert federation.submit(IMAGE, "average", **asked).task_id == first.task_id
        assert federation.submit(IMAGE, "average", collaboration="counts").id != first.id

    def test_a_study(self, federation: Federation) -> None:
        """Without names it is all of the study, though the collaboration has more."""
        asked = {"collaboration": "counts", "study_id": 1}
        session = federation.submit(IMAGE, "average", **asked)
        assert session.organizations == ["Asclepius", "Hygieia"]
        session = federation.submit(IMAGE, "average", **asked, organizations=["Hygieia"])
        assert session.organizations == ["Hygieia"]
        with pytest.raises(InvalidRequest, match="not within the specified study"):
            federation.submit(IMAGE, "average", **asked, organizations=["Panacea"])


class TestRefusals:
    def test_what_is_not_json(self, federation: Federation) -> None:
        with pytest.raises(InvalidRequest, match="JSON"):
            federation.submit(IMAGE, "average", collaboration="counts", args=[{1, 2}])

    def test_an_organization_of_none_such_name(self, federation: Federation) -> None:
        with pytest.raises(NotFound, match="no organization 'Atlantis'; it has 'Asclepius'"):
            federation.submit(IMAGE, "a", collaboration="counts", organizations=["Atlantis"])

    def test_who_may_only_look(self, memory: InMemoryGrid) -> None:
        with memory.client(owner_named("viewer")) as grid, pytest.raises(AccessDenied):
            grid.federation.submit(IMAGE, "average", collaboration="counts")


class TestEncrypted:
    @pytest.fixture
    def key_file(self, tmp_path: Path) -> Path:
        KEYS["Asclepius"].save(tmp_path / "key.pem")
        return tmp_path / "key.pem"

    def test_each_node_reads_its_input_and_the_researcher_all_results(
        self, memory: InMemoryGrid, grid: Grid, key_file: Path
    ) -> None:
        session = grid.federation.submit(
            IMAGE, "average", collaboration="heart", args=["age"], private_key=key_file
        )
        for name, node in nodes_of(memory, 2).items():
            (run,) = take(memory, node)
            asked = json.loads(KEYS[name].decrypt(run["input"]))
            assert asked == {"method": "average", "args": ["age"], "kwargs": {}}
            answer = KEYS["Asclepius"].public_key.encrypt(json.dumps(AGES[name]).encode())
            end(memory, node, run, answer)
        assert session.by_organization() == AGES
        again = grid.federation.session(session.task_id, KEYS["Asclepius"])
        assert again.results() == list(AGES.values())
        others = grid.federation.session(session.task_id, KEYS["Hygieia"])
        with pytest.raises((DecryptionFailed, PayloadCorrupted)):
            others.results()

    def test_it_needs_a_key(self, federation: Federation, tmp_path: Path) -> None:
        """Before anything is sent."""
        for key, words in {
            None: "give private_key",
            tmp_path / "none.pem": "can't be read",
            Path(__file__): "no RSA private key",
        }.items():
            with pytest.raises(ConfigurationError, match=words):
                federation.submit(IMAGE, "average", collaboration="heart", private_key=key)

    def test_an_organization_without_a_key_is_named(self, key_file: Path) -> None:
        values = document()
        del values["organizations"][1]["public_key"]
        memory = InMemoryGrid({}, federation=values)
        with memory.client() as grid, pytest.raises(ConfigurationError, match="Hygieia"):
            grid.federation.submit(IMAGE, "average", collaboration="heart", private_key=key_file)


def nodes_of(memory: InMemoryGrid, collaboration_id: int) -> dict[str, Node]:
    assert memory.federation is not None
    found = memory.federation.service.registry.find_all(Node)
    names = list(AGES)
    return {
        names[each.organization_id - 1]: each
        for each in found
        if each.collaboration_id == collaboration_id
    }


def take(memory: InMemoryGrid, node: Node) -> list[dict[str, Any]]:
    assert memory.federation is not None
    return memory.federation.take(node)


def end(memory: InMemoryGrid, node: Node, run: dict[str, Any], result: str) -> None:
    assert memory.federation is not None
    memory.federation.end(node, run, status="completed", result=result)


def end_with(memory: InMemoryGrid, session: FederatedSession, result: str) -> None:
    """As the first organization's node."""
    node = nodes_of(memory, 1)[session.organizations[0]]
    (run,) = take(memory, node)
    end(memory, node, run, result)
