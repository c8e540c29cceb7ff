"""Nodes that are silent, gone or late: what they held, and whether they are shown online."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from stepgrid.testing import InMemoryGrid
from stepgrid_core.federation.node_sync import Desk, read_sync
from stepgrid_core.federation.records import Collaboration, Node
from tests.unit.hospitals import World


@pytest.fixture
def world() -> World:
    return World()


class TestNodes:
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

    def test_the_last_word_of_a_process_is_about_itself(self, world: World) -> None:
        world.sync(1, instance="b" * 16)
        world.sync(1, instance="a" * 16, leaving=True)
        assert world.json("GET", "/api/node/1", "ann")["status"] == "online"

    def test_an_offline_node_starts_when_it_comes(self, world: World) -> None:
        world.create_task()
        world.memory.clock.sleep(200 * 86_400)
        world.memory.sweep()
        world.log_node_in(3, 1)
        [run] = world.sync(3)["runs"]
        assert world.finish(3, run).status == 200

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
