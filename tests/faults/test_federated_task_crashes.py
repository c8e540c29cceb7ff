"""The federation function dies just before or just after any one of its calls, at each route that
changes a task.

Whoever asked asks again, or nobody does: then the sweeper goes on. A task that was asked for is
there once, with all of its runs waiting at their nodes, or nothing of it is.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from stepgrid.testing import EnvironmentDied
from stepgrid_core.federation.backlog import backlog_of
from stepgrid_core.federation.endings import ORPHAN_SECONDS
from stepgrid_core.federation.http import Answer
from stepgrid_core.federation.records import FederatedTask
from stepgrid_core.federation.upkeep import look_after, take_over
from stepgrid_core.records import Session
from stepgrid_core.recovery import sweep
from tests.faults.fuse import Fuse, Fused, Interruption, fused
from tests.unit.hospitals import INPUT, World

#: More than any of the routes makes; each test says that it got to the end.
MOST_CALLS = 150
OWNER = "cognito:ann"
PLACES = (1, 2, 3)
BODY = {
    "name": "n",
    "image": "harbor/average",
    "collaboration_id": 1,
    "organizations": [{"id": id, "input": INPUT} for id in PLACES],
}
LARGE = {**BODY, "organizations": [{"id": id, "input": "x" * 20_000} for id in PLACES]}
BODIES = {
    "as vantage6 sends it": BODY,
    "with a token": {**BODY, "client_token": "t"},
    "large": LARGE,
}


def cut_off(
    prepare: Callable[[World], Any], act: Callable[[World, Any], Answer]
) -> list[tuple[World, Any]]:
    """Worlds in each of which the function died elsewhere, up to one in which it did not."""
    worlds = []
    for call in range(MOST_CALLS):
        for moment in ("before", "after"):
            world = World()
            prepared = prepare(world)
            died = die_at(world, Fuse(call, moment), partial(act, world, prepared))
            if not died:
                return worlds
            worlds.append((world, prepared))
    raise AssertionError("it makes more calls than are cut off")


def die_at(world: World, fuse: Fuse, act: Callable[[], Answer]) -> bool:
    sound = world.federation
    world.federation = replace(
        sound,
        grid=fused(sound.grid, fuse),
        table=Fused(sound.table, fuse),
    )
    try:
        act()
    except EnvironmentDied:
        return True
    finally:
        world.federation = sound
    return False


def minutes(world: World, number: float = ORPHAN_SECONDS / 60 + 2) -> None:
    for _ in range(int(number)):
        world.memory.clock.advance(60)
        sweep(world.federation.grid, partial(take_over, world.federation))
        look_after(world.federation)


def sessions(world: World) -> list[Session]:
    found = world.memory.table.list_sessions(OWNER, None, None, 10).items
    return [session for session in found if not session.deleted]


def tasks(world: World) -> list[FederatedTask]:
    return world.registry.find_all(FederatedTask)


def backlogs(world: World) -> list[int]:
    return [id for place in PLACES for id in world.table.list_ids(backlog_of(place, 1))]


def check_nothing_is_left(world: World) -> None:
    assert tasks(world) == []
    assert sessions(world) == []
    assert backlogs(world) == []
    assert world.memory.payloads.list_keys() == []
    assert world.table.read_all("ending") == []
    assert world.table.read_all("run") == []
    assert world.table.list_ids("tasks") == []
    assert world.memory.table.due_sessions(world.memory.clock.now() + 1e12, 10) == []


def check_one_waits(world: World) -> None:
    """One task, each of whose runs every node is given, once."""
    [task] = tasks(world)
    [session] = sessions(world)
    assert session.session_id == task.session_id
    for place in PLACES:
        [run] = world.sync(place)["runs"]
        assert run["task"]["id"] == task.id
        assert world.finish(place, run, place).status == 200
    assert world.json("GET", f"/api/task/{task.id}/status", "ann") == {"status": "completed"}
    assert backlogs(world) == []


def create(world: World, body: Any) -> Answer:
    return world.ask("POST", "/api/task", "ann", body)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_creation_that_is_sent_again_makes_one_task(body: Any) -> None:
    worlds = cut_off(lambda _: body, create)
    assert len(worlds) > 40
    for world, _ in worlds:
        answered = create(world, body)
        assert answered.status == 201
        assert create(world, body).body["id"] == answered.body["id"]
        minutes(world)
        for place in PLACES:
            world.log_node_in(place, 1)
        check_one_waits(world)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_creation_that_nobody_sends_again_is_whole_or_nothing(body: Any) -> None:
    made = 0
    for world, _ in cut_off(lambda _: body, create):
        if tasks(world):
            made += 1
            minutes(world)
            check_one_waits(world)
        else:
            minutes(world)
            check_nothing_is_left(world)
    assert made


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("seconds", [90, ORPHAN_SECONDS - 30, ORPHAN_SECONDS + 90])
def test_a_creation_that_is_sent_again_late_makes_a_task(body: Any, seconds: float) -> None:
    """One of its own, unless the first one was made; what that has left goes."""
    for world, _ in cut_off(lambda _: body, create):
        made = {task.id for task in tasks(world)}
        minutes(world, seconds // 60)
        world.memory.clock.advance(seconds % 60)
        answered = create(world, body)
        assert answered.status == 201
        minutes(world)
        for place in PLACES:
            world.log_node_in(place, 1)
        if not made:
            check_one_waits(world)
        else:
            assert len(tasks(world)) == len(made | {answered.body["id"]})


@pytest.mark.parametrize("status", ["completed", "failed"])
@pytest.mark.parametrize("repeated", [True, False], ids=["sent again", "nobody asks"])
def test_an_end_cut_off_anywhere(status: str, repeated: bool) -> None:
    """What the node says again is what it said; a failure still ends what nobody has begun."""

    def prepare(world: World) -> Any:
        world.create_task("ann")
        [run] = world.sync(1)["runs"]
        return run

    def end(world: World, run: Any) -> Answer:
        return world.finish(1, run, {"sum": 7}, status=status)

    worlds = cut_off(prepare, end)
    assert len(worlds) > 30
    for world, run in worlds:
        if repeated:
            assert end(world, run).status == 200
            shown = world.json("GET", "/api/run/1000", "ann")
            assert (shown["status"], shown["log"]) == (status, "done")
        minutes(world)
        for place in PLACES:
            world.log_node_in(place, 1)
        states = [world.json("GET", f"/api/run/100{index}", "ann")["status"] for index in range(3)]
        if repeated:
            assert states == [status] + ["failed" if status == "failed" else "pending"] * 2
        for index, place in enumerate(PLACES):
            given = [each["id"] for each in world.sync(place, "b" * 16)["runs"]]
            assert given == ([1000 + index] if states[index] == "pending" else [])
        listed = [1000 + index for index, state in enumerate(states) if state == "pending"]
        assert backlogs(world) == listed


def with_subtask(world: World) -> Any:
    """Task 1 of one run, which is at work, and its subtask 2 of the others."""
    world.create_task("ann", 1)
    world.sync(1)
    body = {"task_id": 1, "image": "harbor/average"}
    token = world.json("POST", "/api/token/container", world.nodes[1], body)["container_token"]
    return world.create_task(token, 2, 3)


def kill(world: World, _: Any) -> Answer:
    return world.ask("POST", "/api/kill/task", "root", {"id": 1})


@pytest.mark.parametrize("repeated", [True, False], ids=["asked again", "nobody asks"])
def test_a_kill_cut_off_anywhere(repeated: bool) -> None:
    """It kills all that it was asked to kill, or nothing."""
    worlds = cut_off(with_subtask, kill)
    assert len(worlds) > 40
    whole = 0
    for world, _ in worlds:
        if repeated:
            assert kill(world, None).status in (200, 400)
        minutes(world)
        statuses = {world.json("GET", f"/api/task/{id}/status", "ann")["status"] for id in (1, 2)}
        assert len(statuses) == 1
        assert not repeated or statuses == {"killed by user"}
        whole += statuses == {"killed by user"}
        if statuses == {"killed by user"}:
            assert backlogs(world) == []
        assert world.table.read_all("ending") == []
    assert whole > 30


@pytest.mark.parametrize("repeated", [True, False], ids=["asked again", "nobody asks"])
def test_a_deletion_cut_off_anywhere(repeated: bool) -> None:
    """It is gone with all that belongs to it, or it is as it was."""

    def delete(world: World, _: Any) -> Answer:
        return world.ask("DELETE", "/api/task/1", "root")

    worlds = cut_off(with_subtask, delete)
    assert len(worlds) > 60
    gone = 0
    for world, _ in worlds:
        if repeated:
            assert delete(world, None).status in (200, 404)
        minutes(world)
        if repeated or not tasks(world):
            check_nothing_is_left(world)
            gone += 1
        else:
            assert [task.id for task in tasks(world)] == [1, 2]
            assert world.json("GET", "/api/task/2/status", "ann") == {"status": "pending"}
            assert backlogs(world) == [1000, 2000, 2001]
    assert gone > 50


def create_twice(body: Any, call: int) -> tuple[World, list[Answer]]:
    """The second is carried out as a whole before that call of the first, if it makes so many."""
    world, answers = World(), []
    sound = world.federation

    def second() -> None:
        interrupted, world.federation = world.federation, sound
        answers.append(create(world, body))
        world.federation = interrupted

    def first() -> Answer:
        answers.append(create(world, body))
        return answers[-1]

    assert not die_at(world, Interruption(call, second), first)
    return world, answers


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_two_equal_requests_at_once_make_one_task(body: Any) -> None:
    for call in range(MOST_CALLS):
        world, answers = create_twice(body, call)
        if len(answers) == 1:
            assert call > 20
            return
        assert {answer.status for answer in answers} == {201}
        assert len({answer.body["id"] for answer in answers}) == 1
        check_one_waits(world)
    raise AssertionError("it makes more calls than are interrupted")
