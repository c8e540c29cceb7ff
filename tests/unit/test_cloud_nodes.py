"""Nodes in the cloud: what their worker is given, and what becomes of its answer."""

from dataclasses import replace
from typing import Any

import pytest

from stepgrid_core.errors import Unavailable
from stepgrid_core.federation.changes import remove
from stepgrid_core.federation.cloud_events import ask_for_open
from stepgrid_core.federation.cloud_runs import advance
from stepgrid_core.federation.records import Collaboration, Organization
from stepgrid_core.federation.runs import MOST_RESULT
from tests.unit.cloud_world import CLOUD, WORKER, CloudWorld
from tests.unit.hospitals import encode

CIPHERTEXT = "a2V5$aXY=$bWVzc2FnZQ=="


@pytest.fixture
def world() -> CloudWorld:
    return CloudWorld()


def is_of_run(key: str) -> bool:
    """Below the prefix that is emptied with the task."""
    return key.startswith("federation/")


class TestRuns:
    def test_both_kinds_of_nodes_do_a_task_together(self, world: CloudWorld) -> None:
        """The node outside takes its run, the grid does that of the node in the cloud."""
        task = world.create_task("ann", 1, CLOUD)
        (handed_out,) = world.sync(1)["runs"]
        world.finish(1, handed_out, {"of": 1})
        world.settle()
        shown = world.run(task)
        assert (shown["status"], shown["node"]["id"]) == ("completed", world.node().id)
        assert shown["log"].startswith(f"done by worker {WORKER} in session ")
        assert shown["started_at"] <= shown["finished_at"]
        assert world.result(task) == {"mean": 4.5}
        assert world.json("GET", "/api/task/1/status", "ann") == {"status": "completed"}
        assert world.is_clear()

    def test_the_worker_gets_the_input_and_what_it_is_about(self, world: CloudWorld) -> None:
        world.create_task("ann", 1, CLOUD)
        world.settle()
        assert world.worker.given == [
            {
                "method": "average",
                "args": [],
                "kwargs": {"column": "age"},
                "databases": [{"label": "default"}],
                "organization_id": CLOUD,
                "collaboration_id": 1,
                "task_id": 1,
                "run_id": 1001,
                "job_id": 1,
                "image": "harbor/average",
            }
        ]

    def test_a_run_shows_how_far_it_is(self, world: CloudWorld) -> None:
        task = world.create_task("ann", CLOUD)
        assert world.run(task)["status"] == "pending"
        world.deliver()
        assert world.run(task)["status"] == "active"
        (session,) = world.sessions()
        assert (session.worker, session.backend) == (WORKER, "lambda")

    def test_sessions_belong_to_nobody_who_could_ask(self, world: CloudWorld) -> None:
        world.create_task("ann", CLOUD)
        world.deliver()
        (session,) = world.sessions()
        assert session.owner == f"federation:node:{world.node().id}"
        assert world.json("GET", "/api/task/1", "ann")["status"] == "active"

    def test_an_event_that_comes_again_changes_nothing(self, world: CloudWorld) -> None:
        task = world.create_task("ann", CLOUD)
        for event in list(world.bus):
            world.bus.append(event)
        world.settle()
        advance(world.federation, world.run(task)["id"])
        world.settle()
        assert len(world.worker.given) == 1
        assert world.is_clear()

    @pytest.mark.parametrize("size", [10, 300_000], ids=["in the table", "as an object"])
    def test_inputs_and_results_of_any_size_come_through(
        self, world: CloudWorld, size: int
    ) -> None:
        world.worker.answer = "y" * size
        given = [{"id": CLOUD, "input": encode(method="m", args=["x" * size])}]
        task = world.create_task("ann", organizations=given)
        world.settle()
        assert world.worker.given[0]["args"] == ["x" * size]
        assert world.result(task) == "y" * size
        assert not [key for key in world.memory.payloads.list_keys() if not is_of_run(key)]

    def test_a_run_may_be_done_in_a_container(self) -> None:
        world = CloudWorld(backend="fargate", fargate=True)
        task = world.create_task("ann", CLOUD)
        world.deliver()
        assert [session.backend for session in world.sessions()] == ["fargate"]
        world.settle()
        assert world.result(task) == {"mean": 4.5}
        assert world.is_clear()

    def test_what_is_configured_is_what_the_session_gets(self) -> None:
        world = CloudWorld(task_timeout_seconds=42)
        world.create_task("ann", CLOUD)
        world.deliver()
        (session,) = world.sessions()
        assert session.task_timeout_seconds == 42

    def test_a_session_ends_with_its_task(self, world: CloudWorld) -> None:
        """The deadline of the task is that of the session that does a run of it."""
        world.create_task("ann", CLOUD, timeout_seconds=100)
        world.deliver()
        (session,) = world.sessions()
        assert session.deadline_at - session.created_at == 100


