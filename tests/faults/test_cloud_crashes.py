"""The executor of nodes in the cloud dies just before or just after any one of its calls.

Its event comes again, or is lost with it: then the sweeper's next look brings another. Either way
the run has one end, its worker's answer, and nothing is left over of it.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from stepgrid.testing import EnvironmentDied
from stepgrid_core.federation.cloud_events import ask_for_open
from stepgrid_core.federation.service import Federation
from stepgrid_core.federation.statuses import has_ended
from tests.faults.fuse import Fuse, Fused, fused
from tests.unit.cloud_world import CLOUD, CloudWorld

#: More than any one step makes: each test says how many of them it met.
POINTS = [(call, moment) for call in range(60) for moment in ("before", "after")]
ANSWERS: dict[str, Any] = {"small": {"mean": 4.5}, "large": {"mean": "x" * 20_000}}


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
    cut = 0
    for call, moment in POINTS:
        world = CloudWorld()
        world.worker.answer = ANSWERS[answer]
        task = world.create_task("ann", CLOUD)
        step(world)
        events = list(world.bus)
        try:
            world.deliver(dying(world, Fuse(call, moment)))
        except EnvironmentDied:
            cut += 1
        world.bus.clear()
        if again:
            world.bus.extend(events)
            world.settle()
        else:
            heal(world)
        shown = world.run(task)
        if step is kill:
            assert shown["status"] == "killed by user"
        else:
            assert shown["status"] == "completed"
            assert world.result(task) == ANSWERS[answer]
            assert len(world.worker.given) == 1
        assert world.is_clear()
    assert cut >= 10


@pytest.mark.parametrize("failure", ["not allowed", "unknown worker", "crash"])
def test_a_failure_cut_off_anywhere(failure: str) -> None:
    """It is a failure ever after, with its reason."""
    clouds = {
        "not allowed": {"allowed_images": ["other/*"]},
        "unknown worker": {"worker": "gone"},
        "crash": {},
    }
    statuses = {"not allowed": "not allowed", "unknown worker": "start failed", "crash": "crashed"}
    cut = 0
    for call, moment in POINTS:
        world = CloudWorld(**clouds[failure])
        world.worker.error = ValueError("no such column")
        task = world.create_task("ann", CLOUD)
        if failure == "crash":
            be_done(world)
        try:
            world.deliver(dying(world, Fuse(call, moment)))
        except EnvironmentDied:
            cut += 1
        world.bus.clear()
        heal(world)
        shown = world.run(task)
        assert (shown["status"], bool(shown["log"])) == (statuses[failure], True)
        assert world.is_clear()
    assert cut >= 10


@pytest.mark.parametrize("call", range(40))
def test_two_executors_at_once_end_a_run_once(call: int) -> None:
    """Before any call of the one, the other does the whole of it."""
    for step in (begin, be_done):
        world = CloudWorld()
        task = world.create_task("ann", CLOUD)
        step(world)
        events = list(world.bus)

        def other(world: CloudWorld = world, events: list[Any] = events) -> None:
            world.bus.extend(events)
            world.settle()

        world.deliver(dying(world, Interruption(call, other)))
        heal(world)
        assert world.run(task)["status"] == "completed"
        assert len(world.worker.given) == 1
        assert world.is_clear()


def test_a_kill_at_any_instant_holds() -> None:
    """A run that was killed stays so; one that had ended before keeps its end."""
    seen = set()
    for call in range(60):
        world = CloudWorld()
        task = world.create_task("ann", CLOUD)

        def kill_it(world: CloudWorld = world) -> None:
            seen.add(world.ask("POST", "/api/kill/task", "root", {"id": 1}).status)

        executor = dying(world, Interruption(call, kill_it))
        while world.bus or world.memory.dispatcher.started:
            world.deliver(executor)
            world.work()
        heal(world)
        assert has_ended(world.run(task)["status"])
        assert world.is_clear()
    assert 200 in seen


def test_the_sweeper_cut_off_anywhere() -> None:
    """The next one asks again."""
    cut = 0
    for call, moment in POINTS:
        world = CloudWorld()
        task = world.create_task("ann", CLOUD)
        world.bus.clear()
        try:
            ask_for_open(dying(world, Fuse(call, moment)))
        except EnvironmentDied:
            cut += 1
        heal(world)
        assert world.run(task)["status"] == "completed"
        assert world.is_clear()
    assert cut >= 6


class Interruption(Fuse):
    """Instead of a death: before one call somebody else does something."""

    def __init__(self, call: int, act: Callable[[], object]) -> None:
        super().__init__(call, "before")
        self._act = act

    def through(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return super().through(function, *args, **kwargs)
        except EnvironmentDied:
            self._act()
            return function(*args, **kwargs)
