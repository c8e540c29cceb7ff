"""Arguments of the wrong type: refused in words of stepgrid, and nothing is sent."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from stepgrid import Grid, InvalidRequest, NotFound
from tests.unit.sdk_fakes import World


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda grid: grid.submit("square", 5), "tasks is one int"),
        (lambda grid: grid.submit("square", None), "tasks is one NoneType"),
        (lambda grid: grid.submit("square", [1], client_token=5), "client_token 5"),
        (lambda grid: grid.submit("square", [1], depends_on="an id"), "depends_on is one session"),
        (lambda grid: grid.submit("square", [1], depends_on=5), "depends_on is 5"),
        (lambda grid: grid.submit("square", [1], depends_on=[uuid.UUID(int=1)]), "not UUID"),
        (lambda grid: grid.session(None), "not NoneType"),
        (lambda grid: grid.session(uuid.UUID(int=1)), "not UUID"),
        (lambda grid: grid.cancel([uuid.UUID(int=1)]), "not UUID"),
        (lambda grid: list(grid.sessions(limit=-1)), "limit is -1"),
    ],
)
def test_wrong_types_are_refused(call: Callable[[Grid], Any], words: str) -> None:
    """InvalidRequest says what was given and what is wanted; no TypeError from deep inside."""
    world = World()
    with pytest.raises(InvalidRequest, match=words):
        call(world.grid)
    assert world.transport.sent == []


def test_the_id_of_a_task_is_no_session() -> None:
    """It says which session that task is of: jobs of an array have such ids."""
    session = "0b54e6a1-6e4f-5c1a-9d2e-3f4a5b6c7d8e"
    with pytest.raises(NotFound, match=f"is one task: its session is '{session}'"):
        World().grid.session(f"{session}_1").status()