class TestFailures:
    def test_a_worker_that_raises_crashes_the_run(self, world: CloudWorld) -> None:
        """And whoever has not begun need not, as everywhere."""
        world.worker.error = ValueError("no such column")
        task = world.create_task("ann", 1, CLOUD)
        world.settle()
        shown = world.run(task)
        assert shown["status"] == "crashed"
        assert "ValueError: no such column" in shown["log"]
        assert len(world.worker.given) == 3
        assert world.sync(1)["runs"] == []
        assert world.is_clear()

    @pytest.mark.parametrize(
        ("text", "log"),
        [
            ("not base64!", "the input is not JSON in base64"),
            ("gASVBQ==", "the input is not JSON in base64"),
            (encode(kwargs={}), "the input is no JSON object with a method"),
            (encode(method="m", args="x"), "args are no list"),
            ("W" + "1tb" * 400, "the input is not JSON in base64"),
            ("", "the input is not JSON in base64"),
        ],
    )
    def test_an_unreadable_input_fails_the_run(
        self, world: CloudWorld, text: str, log: str
    ) -> None:
        task = world.create_task("ann", organizations=[{"id": CLOUD, "input": text}])
        world.settle()
        shown = world.run(task)
        assert shown["status"] == "failed"
        assert log in shown["log"]
        assert world.worker.given == []
        assert world.is_clear()

    def test_a_deep_input_fails_the_run(self, world: CloudWorld) -> None:
        """Deeper than any session's task may be."""
        deep: Any = 1
        for _ in range(400):
            deep = [deep]
        given = [{"id": CLOUD, "input": encode(method="m", args=[deep])}]
        task = world.create_task("ann", organizations=given)
        world.settle()
        shown = world.run(task)
        assert (shown["status"], shown["log"]) == ("failed", "the input is nested too deeply")
        assert world.is_clear()

    def test_a_result_that_is_too_large_fails_the_run(self, world: CloudWorld) -> None:
        world.worker.answer = "x" * MOST_RESULT
        task = world.create_task("ann", CLOUD)
        world.settle()
        shown = world.run(task)
        assert shown["status"] == "failed"
        assert f"{MOST_RESULT} is the most" in shown["log"]
        assert world.is_clear()

    @pytest.mark.parametrize(
        ("cloud", "words"),
        [
            ({"worker": "gone"}, "there is no worker 'gone'"),
            ({"worker": "job"}, "POST /v1/jobs"),
            ({"backend": "fargate"}, "argate"),
        ],
    )
    def test_what_can_not_run_fails_to_start(self, cloud: dict[str, str], words: str) -> None:
        world = CloudWorld(**cloud)
        task = world.create_task("ann", CLOUD)
        world.settle()
        shown = world.run(task)
        assert shown["status"] == "start failed"
        assert words in shown["log"]
        assert world.is_clear()

    @pytest.mark.parametrize(
        ("patterns", "status"),
        [
            (["harbor/*"], "completed"),
            (["ghcr.io/*", "harbor/average"], "completed"),
            (["harbor/average:*"], "not allowed"),
        ],
    )
    def test_images_are_those_that_the_node_allows(self, patterns: list[str], status: str) -> None:
        world = CloudWorld(allowed_images=patterns)
        task = world.create_task("ann", CLOUD)
        world.settle()
        assert world.run(task)["status"] == status
        assert len(world.worker.given) == (status == "completed")
        assert world.is_clear()


