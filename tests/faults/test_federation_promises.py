"""The promises to who uses a federation's routes, whatever users, nodes and administrators do.

Nodes of two processes each take runs, end them, fail them or fall silent; tasks are killed and
deleted, nodes and members removed and taken back, and the sweeper comes when it likes.
"""

from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from stepgrid_core.federation.backlog import backlog_of
from stepgrid_core.federation.records import FederatedTask, run_place
from stepgrid_core.federation.registry import Registry
from stepgrid_core.federation.statuses import has_ended
from stepgrid_core.federation.task_creation import MAX_ATTEMPTS
from stepgrid_core.federation.upkeep import look_after, take_over
from stepgrid_core.recovery import sweep
from tests.unit.hospitals import INPUT, World

PLACES = (1, 2, 3)
INSTANCES = ("a" * 16, "b" * 16)
#: No token of a node is good for longer.
LONG_SECONDS = 3_000.0


@dataclass(frozen=True)
class Given:
    """A run as a process of a node was given it."""

    place: int
    instance: str
    run: int
    claim: str


class Hospitals(RuleBasedStateMachine):
    """ann is of hospital 1, bob of 2, and eve of none of them."""

    tasks = Bundle("tasks")
    given = Bundle("given")

    @initialize(target=tasks)
    def build(self) -> Any:
        self.world = World()
        self.registry: Registry = self.world.registry
        self.places: dict[int, tuple[int, ...]] = {}
        self.ended: dict[int, tuple[str, Any]] = {}
        self.killed: set[int] = set()
        self.deleted: set[int] = set()
        self.members = set(PLACES)
        self.requests = count()
        self.held: set[Given] = set()
        self.latest: dict[int, str] = {}  #: claims by runs
        return self.create("ann", set(PLACES), 1)

    # What users do

    @rule(
        target=tasks,
        user=st.sampled_from(["ann", "bob"]),
        places=st.sets(st.sampled_from(PLACES), min_size=1),
        times=st.integers(1, 3),
    )
    def ask(self, user: str, places: set[int], times: int) -> Any:
        return self.create(user, places, times)

    def create(self, user: str, places: set[int], times: int) -> Any:
        """The same request several times is one task; what is refused makes none."""
        ids = sorted(places)
        body = {
            "image": "harbor/average",
            "collaboration_id": 1,
            "organizations": [{"id": id, "input": INPUT} for id in ids],
            "client_token": f"request {next(self.requests)}",
        }
        before = self.stored_tasks()
        answers = [self.world.ask("POST", "/api/task", user, body) for _ in range(times)]
        statuses = {int(answered.status) for answered in answers}
        maker = {"ann": 1, "bob": 2}[user]
        if maker not in self.members:
            assert statuses == {404}
        elif not self.with_nodes(ids):
            assert statuses == {400}
        else:
            assert statuses == {201}
            [task] = {answered.body["id"] for answered in answers}
            self.places[task] = tuple(ids)
            return int(task)
        assert self.stored_tasks() == before
        return multiple()

    def with_nodes(self, ids: list[int]) -> bool:
        return all(self.registry.node_of(id, 1) is not None for id in ids)

    def stored_tasks(self) -> list[int]:
        return [task.id for task in self.registry.find_all(FederatedTask)]

    @rule(task=tasks)
    def kill(self, task: int) -> None:
        answered = self.world.ask("POST", "/api/kill/task", "root", {"id": task})
        if answered.status == 200:
            assert task in self.places
            self.killed.add(task)
        self.look_at(task)

    @rule(task=tasks)
    def delete(self, task: int) -> None:
        answered = self.world.ask("DELETE", f"/api/task/{task}", "root")
        known = task in self.places and task not in self.deleted
        assert answered.status == (200 if known else 404)
        if known:
            self.deleted.add(task)

    # What nodes do

    @rule(
        target=given,
        place=st.sampled_from(PLACES),
        instance=st.sampled_from(INSTANCES),
        capacity=st.integers(0, 3),
    )
    def ask_for_work(self, place: int, instance: str, capacity: int) -> Any:
        return multiple(*self.sync(place, instance, capacity))

    def sync(self, place: int, instance: str, capacity: int) -> list[Given]:
        """Nothing is given that was killed, deleted, is over, or is not this place's."""
        held = [
            {"run_id": each.run, "claim": each.claim}
            for each in self.held
            if (each.place, each.instance) == (place, instance)
        ]
        body = {"instance": instance, "holding": held, "capacity": capacity, "wait_seconds": 0}
        answer = self.ask_as_node(place, "POST", "/api/node/{node}/sync", body)
        if answer is None:
            return []
        for run in answer.body["stop"]:
            self.held = {each for each in self.held if (each.run, each.instance) != (run, instance)}
        return [self.take(place, instance, shown) for shown in answer.body["runs"]]

    def take(self, place: int, instance: str, shown: Any) -> Given:
        task, index = run_place(shown["id"])
        assert task not in self.killed | self.deleted
        assert shown["id"] not in self.ended
        assert self.places[task][index] == place
        assert shown["attempt"] <= MAX_ATTEMPTS
        found = Given(place, instance, shown["id"], shown["claim"])
        self.held = self.held | {found}
        self.latest[found.run] = found.claim
        return found

    def ask_as_node(self, place: int, method: str, path: str, body: Any) -> Any:
        """None where it is no node any more."""
        node = self.registry.node_of(place, 1)
        if node is None:
            return None
        token = self.world.log_node_in(place, 1)
        answered = self.world.ask(method, path.replace("{node}", str(node.id)), token, body)
        assert answered.status in (200, 409), answered.body
        return answered

    @rule(run=given)
    def begin(self, run: Given) -> None:
        self.say(run, {"status": "active"})

    @rule(run=given, status=st.sampled_from(["completed", "completed", "crashed"]))
    def end(self, run: Given, status: str) -> None:
        """What was taken is said again without harm; another word on it is refused."""
        body = {"status": status, "result": INPUT, "log": status}
        answered = self.say(run, body)
        if answered is None or answered.status != 200:
            return
        again = self.say(run, body)
        assert again is not None
        assert again.status == 200
        other = self.say(run, {**body, "result": "b3RoZXI=", "status": "completed"})
        assert other is not None
        assert other.status == 409
        self.look_at(run_place(run.run)[0])

    def say(self, run: Given, body: Any) -> Any:
        if run_place(run.run)[0] in self.deleted:
            return None
        path = f"/api/run/{run.run}"
        answered = self.ask_as_node(run.place, "PATCH", path, {"claim": run.claim, **body})
        if self.latest[run.run] != run.claim and answered is not None:
            assert answered.status == 409
        return answered

    @rule(place=st.sampled_from(PLACES), times=st.integers(1, MAX_ATTEMPTS + 1))
    def die(self, place: int, times: int) -> None:
        """One process after the other takes all there is, and is not heard of any more."""
        for number in range(times):
            self.sync(place, f"{number:016x}", 3)
            self.pass_time(61)

    @rule(run=given)
    def come_too_late(self, run: Given) -> None:
        """Another process was given the run meanwhile."""
        self.pass_time(61)
        self.sync(run.place, "d" * 16, 3)
        self.end(run, "completed")

    # What administrators do, and time

    @rule(place=st.sampled_from(PLACES[1:]))
    def change_node(self, place: int) -> None:
        """It is removed, or comes back."""
        node = self.registry.node_of(place, 1)
        if node is not None:
            self.world.json("DELETE", f"/api/node/{node.id}", "root")
        else:
            self.bring_back(place)

    @rule(place=st.sampled_from(PLACES[1:]))
    def change_member(self, place: int) -> None:
        """With its node."""
        if place in self.members:
            path = "/api/collaboration/1/organization"
            self.world.json("DELETE", path, "root", {"id": place})
            self.members.discard(place)
        else:
            self.bring_back(place)

    def bring_back(self, place: int) -> None:
        if place not in self.members:
            self.world.json("POST", "/api/collaboration/1/organization", "root", {"id": place})
            self.members.add(place)
        if self.registry.node_of(place, 1) is None:
            self.world.add_node(place, 1)

    @rule(seconds=st.sampled_from([1.0, 20.0, 61.0, 400.0, LONG_SECONDS]))
    def wait(self, seconds: float) -> None:
        self.pass_time(seconds)

    def pass_time(self, seconds: float) -> None:
        self.world.memory.clock.advance(seconds)

    @rule()
    def come_by(self) -> None:
        self.sweep()

    def sweep(self) -> None:
        federation = self.world.federation
        sweep(federation.grid, partial(take_over, federation))
        look_after(federation)

    # What is promised

    def runs_of(self, task: int) -> list[Any]:
        page = self.world.json("GET", "/api/run", "root", task_id=str(task), no_pagination="1")
        return list(page["data"])

    def look_at(self, task: int) -> None:
        """An end is for ever, and so is what came of it."""
        if task not in self.places or task in self.deleted:
            return
        runs = self.runs_of(task)
        assert len(runs) == len(self.places[task])
        for run in runs:
            if has_ended(run["status"]):
                result = self.world.json("GET", f"/api/result/{run['id']}", "root")["result"]
                kept = self.ended.setdefault(run["id"], (run["status"], result))
                assert kept == (run["status"], result)
            else:
                assert run["id"] not in self.ended
                assert task not in self.killed

    @invariant()
    def what_has_ended_stays(self) -> None:
        for task in self.places:
            self.look_at(task)

    @invariant()
    def strangers_learn_nothing(self) -> None:
        """Nor does who was a member, of its own tasks; a task that is there is like any other."""
        shut_out = ["eve"] + ([] if 2 in self.members else ["bob"])
        for user in shut_out:
            assert self.world.json("GET", "/api/task", user)["data"] == []
            assert self.world.json("GET", "/api/run", user)["data"] == []
            unknown = self.world.ask("GET", "/api/task/999", user)
            for task in self.places:
                foreign = self.world.ask("GET", f"/api/task/{task}", user)
                assert foreign.status == unknown.status == 404
                assert foreign.body["msg"].replace(str(task), "999") == unknown.body["msg"]

    @invariant()
    def members_see_what_is_there(self) -> None:
        listed = self.world.json("GET", "/api/task", "ann", no_pagination="1")["data"]
        there = self.places.keys() - self.deleted
        assert {each["id"] for each in listed} == there

    def teardown(self) -> None:
        """Members and nodes that come back at last end whatever is open; nothing else is left."""
        if not hasattr(self, "world"):
            return
        for place in PLACES:
            self.bring_back(place)
        for _ in range(MAX_ATTEMPTS + 2):
            self.world.memory.clock.advance(400)
            self.sweep()
            self.end_all()
        for task in self.places.keys() - self.deleted:
            shown = self.world.json("GET", f"/api/task/{task}", "ann")
            assert has_ended(shown["status"])
        assert [id for place in PLACES for id in self.backlog(place)] == []
        there = {task.session_id for task in self.registry.find_all(FederatedTask)}
        assert self.open_sessions() == there

    def end_all(self) -> None:
        for place in PLACES:
            body = {"instance": "c" * 16, "holding": [], "capacity": 64, "wait_seconds": 0}
            answer = self.ask_as_node(place, "POST", "/api/node/{node}/sync", body)
            for shown in answer.body["runs"]:
                self.end(self.take(place, "c" * 16, shown), "completed")

    def backlog(self, place: int) -> list[int]:
        return self.world.table.list_ids(backlog_of(place, 1))

    def open_sessions(self) -> set[str]:
        table = self.world.memory.table
        found = (
            table.list_sessions(f"cognito:{name}", None, None, 1_000) for name in ("ann", "bob")
        )
        return {session.session_id for page in found for session in page.items}


TestFederationPromises = Hospitals.TestCase
TestFederationPromises.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
