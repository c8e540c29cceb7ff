"""A request for a task that comes again: the same task, or another one."""

import pytest

from tests.unit.hospitals import SEED_BODY, World


@pytest.fixture
def world() -> World:
    return World()


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