class TestEnds:
    def test_a_kill_ends_the_session(self, world: CloudWorld) -> None:
        """Before it runs: then the worker is never called."""
        task = world.create_task("ann", CLOUD)
        world.deliver()
        world.json("POST", "/api/kill/task", "root", {"id": task["id"]})
        world.settle()
        assert world.run(task)["status"] == "killed by user"
        assert world.worker.given == []
        assert world.is_clear()

    def test_a_kill_that_is_not_told_is_found_by_the_sweeper(self, world: CloudWorld) -> None:
        task = world.create_task("ann", CLOUD)
        world.deliver()
        world.json("POST", "/api/kill/task", "root", {"id": task["id"]})
        world.bus.clear()
        assert world.sweep() == 1
        world.settle()
        assert world.is_clear()

    def test_a_kill_of_the_node_ends_all_that_it_does(self, world: CloudWorld) -> None:
        tasks = [world.create_task("ann", CLOUD, name=name) for name in "ab"]
        world.deliver()
        world.json("POST", "/api/kill/node/tasks", "root", {"id": world.node().id})
        world.settle()
        assert [world.run(task)["status"] for task in tasks] == ["killed by user"] * 2
        assert world.is_clear()

    def test_a_deleted_task_takes_its_sessions_along(self, world: CloudWorld) -> None:
        world.create_task("ann", CLOUD)
        world.deliver()
        assert world.sessions()
        world.json("DELETE", "/api/task/1", "root")
        world.settle()
        assert world.is_clear()

    def test_an_operator_may_cancel_the_session(self, world: CloudWorld) -> None:
        task = world.create_task("ann", CLOUD)
        world.deliver()
        (session,) = world.sessions()
        world.memory.client(session.owner).session(session.session_id).cancel()
        world.settle()
        shown = world.run(task)
        assert shown["status"] == "killed by user"
        assert session.session_id in shown["log"]

    def test_a_task_whose_time_is_up_ends_the_session(self, world: CloudWorld) -> None:
        task = world.create_task("ann", CLOUD, timeout_seconds=100)
        world.deliver()
        world.memory.dispatcher.started.clear()
        world.memory.clock.advance(101)
        world.sweep()
        world.settle()
        assert world.run(task)["status"] == "failed"
        assert world.is_clear()

    @pytest.mark.parametrize("moment", ["before it was begun", "while it is done"])
    def test_a_run_waits_again_when_its_node_is_removed(
        self, world: CloudWorld, moment: str
    ) -> None:
        """Its session is cancelled, and the next node in its place does the run."""
        task = world.create_task("ann", CLOUD)
        if moment == "while it is done":
            world.deliver()
        remove(world.registry, world.node())
        world.bus.clear()
        ask_for_open(world.federation)
        world.settle()
        assert world.run(task)["status"] == "pending"
        assert world.table.list_ids("cloud-runs") == []
        world.add_node(CLOUD, 1)
        (handed_out,) = world.sync(CLOUD)["runs"]
        assert world.finish(CLOUD, handed_out, {"of": CLOUD}).status == 200
        assert world.result(task) == {"of": CLOUD}


