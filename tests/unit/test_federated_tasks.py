"""Tasks of a federation from the first request to the last result, as vantage6's clients ask."""

import base64
import json
import math
from dataclasses import replace
from typing import Any

import pytest

from stepgrid_core.federation.http import Answer
from stepgrid_core.federation.records import Collaboration
from stepgrid_core.federation.registry import marks_of
from tests.unit.hospitals import INPUT, SEED_BODY, World

DEEP: Any = json.loads("[" * 100 + "]" * 100)


@pytest.fixture
def world() -> World:
    return World()


def finish_all(world: World, task: dict) -> None:
    for organization in (1, 2, 3):
        for run in world.sync(organization)["runs"]:
            assert world.finish(organization, run, {"of": organization}).status == 200


def test_a_task_goes_to_every_organization_and_comes_back(world: World) -> None:
    task = world.create_task()
    assert (task["id"], task["job_id"], task["status"], task["complete"]) == (
        1,
        1,
        "pending",
        False,
    )
    assert task["runs"] == "/dev/api/run?task_id=1"
    finish_all(world, task)
    assert world.json("GET", "/api/task/1/status", "ann") == {"status": "completed"}
    page = world.json("GET", "/api/result", "ann", task_id="1")
    assert set(page) == {"data", "links"}
    results = [json.loads(base64.b64decode(each["result"])) for each in page["data"]]
    assert sorted(each["of"] for each in results) == [1, 2, 3]
    shown = world.json("GET", "/api/task/1", "ann")
    assert shown["complete"]
    assert shown["finished_at"].endswith("+00:00")


def test_the_old_body_goes_to_all_that_have_a_node(world: World) -> None:
    task = world.json("POST", "/task", "ann", SEED_BODY)
    runs = world.json("GET", "/run", "ann", task_id=str(task["id"]))
    assert [run["input"] for run in runs] == ["some input"] * 3
    assert [run["organization"]["id"] for run in runs] == [3, 2, 1]


def test_the_old_clients_get_bare_lists_with_the_node(world: World) -> None:
    task = world.create_task()
    finish_all(world, task)
    results = world.json("GET", "/task/1/result", "ann")
    assert sorted(each["node"] for each in results) == [1, 2, 3]
    assert isinstance(world.json("GET", "/result", "ann", task_id="1"), list)
    assert "data" in world.json("GET", "/result", "ann", task_id="1", include="metadata")


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"collaboration_id": 9}, 404, "Collaboration id=9 not found!"),
        ({"organizations": [{"id": 4, "input": INPUT}]}, 400, "At least one of the supplied"),
        ({"organizations": []}, 400, "No organizations provided"),
        ({"organizations": [{"id": "x"}]}, 400, "Request body is incorrect"),
        ({"image": None}, 400, "Request body is incorrect"),
        ({"databases": [{"no": "label"}]}, 400, "Request body is incorrect"),
        ({"study_id": 7}, 404, "Study id=7 not found"),
        ({"organizations": [{"id": 1, "input": "YQ==$YQ==$YQ=="}]}, 400, "seems encrypted"),
        ({"timeout_seconds": -1}, 400, "Request body is incorrect"),
        ({"databases": [{"label": "a", "most": math.inf}]}, 400, "Request body is incorrect"),
        ({"databases": [{"label": "a", "query": "x" * 400_000}]}, 400, "Request body is incorrect"),
        ({"databases": [{"label": "a", "deep": DEEP}]}, 400, "Request body is incorrect"),
        ({"name": "\ud800"}, 400, "Request body is incorrect"),
        ({"client_token": "\ud800"}, 400, "Request body is incorrect"),
        (
            {"organizations": [{"id": 1, "input": INPUT}, {"id": 1, "input": INPUT}]},
            400,
            "supplied twice",
        ),
    ],
)
def test_a_bad_task_is_refused_and_changes_nothing(
    world: World, change: dict, status: int, message: str
) -> None:
    body = {
        "name": "n",
        "image": "i",
        "collaboration_id": 1,
        "organizations": [{"id": 1, "input": INPUT}],
        **change,
    }
    answered = world.ask("POST", "/api/task", "ann", body)
    assert answered.status == status
    assert message in answered.body["msg"]
    assert world.table.list_ids("tasks") == []
    assert not world.memory.table.list_sessions("cognito:ann", None, None, 10).items


