"""Tasks of a federation from the first request to the last result, as vantage6's clients ask."""

import base64
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest

from stepgrid.testing import InMemoryGrid
from stepgrid_core.federation.backlog import backlog_of
from stepgrid_core.federation.http import Answer
from stepgrid_core.federation.node_sync import Desk, read_sync
from stepgrid_core.federation.presence import welcome_silent
from stepgrid_core.federation.records import Collaboration, Node
from stepgrid_core.federation.registry import marks_of
from stepgrid_core.memory import MemoryFederationTable
from stepgrid_core.ports import Entity, Marks
from stepgrid_core.ports.federation import NO_MARKS
from tests.unit.hospitals import INPUT, World

SEED_BODY = {
    "description": "human readable description, not used by the code",
    "image": "docker-registry.distributedlearning.ai/docker-image-name",
    "input": "some input",
    "name": "human readable",
    "collaboration_id": 1,
}


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


class TestRepeats:
    def test_a_repeated_request_makes_one_task(self, world: World) -> None:
        assert world.create_task()["id"] == world.create_task()["id"] == 1
        assert len(world.sync(1)["runs"]) == 1

    def test_after_a_minute_it_is_another_task(self, world: World) -> None:
        first = world.create_task()
        world.memory.clock.sleep(61)
        assert world.create_task()["id"] != first["id"]

    @pytest.mark.parametrize(
        "path",
        [
            "/result?task_id=1",
            "/run?task_id=1",
            "/task/1",
            "/task/1/status",
            "/task/1/result",
            "/run/1000",
            "/result/1000",
        ],
    )
    def test_who_asked_by_its_id_means_another_one(self, world: World, path: str) -> None:
        """The answer with the id was not lost."""
        first = world.create_task()
        route, _, task_id = path.partition("?task_id=")
        query = {"task_id": task_id} if task_id else {}
        world.json("GET", route, "ann", **query)
        assert world.create_task()["id"] != first["id"]

    def test_who_lists_tasks_may_still_repeat(self, world: World) -> None:
        first = world.create_task()
        world.json("GET", "/api/task", "ann")
        assert world.create_task()["id"] == first["id"]

    @pytest.mark.parametrize("reader", ["node", "colleague"])
    def test_what_others_read_means_nothing(self, world: World, reader: str) -> None:
        """A node asks for its runs at once, before the client knows that an answer was lost."""
        first = world.create_task()
        token = {"node": world.nodes[2], "colleague": "root"}[reader]
        world.json("GET", "/api/run", token, task_id=str(first["id"]))
        assert world.create_task()["id"] == first["id"]

    def test_who_asked_for_the_blob_store_before_means_another_one(self, world: World) -> None:
        first = world.create_task()
        world.memory.clock.sleep(1)
        world.json("GET", "/api/blobstream/status", "ann")
        assert world.create_task()["id"] != first["id"]
        assert world.create_task()["id"] == first["id"] + 1

    def test_another_user_makes_another_task(self, world: World) -> None:
        assert world.create_task("ann")["id"] != world.create_task("bob")["id"]

    def test_a_token_means_the_same_task_for_ever(self, world: World) -> None:
        first = world.create_task(client_token="t")
        world.memory.clock.sleep(10_000)
        world.json("GET", "/api/result", "ann", task_id=str(first["id"]))
        assert world.create_task(client_token="t")["id"] == first["id"]
        body = {**SEED_BODY, "client_token": "t"}
        assert world.ask("POST", "/api/task", "ann", body).status == 409


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


