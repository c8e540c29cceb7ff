"""Lists of tasks, runs and results: pages, filters, and how much an answer can carry."""

from urllib.parse import parse_qsl

import pytest

from tests.unit.hospitals import World


@pytest.fixture
def world() -> World:
    return World()


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
