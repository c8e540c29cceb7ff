"""Grid.plan and Session.plan: asked, never submitted."""

from collections.abc import Iterator
from typing import Any

import pytest

from stepgrid import Grid, InvalidRequest, NotFound
from tests.unit.sdk_fakes import World


@pytest.fixture
def world() -> World:
    return World()


def test_a_count_is_all_it_needs(world: World) -> None:
    """One request; options travel as in a submit."""
    plan = world.grid.plan("square", 1_000, task_seconds=0.1, container=None)
    assert (plan.backend, plan.chunks) == ("lambda", 40)
    (sent,) = world.transport.sent
    assert (sent.method, sent.path) == ("POST", "/v1/plans")
    options = {"task_seconds": 0.1, "container": None}
    assert sent.body == {"worker": "square", "tasks": 1_000, "options": options}


def test_tasks_are_measured_and_not_sent(world: World) -> None:
    """Any iterable; a few are held at once, and none is uploaded."""

    def tasks() -> Iterator[Any]:
        yield from ({"x": n} for n in range(10))

    world.grid.plan("square", tasks(), chunk_size=5)
    assert world.transport.sent[0].body["tasks"] == 10
    assert world.transport.sent[0].body["size"] == 10 * len('{"x":1}\n')
    assert world.objects.puts == []


def test_a_session_tells_its_plan(world: World) -> None:
    """What it was to take."""
    session = world.grid.submit("square", [{"x": 1}] * 3)
    plan = session.plan()
    assert (plan.layout, plan.reason) == ("3x1", "this worker runs on Lambda only")
    assert world.transport.sent[-1].path == f"/v1/sessions/{session.id}/plan"


@pytest.mark.parametrize(
    ("tasks", "size", "words"),
    [
        (0, None, "at least one task, not 0"),
        ([], None, "at least one task, not 0"),
        (True, None, "at least one task, not True"),
        ("ab", None, "tasks is one str"),
        (1.5, None, "tasks is one float"),
        ([1], 10, "size goes with a count"),
        (1, 0, "size is 0"),
        ([{1}], None, "task 0"),
    ],
)
def test_what_cannot_be_is_refused_here(
    world: World, tasks: Any, size: int | None, words: str
) -> None:
    """In words of stepgrid; nothing is sent."""
    with pytest.raises(InvalidRequest, match=words):
        world.grid.plan("square", tasks, size=size)
    assert world.transport.sent == []


def test_an_unknown_option_is_refused_here(world: World) -> None:
    """As of a submit."""
    grid: Grid = world.grid
    with pytest.raises(InvalidRequest, match="unknown option 'task_second'"):
        grid.plan("square", 1, task_second=1)  # type: ignore[call-arg]
    with pytest.raises(NotFound, match="no worker"):
        grid.plan("round", 1)