def test_who_is_in_another_collaboration_can_make_no_task_here(world: World) -> None:
    """And is told nothing of it, unless it sees all collaborations."""
    answered = world.ask("POST", "/api/task", "eve", SEED_BODY)
    assert answered.status == 404
    unknown = world.ask("POST", "/api/task", "eve", {**SEED_BODY, "collaboration_id": 9})
    assert unknown.body["msg"].replace("9", "1") == answered.body["msg"]
    answered = world.ask("POST", "/api/task", "root", {**SEED_BODY, "collaboration_id": 2})
    assert answered.status == 401
    assert "participating in" in answered.body["msg"]


def test_a_task_needs_a_node_at_each_organization(world: World) -> None:
    node = world.registry.node_of(2, 1)
    assert node is not None
    assert world.registry.delete(node, marks_of(node))
    body = {"image": "i", "collaboration_id": 1, "organizations": [{"id": 2, "input": INPUT}]}
    answered = world.ask("POST", "/api/task", "ann", body)
    assert answered.status == 400
    assert answered.body["msg"].endswith("following organization(s): 2.")
    assert len(world.json("POST", "/task", "ann", SEED_BODY)) > 1
    assert len(world.json("GET", "/run", "ann", task_id="1")) == 2


class TestEncryption:
    def send(self, world: World, run: Any, result: str) -> Answer:
        body = {"claim": run["claim"], "status": "completed", "result": result}
        return world.ask("PATCH", f"/api/run/{run['id']}", world.nodes[1], body)

    def test_readable_input_is_refused_where_it_must_be_encrypted(self, world: World) -> None:
        entity = world.table.read("collaboration", 1)
        assert entity is not None
        assert world.table.replace(entity, {**entity.values, "encrypted": True})
        answered = world.ask("POST", "/api/task", "ann", SEED_BODY)
        assert answered.status == 400
        assert "requires encryption" in answered.body["msg"]
        sealed = {"organizations": [{"id": 1, "input": "YQ==$YQ==$YQ=="}]}
        assert world.create_task(**sealed)["id"]

    @pytest.mark.parametrize("result", ["YQ==$YQ==$YQ==", "YQ==$YQ==$"], ids=["some", "empty"])
    def test_a_readable_result_is_refused_too(self, world: World, result: str) -> None:
        """A node that was set up wrongly would show it to everybody."""
        collaboration = world.registry.find(Collaboration, 1)
        assert collaboration is not None
        assert world.registry.change(replace(collaboration, encrypted=True))
        world.create_task(organizations=[{"id": 1, "input": "YQ==$YQ==$YQ=="}])
        [run] = world.sync(1)["runs"]
        refused = world.finish(1, run, {"mean": 3})
        assert refused.status == 400
        assert "is not encrypted" in refused.body["msg"]
        assert world.json("GET", "/api/result/1000", "ann")["result"] is None
        assert self.send(world, run, result).status == 200


class TestDeletion:
    def test_a_task_is_deleted_with_all_of_it(self, world: World) -> None:
        world.create_task("root")
        assert world.json("DELETE", "/api/task/1", "root")["msg"]
        for path in ("/api/task/1", "/api/run/1000", "/api/result/1000"):
            assert world.ask("GET", path, "root").status == 404
        assert world.sync(1)["runs"] == []
        assert world.table.list_ids("tasks") == []

    def test_a_researcher_deletes_those_of_the_own_organization(self, world: World) -> None:
        world.create_task("bob")
        assert world.ask("DELETE", "/api/task/1", "ann").status == 401
        assert world.json("DELETE", "/api/task/1", "bob")["msg"]


class TestRemoval:
    def test_an_organization_that_was_removed_sees_nothing_any_more(self, world: World) -> None:
        world.create_task("ann")
        entity = world.table.read("collaboration", 1)
        assert entity is not None
        world.table.replace(entity, {**entity.values, "organization_ids": [2, 3]})
        for path in ("/api/task/1", "/api/run/1000", "/api/result/1001", "/api/task/1/status"):
            assert world.ask("GET", path, "ann").status == 404
        assert world.json("GET", "/api/task", "ann")["data"] == []
        assert world.ask("POST", "/api/task", "ann", SEED_BODY).status == 404
        assert world.ask("GET", "/api/task/1", "bob").status == 200

    def test_unknown_and_foreign_ids_are_answered_alike(self, world: World) -> None:
        world.create_task("ann")
        for path in ("/api/task/{}", "/api/task/{}/status", "/api/task/{}/result"):
            foreign, unknown = (world.ask("GET", path.format(id), "eve") for id in (1, 2))
            assert foreign.status == unknown.status == 404
            assert foreign.body["msg"].replace("1", "2") == unknown.body["msg"]