class TestNodes:
    def test_a_node_gets_its_own_runs_alone(self, world: World) -> None:
        world.create_task()
        [run] = world.sync(2)["runs"]
        assert (run["organization"]["id"], run["status"], run["attempt"]) == (2, "initializing", 1)
        assert run["input"] == INPUT
        assert run["task"]["image"] == "harbor/average"

    def test_what_was_handed_out_in_a_lost_answer_comes_again(self, world: World) -> None:
        world.create_task()
        [first], [again] = world.sync(1)["runs"], world.sync(1)["runs"]
        assert (first["id"], first["claim"]) == (again["id"], again["claim"])
        assert world.sync(1, instance="b" * 16)["runs"] == []

    def test_who_holds_a_run_is_not_given_it_again(self, world: World) -> None:
        world.create_task()
        [run] = world.sync(1)["runs"]
        held = [{"run_id": run["id"], "claim": run["claim"]}]
        assert world.sync(1, holding=held) == {"runs": [], "stop": [], "lease_seconds": 60.0}

    def test_a_lost_node_gives_its_run_back_and_one_result_is_seen(self, world: World) -> None:
        world.create_task("ann", 1)
        [lost] = world.sync(1)["runs"]
        world.memory.clock.sleep(61)
        [run] = world.sync(1, instance="b" * 16)["runs"]
        assert run["attempt"] == 2
        assert world.finish(1, lost, "late").status == 409
        assert world.finish(1, run, "right").status == 200
        assert world.finish(1, lost, "late").status == 409
        [result] = world.json("GET", "/api/result", "ann", task_id="1")["data"]
        assert json.loads(base64.b64decode(result["result"])) == "right"

    def test_the_deployment_says_how_long_a_lost_node_is_waited_for(self) -> None:
        world = World(InMemoryGrid({}, settings={"node_lease_seconds": 10}))
        world.create_task("ann", 1)
        answer = world.sync(1)
        assert answer["lease_seconds"] == 10
        world.memory.clock.sleep(8)
        assert world.sync(1, instance="b" * 16)["runs"] == []
        [run] = answer["runs"]
        world.sync(1, holding=[{"run_id": run["id"], "claim": run["claim"]}])
        world.memory.clock.sleep(8)
        assert world.sync(1, instance="b" * 16)["runs"] == []
        world.memory.clock.sleep(3)
        assert [each["attempt"] for each in world.sync(1, instance="b" * 16)["runs"]] == [2]

    def test_a_request_that_outlived_its_process_takes_nothing(self, world: World) -> None:
        """Neither after the process has left, nor after the next one has come."""
        first = {"instance": "a" * 16, "holding": [], "capacity": 4, "wait_seconds": 20}
        world.sync(1)
        node = world.registry.find(Node, 1)
        assert node is not None
        outliving = Desk(world.federation, node, read_sync(first))
        world.create_task("ann", 1)
        assert world.sync(1, leaving=True)["runs"] == []
        assert not outliving.look()
        assert world.json("GET", "/api/node/1", "ann")["status"] == "offline"
        [run] = world.sync(1, instance="b" * 16)["runs"]
        assert run["attempt"] == 1
        world.create_task("ann", 1, name="another")
        assert not outliving.look()

    @pytest.mark.parametrize(
        ("kind", "change"),
        [(Node, {"key_hash": "of another"}), (Collaboration, {"organization_ids": (2, 3)})],
        ids=["the key was changed", "the organization has left"],
    )
    def test_a_request_that_outlived_its_right_takes_nothing(
        self, world: World, kind: type[Any], change: dict[str, Any]
    ) -> None:
        """Leaving takes two writes: what broke off after the first leaves a node behind."""
        first = {"instance": "a" * 16, "holding": [], "capacity": 4, "wait_seconds": 20}
        world.sync(1)
        node = world.registry.find(Node, 1)
        assert node is not None
        outliving = Desk(world.federation, node, read_sync(first))
        world.create_task("ann", 1)
        found = world.registry.find(kind, 1)
        assert world.registry.change(replace(found, **change))
        assert not outliving.look()

    def test_no_more_is_handed_out_than_an_answer_can_carry(self, world: World) -> None:
        """What does not fit waits for the next answer."""
        for name in ("a", "b", "c"):
            inputs = [{"id": 1, "input": "x" * 2_000_000}]
            world.create_task("ann", name=name, organizations=inputs)
        first = world.sync(1)["runs"]
        assert [run["id"] for run in first] == [1000, 2000]
        holding = [{"run_id": run["id"], "claim": run["claim"]} for run in first]
        assert [run["id"] for run in world.sync(1, holding=holding)["runs"]] == [3000]

    def test_the_last_word_of_a_process_is_about_itself(self, world: World) -> None:
        world.sync(1, instance="b" * 16)
        world.sync(1, instance="a" * 16, leaving=True)
        assert world.json("GET", "/api/node/1", "ann")["status"] == "online"

    def test_the_same_end_twice_is_no_error(self, world: World) -> None:
        world.create_task("ann", 1)
        [run] = world.sync(1)["runs"]
        assert [world.finish(1, run, 1).status for _ in range(2)] == [200, 200]
        assert world.finish(1, run, 2).status == 409

    def test_an_offline_node_starts_when_it_comes(self, world: World) -> None:
        world.create_task()
        world.memory.clock.sleep(200 * 86_400)
        world.memory.sweep()
        world.log_node_in(3, 1)
        [run] = world.sync(3)["runs"]
        assert world.finish(3, run).status == 200

    def test_a_deadline_ends_what_waits(self, world: World) -> None:
        world.create_task("ann", 1, timeout_seconds=60)
        world.memory.clock.sleep(120)
        world.memory.sweep()
        assert world.sync(1)["runs"] == []
        assert world.json("GET", "/api/task/1/status", "ann") == {"status": "failed"}

    def test_a_failed_run_fails_those_that_nobody_began(self, world: World) -> None:
        world.create_task()
        [run] = world.sync(1)["runs"]
        [other] = world.sync(2)["runs"]
        assert world.finish(1, run, status="crashed", result=None).status == 200
        assert world.sync(3)["runs"] == []
        assert world.finish(2, other).status == 200
        runs = world.json("GET", "/api/run", "ann", task_id="1")["data"]
        assert [each["status"] for each in runs] == ["failed", "completed", "crashed"]
        assert world.json("GET", "/api/task/1/status", "ann") == {"status": "failed"}

    def test_a_killed_run_is_to_be_stopped(self, world: World) -> None:
        world.create_task()
        [run] = world.sync(1)["runs"]
        answer = world.json("POST", "/api/kill/task", "root", {"id": 1})
        assert "instructed to kill" in answer["msg"]
        held = [{"run_id": run["id"], "claim": run["claim"]}]
        assert world.sync(1, holding=held)["stop"] == [run["id"]]
        assert world.finish(1, run).status == 409
        assert world.json("GET", "/api/task/1/status", "ann") == {"status": "killed by user"}
        assert world.ask("POST", "/api/kill/task", "root", {"id": 1}).status == 400

    @pytest.mark.parametrize(
        "time",
        ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00", "9999-12-31T23:59:59.999999"],
    )
    def test_a_time_is_one_that_can_be_shown(self, world: World, time: str) -> None:
        """Else a node could keep everybody from reading the runs of the task."""
        world.create_task("ann", 1)
        [run] = world.sync(1)["runs"]
        for name in ("started_at", "finished_at"):
            answered = world.finish(1, run, **{name: time})
            assert answered.status == 400
            assert answered.body["errors"] == {name: ["Not a valid datetime."]}
        assert world.finish(1, run, finished_at=time[:19]).status == 200
        assert world.json("GET", "/api/run/1000", "ann")["finished_at"][:19] == time[:19]

    def test_a_status_is_text_that_can_be_shown(self, world: World) -> None:
        world.create_task("ann", 1)
        [run] = world.sync(1)["runs"]
        assert world.finish(1, run, status="\ud800").status == 400

    def test_a_node_can_not_touch_the_runs_of_another(self, world: World) -> None:
        world.create_task()
        [run] = world.sync(1)["runs"]
        answered = world.ask("PATCH", f"/api/run/{run['id']}", world.nodes[2], {"status": "x"})
        assert (answered.status, answered.body["msg"]) == (
            401,
            "This is not your algorithm run to PATCH!",
        )

    @pytest.mark.parametrize("which", [{}, {"task_id": "1"}], ids=["all", "of a task"])
    def test_an_old_node_is_shown_its_own_runs_alone(
        self, world: World, which: dict[str, str]
    ) -> None:
        """vantage6's asks for those of each new task, by both ids, and runs whatever it gets."""
        world.create_task()
        query = {"state": "open", "node_id": "2", **which}
        page = world.json("GET", "/api/run", world.nodes[2], **query)
        assert [run["id"] for run in page["data"]] == [1001]

    def test_a_run_shows_its_node_as_the_node_is_shown(self, world: World) -> None:
        """In the cloud it is always there; gone, it is offline before anybody has told so."""
        world.create_task("ann", 1, 2)
        world.sync(1)
        assert world.json("GET", "/api/run/1000", "ann")["node"]["status"] == "online"
        world.memory.clock.sleep(100)
        assert world.json("GET", "/api/run/1000", "ann")["node"]["status"] == "offline"
        node = world.registry.find(Node, 2)
        assert node is not None
        assert world.registry.change(replace(node, cloud={"worker": "mean", "backend": "lambda"}))
        assert world.json("GET", "/api/run/1001", "ann")["node"]["status"] == "online"

    def test_an_old_node_needs_no_claim(self, world: World) -> None:
        world.create_task("ann", 1)
        page = world.json(
            "GET", "/api/run", world.nodes[1], state="open", node_id="1", include="task"
        )
        [run] = page["data"]
        assert run["task"]["id"] == 1
        path, node = f"/api/run/{run['id']}", world.nodes[1]
        begun = {"started_at": "2026-11-30T12:00:00+00:00", "status": "active"}
        assert world.json("PATCH", path, node, begun)["status"] == "active"
        assert world.json("GET", "/api/task/1/status", "ann") == {"status": "active"}
        ended = {"status": "completed", "result": "Mw==", "finished_at": "2026-11-30T12:00:09"}
        assert world.json("PATCH", path, node, ended)["status"] == "completed"
        again = world.ask("PATCH", path, node, ended)
        assert (again.status, again.body["msg"]) == (
            400,
            "Cannot update an already finished algorithm run!",
        )
        assert world.sync(1)["runs"] == []


