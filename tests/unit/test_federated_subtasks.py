"""Subtasks, which the containers of a task ask for: of its job alone, and ended with it."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from stepgrid_core.federation.backlog import backlog_of
from stepgrid_core.memory import MemoryFederationTable
from stepgrid_core.ports import Entity, Marks
from stepgrid_core.ports.federation import NO_MARKS
from tests.unit.hospitals import SEED_BODY, World


@pytest.fixture
def world() -> World:
    return World()


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
