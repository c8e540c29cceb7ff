"""The executor of nodes in the cloud dies just before or just after any one of its calls.

Its event comes again, or is lost with it: then the sweeper's next look brings another. Either way
the run has one end, its worker's answer, and nothing is left over of it.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from stepgrid.testing import EnvironmentDied
from stepgrid_core.errors import NotFound
from stepgrid_core.federation.cloud_events import ask_for_open
from stepgrid_core.federation.service import Federation
from tests.faults.fuse import Fuse, Fused, Interruption, fused
from tests.unit.cloud_world import CLOUD, CloudWorld

ANSWERS: dict[str, Any] = {"small": {"mean": 4.5}, "large": {"mean": "x" * 20_000}}


def deaths(most: int = 60) -> Iterator[Fuse]:
    """One for each call and side of it, until one has more calls than there are."""
    for call in range(most):
        for moment in ("before", "after"):
            fuse = Fuse(call, moment)
            yield fuse
            if fuse.calls <= call:
                assert call >= 3, "that is hardly all that it does"
                return
    raise AssertionError(f"a step of more than {most} calls")


def dying(world: CloudWorld, fuse: Fuse) -> Federation:
    """The world as an executor sees it whose process ends at that call."""
    federation = world.federation
    return replace(
        federation, grid=fused(federation.grid, fuse), table=Fused(federation.table, fuse)
    )


def begin(world: CloudWorld) -> None:
    """A task was created: the executor is to begin its run."""


def be_done(world: CloudWorld) -> None:
    """Its session has ended: the executor is to end the run."""
    world.deliver()
    world.work()


def kill(world: CloudWorld) -> None:
    """Its task is killed while it is done: the executor is to end the session."""
    world.deliver()
    world.bus.clear()
    world.json("POST", "/api/kill/task", "root", {"id": 1})


def heal(world: CloudWorld) -> None:
    """Minutes pass, and sweepers."""
    for _ in range(3):
        world.sweep()
        world.settle()


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("step", [begin, be_done, kill])
@pytest.mark.parametrize("again", [True, False], ids=["told again", "nobody tells"])
def test_the_executor_cut_off_anywhere(
    step: Callable[[CloudWorld], None], answer: str, again: bool
) -> None:
    for fuse in deaths():
        world = CloudWorld()
        world.worker.answer = ANSWERS[answer]
        task = world.create_task("ann", CLOUD)
        step(world)
        events = list(world.bus)
        with suppress(EnvironmentDied):
            world.deliver(dying(world, fuse))
        world.bus.clear()
        if again:
            world.bus.extend(events)
            world.settle()
        heal(world)
        shown = world.run(task)
        if step is kill:
            assert shown["status"] == "killed by user"
        else:
            assert shown["status"] == "completed"
            assert world.result(task) == ANSWERS[answer]
            assert len(world.worker.given) == 1
        assert world.is_clear()


@pytest.mark.parametrize("failure", ["not allowed", "unknown worker", "crash"])
def test_a_failure_cut_off_anywhere(failure: str) -> None:
    """It is a failure ever after, with its reason."""
    clouds = {
        "not allowed": {"allowed_images": ["other/*"]},
        "unknown worker": {"worker": "gone"},
        "crash": {},
    }
    statuses = {"not allowed": "not allowed", "unknown worker": "start failed", "crash": "crashed"}
    for fuse in deaths():
        world = CloudWorld(**clouds[failure])
        world.worker.error = ValueError("no such column")
        task = world.create_task("ann", CLOUD)
        if failure == "crash":
            be_done(world)
        with suppress(EnvironmentDied):
            world.deliver(dying(world, fuse))
        world.bus.clear()
        heal(world)
        shown = world.run(task)
        assert (shown["status"], bool(shown["log"])) == (statuses[failure], True)
        assert world.is_clear()


@pytest.mark.parametrize("step", [begin, be_done])
def test_two_executors_at_once_end_a_run_once(step: Callable[[CloudWorld], None]) -> None:
    """Before any call of the one, the other does the whole of it."""
    call, reached = 0, True
    while reached:
        world = CloudWorld()
        task = world.create_task("ann", CLOUD)
        step(world)
        events = list(world.bus)

        def other(world: CloudWorld = world, events: list[Any] = events) -> None:
            world.bus.extend(events)
            world.settle()

        fuse = Interruption(call, other)
        world.deliver(dying(world, fuse))
        heal(world)
        assert world.run(task)["status"] == "completed"
        assert len(world.worker.given) == 1
        assert world.is_clear()
        call, reached = call + 1, fuse.calls > call
    assert call >= 10


def test_a_kill_at_any_instant_holds() -> None:
    """A run that was killed stays so; one that had ended before keeps its end."""
    ends = set()
    call, reached = 0, True
    while reached:
        world = CloudWorld()
        task = world.create_task("ann", CLOUD)

        def kill_it(world: CloudWorld = world) -> None:
            killed = world.ask("POST", "/api/kill/task", "root", {"id": 1}).status == 200
            ends.add((killed, world.run({"id": 1})["status"]))

        fuse = Interruption(call, kill_it)
        executor = dying(world, fuse)
        while world.bus or world.memory.dispatcher.started:
            world.deliver(executor)
            world.work()
        shown = world.run(task)["status"]
        heal(world)
        assert world.run(task)["status"] == shown
        assert world.is_clear()
        call, reached = call + 1, fuse.calls > call
    assert ends == {(True, "killed by user"), (False, "completed")}


def test_a_task_may_be_deleted_at_any_instant() -> None:
    """With all that is done for it, whatever the executor is at."""
    call, reached, deleted = 0, True, 0
    while reached:
        world = CloudWorld()
        world.create_task("ann", CLOUD)

        def delete(world: CloudWorld = world) -> None:
            world.json("DELETE", "/api/task/1", "root")

        fuse = Interruption(call, delete)
        with suppress(NotFound):  # Lambda calls it again; here the sweeper does
            world.deliver(dying(world, fuse))
        heal(world)
        deleted += world.ask("GET", "/api/task/1", "ann").status == 404
        assert world.is_clear()
        call, reached = call + 1, fuse.calls > call
    assert deleted == call - 1


def test_the_sweeper_cut_off_anywhere() -> None:
    """The next one asks again."""
    for fuse in deaths():
        world = CloudWorld()
        task = world.create_task("ann", CLOUD)
        world.bus.clear()
        with suppress(EnvironmentDied):
            ask_for_open(dying(world, fuse))
        heal(world)
        assert world.run(task)["status"] == "completed"
        assert world.is_clear()