class TestSubtasks:
    def container(self, world: World, organization_id: int = 1) -> str:
        body = {"task_id": 1, "image": "harbor/average"}
        token = world.nodes[organization_id]
        return str(world.json("POST", "/api/token/container", token, body)["container_token"])

    def test_a_container_asks_for_subtasks_of_its_task(self, world: World) -> None:
        world.create_task("ann", 1)
        [run] = world.sync(1)["runs"]
        token = self.container(world)
        child = world.create_task(token, 2, 3)
        assert (child["job_id"], child["parent"]["id"]) == (1, 1)
        assert (
            child["init_user"]["id"] == world.json("GET", "/api/task/1", "ann")["init_user"]["id"]
        )
        for organization in (2, 3):
            [part] = world.sync(organization)["runs"]
            world.finish(organization, part, organization)
        results = world.json("GET", "/api/result", token, task_id=str(child["id"]))["data"]
        assert len(results) == 2
        world.finish(1, run, "sum")
        assert world.ask("GET", "/api/task/2", token).status == 401

    def test_of_another_image_it_can_not(self, world: World) -> None:
        world.create_task("ann", 1)
        world.sync(1)
        body = {**SEED_BODY, "image": "harbor/other"}
        answered = world.ask("POST", "/api/task", self.container(world), body)
        assert (answered.status, answered.body["msg"]) == (401, "Container-token is not valid")

    def test_it_sees_no_other_job(self, world: World) -> None:
        world.create_task("ann", 1)
        world.sync(1)
        other = world.create_task("bob", 2)
        token = self.container(world)
        assert world.ask("GET", f"/api/task/{other['id']}", token).status == 404
        assert world.ask("GET", f"/api/run/{other['id']}000", token).status == 404
        assert [each["id"] for each in world.json("GET", "/api/task", token)["data"]] == [1]

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [("POST", "/api/kill/task", {"id": 1}), ("DELETE", "/api/task/1", None)],
    )
    def test_no_subtask_is_too_deep_to_be_ended(
        self, world: World, method: str, path: str, body: Any
    ) -> None:
        """An algorithm may nest them as it likes, and its run has to end all the same."""
        token, depth = "ann", 30
        for id in range(1, depth + 1):
            assert world.create_task(token, 1)["id"] == id
            asked = {"task_id": id, "image": "harbor/average"}
            answered = world.json("POST", "/api/token/container", world.nodes[1], asked)
            token = answered["container_token"]
        world.json(method, path, "root", body)
        assert world.ask("POST", "/api/task", token, SEED_BODY).status == 401
        assert world.sync(1)["runs"] == []
        assert world.table.list_ids(backlog_of(1, 1)) == []

    @pytest.mark.parametrize("ends", ["kill", "delete"])
    def test_a_subtask_that_comes_while_its_parent_is_ended_ends_too(self, ends: str) -> None:
        """It was allowed, and is there only after the subtasks were looked for."""
        world = World(table=(table := Interrupted()))
        world.create_task("ann", 1)
        token = self.container(world)
        table.before_create = lambda: end_task(world, ends)
        world.create_task(token, 2)
        assert table.before_create is None
        assert world.sync(2)["runs"] == []
        shown = world.ask("GET", "/api/task/2/status", "root")
        assert shown.status == 404 or shown.body == {"status": "killed by user"}
        assert (shown.status == 404) is (ends == "delete")

    @pytest.mark.parametrize("ends", ["kill", "delete"])
    def test_a_subtask_that_comes_once_subtasks_were_looked_for_ends_too(self, ends: str) -> None:
        world = World(table=(table := Interrupted()))
        world.create_task("ann", 1)
        token = self.container(world)
        table.after_list = lambda: world.create_task(token, 2)
        end_task(world, ends)
        assert table.after_list is None
        assert world.sync(2)["runs"] == []

    def test_a_killed_run_has_lost_its_token(self, world: World) -> None:
        """Also where the runs of others go on: what is killed alone has no record of its end."""
        world.create_task("ann", 1, 2)
        world.sync(1)
        token = self.container(world)
        assert world.ask("GET", "/api/task/1", token).status == 200
        world.json("POST", "/api/kill/node/tasks", "root", {"id": 1})
        assert world.json("GET", "/api/run/1001", "ann")["status"] == "pending"
        assert world.ask("GET", "/api/task/1", token).status == 401

    def test_a_kill_ends_the_subtasks_too(self, world: World) -> None:
        world.create_task("ann", 1)
        world.sync(1)
        child = world.create_task(self.container(world), 2)
        world.json("POST", "/api/kill/task", "root", {"id": 1})
        status = world.json("GET", f"/api/task/{child['id']}/status", "ann")
        assert status == {"status": "killed by user"}