class TestBackstop:
    """Without any event of the bus, but those of the sweeper."""

    def test_the_sweeper_brings_a_run_to_its_end(self, world: CloudWorld) -> None:
        task = world.create_task("ann", CLOUD)
        for _ in range(2):
            world.bus.clear()
            assert world.sweep() == 1
            world.deliver()
            world.work()
        assert world.result(task) == {"mean": 4.5}
        assert world.is_clear()
        assert world.sweep() == 0

    def test_a_full_queue_is_waited_for(self) -> None:
        """The node has a quota like any owner; what finds no room is tried again."""
        world = CloudWorld()
        settings = world.memory.wiring.settings.model_copy(update={"owner_sessions": 1})
        world.federation = replace(
            world.federation, grid=replace(world.federation.grid, settings=settings)
        )
        tasks = [world.create_task(name, CLOUD) for name in ("ann", "bob")]
        world.deliver()
        assert len(world.sessions()) == 1
        world.settle()
        world.sweep()
        world.settle()
        assert [world.run(task)["status"] for task in tasks] == ["completed"] * 2
        assert world.is_clear()

    def test_a_long_run_keeps_its_claim(self, world: CloudWorld) -> None:
        """For days, as long as the sweeper looks."""
        task = world.create_task("ann", CLOUD)
        world.deliver()
        for _ in range(5):
            world.memory.clock.advance(20 * 3600)
            ask_for_open(world.federation)
            world.deliver()
            world.memory.sweep()
        assert world.run(task)["status"] == "active"
        (session,) = world.sessions()
        assert session.tags["federated_run"] == str(world.run(task)["id"])

    def test_nothing_is_asked_for_where_nothing_is_open(self, world: CloudWorld) -> None:
        world.create_task("ann", 1)
        world.bus.clear()
        assert ask_for_open(world.federation) == 0
        assert not world.bus

    def test_a_bus_that_is_down_hinders_no_sweep(self, world: CloudWorld) -> None:
        """The next one asks again."""
        world.create_task("ann", CLOUD)

        class Down:
            def notify(self, events: object) -> None:
                raise Unavailable("the bus is down")

        grid = replace(world.federation.grid, events=Down())  # type: ignore[arg-type]
        assert ask_for_open(replace(world.federation, grid=grid)) == 0
        assert ask_for_open(world.federation) == 1


class TestEncryption:
    @pytest.fixture
    def sealed(self) -> CloudWorld:
        world = CloudWorld()
        found = world.registry.find(Collaboration, 1)
        asking = world.registry.find(Organization, 1)
        assert found is not None
        assert asking is not None
        assert world.registry.change(replace(found, encrypted=True))
        assert world.registry.change(replace(asking, public_key="cHVibGlj"))
        return world

    def test_ciphertext_goes_through_as_it_is(self, sealed: CloudWorld) -> None:
        """The worker gets the key of who asked, too: its answer is for that organization."""
        sealed.worker.answer = {"result": "cg==$cg==$cg=="}
        task = sealed.create_task("ann", organizations=[{"id": CLOUD, "input": CIPHERTEXT}])
        sealed.settle()
        (given,) = sealed.worker.given
        assert given["input"] == CIPHERTEXT
        assert given["init_organization"] == {"id": 1, "public_key": "cHVibGlj"}
        assert "method" not in given
        found = sealed.json("GET", f"/api/result/{sealed.run(task)['id']}", "ann")
        assert found["result"] == "cg==$cg==$cg=="

    @pytest.mark.parametrize("answer", [{"mean": 4.5}, {"result": "readable"}, [1], None])
    def test_an_answer_in_clear_is_not_passed_on(self, sealed: CloudWorld, answer: Any) -> None:
        sealed.worker.answer = answer
        task = sealed.create_task("ann", organizations=[{"id": CLOUD, "input": CIPHERTEXT}])
        sealed.settle()
        shown = sealed.run(task)
        assert shown["status"] == "crashed"
        assert "encrypted for the organization that asked" in shown["log"]
        assert sealed.is_clear()


class TestNode:
    def test_it_is_always_online(self, world: CloudWorld) -> None:
        world.memory.clock.advance(1e6)
        shown = world.json("GET", f"/api/node/{world.node().id}", "root")
        assert shown["status"] == "online"
        nodes = world.json("GET", "/api/node", "root", status="online")["data"]
        assert [node["id"] for node in nodes] == [world.node().id]

    def test_there_is_no_token_for_it(self, world: CloudWorld) -> None:
        """Neither by the key that it had when it was a program, nor by a token of that time."""
        body = {"api_key": f"key-{CLOUD}-1"}
        assert world.ask("POST", "/api/token/node", body=body).status == 401
        assert world.ask("GET", "/api/node", world.nodes[CLOUD]).status == 401

    def test_it_gets_no_key(self, world: CloudWorld) -> None:
        answered = world.ask("POST", "/api/recover/node", "root", {"id": world.node().id})
        assert answered.status == 400
        assert "no API key" in answered.body["msg"]
