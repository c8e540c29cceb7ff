"""Runs end: by the word of their nodes, at a deadline, with others, or killed."""

import pytest

from tests.unit.hospitals import World


@pytest.fixture
def world() -> World:
    return World()


class TestNodes:
    def test_the_same_end_twice_is_no_error(self, world: World) -> None:
        world.create_task("ann", 1)
        [run] = world.sync(1)["runs"]
        assert [world.finish(1, run, 1).status for _ in range(2)] == [200, 200]
        assert world.finish(1, run, 2).status == 409

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
