"""Runs are handed out to their nodes: each to its own, once, with a claim or as of old."""

import pytest

from tests.unit.hospitals import INPUT, World


@pytest.fixture
def world() -> World:
    return World()


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

    def test_no_more_is_handed_out_than_an_answer_can_carry(self, world: World) -> None:
        """What does not fit waits for the next answer."""
        for name in ("a", "b", "c"):
            inputs = [{"id": 1, "input": "x" * 2_000_000}]
            world.create_task("ann", name=name, organizations=inputs)
        first = world.sync(1)["runs"]
        assert [run["id"] for run in first] == [1000, 2000]
        holding = [{"run_id": run["id"], "claim": run["claim"]} for run in first]
        assert [run["id"] for run in world.sync(1, holding=holding)["runs"]] == [3000]

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
