"""Every route of a federation, asked by everybody, for what is their own, near, far and not there.

What is expected is said in federation_reach, by hand. What was refused has changed nothing.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from stepgrid_core.federation.routing import ROUTES
from stepgrid_core.federation.task_ending import kill_task

from .federation_cases import UNKNOWN
from .federation_matrix import CASES, LISTS
from .federation_open_cases import OPEN
from .federation_permissions_document import write_document
from .federation_reach import (
    ANY,
    PRINCIPALS,
    RELATIONS,
    Case,
    ListCase,
    OpenCase,
    Target,
    reaches,
)
from .federation_task_world import SUBTASK, TaskWorld
from .federation_world import USERS, FederationWorld

#: What stands for "{self}": with it, a machine's own task is that of the container.
SELF: dict[str | None, int] = {**USERS, "node": SUBTASK % 10, "container": SUBTASK % 10}
DOCUMENT = Path(__file__).parents[2] / "docs" / "federation-permissions.md"


def name_of(case: Case | ListCase | OpenCase) -> str:
    return f"{case.method} {case.route}"


def world_of(case: Case | ListCase) -> FederationWorld:
    return TaskWorld() if case.with_tasks else FederationWorld()


def ask(world: FederationWorld, principal: str | None, case: Case, target: Target) -> Any:
    path = target.path.replace("{self}", str(SELF.get(principal, UNKNOWN)))
    return world.ask(principal, case.method, f"/api{path}", target.body)


def test_every_route_is_in_the_matrix() -> None:
    """A new one needs a case, and a case a route."""
    in_matrix = [name_of(case) for case in (*CASES, *LISTS, *OPEN)]
    assert sorted(in_matrix) == sorted(f"{route.method} {route.path}" for route in ROUTES)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_each_may_do_what_the_table_says(case: Case) -> None:
    """And what was refused has changed nothing."""
    world = world_of(case)
    for target in case.targets:
        for principal in PRINCIPALS:
            before = world.stored()
            status, body = ask(world, principal, case, target)
            expected = case.expect(principal, target)
            assert (principal, target, status) == (principal, target, expected), body
            if status >= 400:
                assert world.stored() == before
            elif case.method != "GET":
                assert world.stored() != before
                world = world_of(case)


def out_of_sight(case: Case, principal: str | None, target: Target) -> bool:
    far = target.relation_to(principal) == ANY and not reaches(case.view, principal, ANY)
    return far and case.expect(principal, target) in (401, 404)


def unknown(target: Target) -> tuple[Target, int]:
    """The same request for what is not there, and the id that it stands for."""
    in_path = re.search(r"[0-9]+", target.path)
    if in_path:
        path = target.path.replace(in_path.group(), str(UNKNOWN), 1)
        return Target(target.relation, path, target.body), int(in_path.group())
    names = ("study_id", "collaboration_id", "organization_id", "id")
    name = next(name for name in names if name in (target.body or {}))
    return Target(target.relation, target.path, {**target.body, name: UNKNOWN}), target.body[name]


@pytest.mark.parametrize(
    "case", [case for case in CASES if not case.right.endswith(("n c", "rule v"))], ids=name_of
)
def test_foreign_and_unknown_are_answered_alike(case: Case) -> None:
    """To whom a foreign thing is out of sight, it is as if it were not there."""
    world = world_of(case)
    pairs = [(principal, target) for principal in PRINCIPALS for target in case.targets]
    far = [pair for pair in pairs if out_of_sight(case, *pair)]
    assert far
    for principal, target in far:
        missing, id = unknown(target)
        status, body = ask(world, principal, case, target)
        other_status, other_body = ask(world, principal, case, missing)
        told = re.sub(rf"\b{id}\b", str(UNKNOWN), body["msg"])
        assert (status, told) == (other_status, other_body["msg"])


@pytest.mark.parametrize("case", LISTS, ids=name_of)
@pytest.mark.parametrize("principal", PRINCIPALS)
def test_lists_show_what_the_table_says(case: ListCase, principal: str | None) -> None:
    world = world_of(case)
    path = f"/api{case.route}?no_pagination=1"
    status, body = world.ask(principal, case.method, path)
    expected = case.expect(principal)
    if expected is None:
        assert status == 401
        assert body.keys() == {"msg"}
    else:
        assert status == 200, body
        assert [each["id"] for each in body["data"]] == expected


@pytest.mark.parametrize("case", OPEN, ids=name_of)
@pytest.mark.parametrize("principal", PRINCIPALS)
def test_routes_without_rules(case: OpenCase, principal: str | None) -> None:
    status, body = FederationWorld().ask(principal, case.method, f"/api{case.route}", {})
    assert status == case.statuses[principal], body


def test_a_change_of_a_task_is_seen() -> None:
    """What a refusal has to leave alone: entities, lists, sessions and rows."""
    world = TaskWorld()
    before = world.stored()
    world.federation.grid.table.postpone(f"{1:032x}", 1.0)
    assert world.stored() == before
    for change in (
        lambda: world.table.put_in("backlog:1:1", [99_000]),
        lambda: world.table.create("run", 1000, {}),
        lambda: kill_task(world.federation, world.task),
    ):
        change()
        assert world.stored() != before
        before = world.stored()


def test_the_nearest_is_within_every_reach() -> None:
    """The table says reaches, and a reach takes in what is nearer."""
    assert [reaches("user e", "viewer", relation) for relation in RELATIONS] == [True] + 3 * [False]
    assert all(reaches("user e", "root", relation) for relation in RELATIONS)


def test_the_document_is_the_matrix() -> None:
    """`make fmt` writes it."""
    assert DOCUMENT.read_text() == write_document()