class Interrupted(MemoryFederationTable):
    """Somebody else is at work before a task is stored, or after those of a job were read."""

    before_create: Callable[[], object] | None = None
    after_list: Callable[[], object] | None = None

    def create(
        self, kind: str, id: int, values: Mapping[str, Any], marks: Marks = NO_MARKS
    ) -> Entity | None:
        if kind == "task" and (do := self.before_create):
            self.before_create = None
            do()
        return super().create(kind, id, values, marks)

    def list_ids(
        self, listed: str, *, after: int = 0, limit: int | None = None, newest_first: bool = False
    ) -> list[int]:
        found = super().list_ids(listed, after=after, limit=limit, newest_first=newest_first)
        if listed == "tasks:job:1" and (do := self.after_list):
            self.after_list = None
            do()
        return found


def end_task(world: World, how: str) -> None:
    if how == "kill":
        world.json("POST", "/api/kill/task", "root", {"id": 1})
    else:
        world.json("DELETE", "/api/task/1", "root")


class Reads(MemoryFederationTable):
    """Counts what is read of each kind."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def read(self, kind: str, id: int) -> Entity | None:
        self.counts[kind] += 1
        return super().read(kind, id)

    def read_many(self, kind: str, ids: Sequence[int]) -> list[Entity]:
        found = super().read_many(kind, ids)
        self.counts[kind] += len(found)
        return found


class TestCosts:
    @pytest.mark.parametrize("asks", ["ann", "root"])
    @pytest.mark.parametrize("query", [{}, {"collaboration_id": "1"}], ids=["all", "of one"])
    def test_a_page_of_tasks_reads_no_other_task(self, asks: str, query: dict[str, str]) -> None:
        world = World(table=(table := Reads()))
        for number in range(12):
            world.create_task(name=str(number))
        table.counts.clear()
        answered = world.ask("GET", "/api/task", asks, per_page="3", page="2", **query)
        assert [each["name"] for each in answered.body["data"]] == ["8", "7", "6"]
        assert answered.headers == {"total-count": "12"}
        assert table.counts["task"] == 3

    def test_what_waits_costs_an_old_node_nothing(self) -> None:
        """It pings once a minute, and renews what it has begun."""
        world = World(table=(table := Reads()))
        for number in range(12):
            world.create_task("ann", 1, name=str(number))
        begun = {"started_at": "2026-11-30T12:00:00+00:00", "status": "active"}
        world.json("PATCH", "/api/run/3000", world.nodes[1], begun)
        node = world.registry.find(Node, 1)
        assert node is not None
        table.counts.clear()
        world.memory.clock.sleep(600)
        welcome_silent(world.federation, node)
        assert table.counts["task"] == 1
        world.memory.clock.sleep(600)
        world.memory.sweep()
        assert world.json("GET", "/api/run/3000", "ann")["attempt"] == 1


class TestLists:
    def test_pages(self, world: World) -> None:
        for number in range(12):
            world.create_task(name=str(number))
        page = world.json("GET", "/api/task", "ann", page="2", per_page="5")
        assert [each["name"] for each in page["data"]] == ["6", "5", "4", "3", "2"]
        assert page["links"]["next"].endswith("page=3")
        assert page["links"]["prev"].endswith("page=1")
        assert page["links"]["last"].endswith("page=3")
        assert world.ask("GET", "/api/task", "ann", page="0").status == 400

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ({"name": "ag%"}, ["age"]),
            ({"name": "_ge"}, ["age"]),
            ({"collaboration_id": "1"}, ["sex", "age"]),
            ({"collaboration_id": "2"}, []),
            ({"init_org_id": "1"}, ["age"]),
            ({"init_org_id": "2"}, ["sex"]),
            ({"job_id": "2"}, ["sex"]),
            ({"run_id": "1000"}, ["age"]),
            ({"status": "pending"}, ["sex", "age"]),
            ({"status": "completed"}, []),
            ({"database": "default"}, ["sex", "age"]),
            ({"is_user_created": "0"}, []),
            ({"image": "harbor/%", "name": "sex"}, ["sex"]),
        ],
    )
    def test_filters(self, world: World, query: dict, names: list) -> None:
        world.create_task("ann", name="age")
        world.create_task("bob", name="sex")
        found = world.json("GET", "/api/task", "ann", **query)["data"]
        assert [each["name"] for each in found] == names

    def test_results_that_are_large_are_more_pages(self, world: World) -> None:
        world.create_task()
        for organization in (1, 2, 3):
            [run] = world.sync(organization)["runs"]
            world.finish(organization, run, "x" * 1_500_000)
        page = world.json("GET", "/api/result", "ann", task_id="1")
        assert len(page["data"]) == 2
        assert "next" in page["links"]

    def test_a_bare_list_is_whole_or_refused(self, world: World) -> None:
        """Who asks for one would take a part of the results for all of them."""
        world.create_task()
        for organization in (1, 2, 3):
            [run] = world.sync(organization)["runs"]
            world.finish(organization, run, "x" * 1_500_000)
        answered = world.ask("GET", "/task/1/result", "ann")
        assert answered.status == 413
        assert "page=1&per_page=2" in answered.body["msg"]
        pages = [
            world.json("GET", "/task/1/result", "ann", per_page="2", page=page)
            for page in ("1", "2")
        ]
        assert [len(page) for page in pages] == [2, 1]

    def test_inputs_that_are_large_are_more_pages(self, world: World) -> None:
        for name in ("a", "b", "c"):
            inputs = [{"id": 1, "input": "x" * 2_000_000}]
            world.create_task("ann", name=name, organizations=inputs)
        page = world.json("GET", "/api/run", "ann")
        assert len(page["data"]) == 2
        assert "next" in page["links"]

    def test_links_can_be_followed(self, world: World) -> None:
        for name in ("a&b", "a&c"):
            world.create_task("ann", name=name)
        page = world.json("GET", "/api/task", "ann", name="a&%", per_page="1")
        path, _, query = page["links"]["next"].partition("?")
        asked = dict(parse_qsl(query))
        found = world.json("GET", path.removeprefix("/dev"), "ann", **asked)
        assert [each["name"] for each in found["data"]] == ["a&b"]

    def test_a_result_that_no_answer_can_carry_is_refused(self, world: World) -> None:
        world.create_task("ann", 1)
        [run] = world.sync(1)["runs"]
        assert world.finish(1, run, "x" * 4_000_000).status == 413
        assert world.finish(1, run, status="failed", result=None, log="too large").status == 200


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
