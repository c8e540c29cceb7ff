"""What of tasks is seen by other ways than its id: filters of lists, and what they include."""

import re

import pytest

from stepgrid_core.federation.records import Role, User
from stepgrid_core.federation.registry import marks_of
from stepgrid_core.federation.rules import rule_id

from .federation_task_world import STRANGERS_TASK, TASK, TaskWorld
from .federation_world import COLLEAGUE, NOBODY_KNOWS, STRANGER


def with_rule(world: TaskWorld, *rule: str) -> str:
    """The token of a user of Asclepius who may do that and nothing else."""
    world.keep(role := Role(103, "narrow", "", (rule_id(*rule),), 1), marks_of(role))
    user = world.registry.find(User, COLLEAGUE)
    assert user is not None
    world.table.replace(
        world.table.read(User.KIND, COLLEAGUE),  # type: ignore[arg-type]
        {**user.as_values(), "role_ids": [103]},
    )
    return world.user_token(COLLEAGUE)


@pytest.mark.parametrize(
    ("rule", "path", "include"),
    [
        ("task v col", f"/api/task/{TASK}", "runs"),
        ("task v col", f"/api/task/{TASK}", "results"),
        ("task v col", "/api/task", "runs"),
        ("run v col", f"/api/run/{TASK}000", "task"),
        ("run v col", "/api/run", "task"),
    ],
)
def test_nothing_is_included_that_could_not_be_asked_for(
    rule: str, path: str, include: str
) -> None:
    world = TaskWorld()
    token = with_rule(world, *rule.split())
    assert world.ask_with(token, "GET", path)[0] == 200
    status, body = world.ask_with(token, "GET", f"{path}?include={include}")
    assert (status, body) == (401, {"msg": "You lack the permission to do that!"})


@pytest.mark.parametrize(
    ("path", "foreign"),
    [
        ("/task?collaboration_id=", 2),
        ("/task?job_id=", STRANGERS_TASK),
        ("/task?parent_id=", STRANGERS_TASK),
        ("/task?init_user_id=", STRANGER),
        ("/task?init_org_id=", 3),
        ("/task?study_id=", 3),
        ("/task?run_id=", STRANGERS_TASK * 1000),
        ("/run?task_id=", STRANGERS_TASK),
        ("/run?node_id=", 3),
        ("/run?collaboration_id=", 2),
        ("/run?organization_id=", 3),
        ("/result?task_id=", STRANGERS_TASK),
        ("/result?node_id=", 3),
    ],
)
@pytest.mark.parametrize("principal", ["viewer", "collaboration admin", "node", "container"])
def test_a_filter_tells_nothing_of_what_is_foreign(path: str, foreign: int, principal: str) -> None:
    """It is answered like one for what is not there, in status, words and length."""
    world = TaskWorld()
    status, body = world.ask(principal, "GET", f"/api{path}{foreign}")
    other = world.ask(principal, "GET", f"/api{path}{NOBODY_KNOWS}")
    told = re.sub(rf"\b{foreign}\b", str(NOBODY_KNOWS), str(body.get("msg") or body["data"]))
    assert (status, told) == (other[0], str(other[1].get("msg") or other[1]["data"]))
    assert not body.get("data")
