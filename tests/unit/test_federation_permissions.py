"""Whose tasks and runs somebody may see or delete, and that a reach is no wider than the table."""

from dataclasses import replace

import pytest

from stepgrid_core.federation.http import Refused
from stepgrid_core.federation.permissions import Reach, scope_of
from stepgrid_core.federation.principals import (
    ContainerPrincipal,
    NodePrincipal,
    Principal,
    UserPrincipal,
)
from stepgrid_core.federation.records import Collaboration, FederatedTask, Node, Role, User
from stepgrid_core.federation.rules import DEFAULT_ROLES, RULES, Scope, rule_id

OURS = Collaboration(1, "heart", organization_ids=(1, 2))
NODE = Node(1, "asclepius", 1, 1)
ANN = User(7, "ann", "ann", 1)
TASK = FederatedTask(
    id=3,
    name="average",
    description="",
    image="image",
    collaboration_id=1,
    session_id="s",
    organization_ids=(1, 2),
    init_org_id=2,
    init_user_id=8,
    job_id=3,
    parent_id=None,
    created_at=0.0,
)


def user(*rules: str, of: User = ANN) -> UserPrincipal:
    return UserPrincipal(of, frozenset(rule_id(*rule.split()) for rule in rules), "owner")


def reach(principal: Principal, *collaborations: Collaboration) -> Reach:
    return Reach(principal, collaborations or (OURS,))


@pytest.mark.parametrize(
    ("rules", "organization", "maker", "place", "may"),
    [
        (["task v glo"], 9, 9, 9, True),
        (["task v col"], 2, 8, 1, True),
        (["task v col"], 2, 8, 9, False),
        (["task v org"], 2, 8, 1, False),
        (["task v org"], 1, 8, 1, True),
        (["task v own"], 1, 8, 1, False),
        (["task v own"], 1, 7, 1, True),
        # What was once ours, of a collaboration that we have left.
        (["task v org"], 1, 7, 9, False),
        (["task v own"], 1, 7, 9, False),
        (["task d col"], 1, 7, 1, False),
        ([], 1, 7, 1, False),
    ],
)
def test_who_sees_a_task(
    rules: list[str], organization: int, maker: int, place: int, may: bool
) -> None:
    """place: the task's collaboration; ann is user 7 of organization 1, in collaboration 1."""
    task = replace(TASK, init_org_id=organization, init_user_id=maker, collaboration_id=place)
    assert reach(user(*rules)).may_task("v", task) is may


def test_runs_have_rules_of_their_own() -> None:
    seeing_tasks = reach(user("task v col"))
    assert not seeing_tasks.may_task("v", TASK, "run")
    assert reach(user("run v col")).may_task("v", TASK, "run")


def test_a_subtask_without_a_user_is_nobodys_own() -> None:
    assert not reach(user("task v own")).may_task("v", replace(TASK, init_user_id=None))


@pytest.mark.parametrize("principal", [NodePrincipal(NODE), ContainerPrincipal(NODE, 3, "image")])
def test_machines_see_tasks_of_their_collaboration(principal: Principal) -> None:
    assert reach(principal).may_task("v", TASK)
    assert reach(principal).may_task("v", TASK, "run")
    assert not reach(principal).may_task("v", replace(TASK, collaboration_id=2))
    assert not reach(principal).may_task("d", TASK)
    assert not reach(principal).may_create_task(1)
    assert scope_of(principal, "organization", "v") is Scope.COLLABORATION


def test_a_node_whose_organization_has_left_sees_nothing_of_it() -> None:
    left = Reach(NodePrincipal(NODE), ())
    assert not left.may_task("v", TASK)
    assert not left.may_collaboration("v", 1)
    assert not left.may_organization("v", 2)
    assert left.may_organization("v", 1)


@pytest.mark.parametrize(("place", "may"), [(1, True), (2, False)])
def test_tasks_are_created_in_ones_own_collaborations(place: int, may: bool) -> None:
    assert reach(user("task c col")).may_create_task(place) is may
    assert reach(user("task c glo")).may_create_task(place)
    assert not reach(user("task v glo")).may_create_task(place)


@pytest.mark.parametrize("operation", ["e", "d"])
def test_nobody_changes_a_default_role(operation: str) -> None:
    root = reach(UserPrincipal(ANN, frozenset(RULES), "owner"))
    assert not any(root.may_role(operation, role) for role in DEFAULT_ROLES.values())
    assert all(root.may_role("v", role) for role in DEFAULT_ROLES.values())


def test_everybody_sees_the_roles_it_has() -> None:
    bearer = reach(user(of=replace(ANN, role_ids=(2, 100))))
    assert bearer.may_role("v", DEFAULT_ROLES[2])
    assert bearer.may_role("v", Role(100, "custom", organization_id=9))
    assert not bearer.may_role("v", DEFAULT_ROLES[3])


def test_a_rule_beyond_ones_own_is_named() -> None:
    with pytest.raises(Refused) as refused:
        reach(user("task v col")).refuse_more_than_held([rule_id("task", "v", "glo")])
    assert refused.value.http_status == 401
    assert str(refused.value) == "You don't have the rule (task, global, view)"


@pytest.mark.parametrize(("id", "may"), [(1, True), (4, False)])
def test_a_node_changes_itself_only(id: int, may: bool) -> None:
    assert reach(NodePrincipal(NODE)).may_node("e", replace(NODE, id=id)) is may
    assert not reach(ContainerPrincipal(NODE, 3, "image")).may_node("e", replace(NODE, id=id))


def test_a_user_without_rules_sees_itself_and_changes_nothing() -> None:
    nobody = reach(user())
    assert nobody.may_user("v", ANN)
    assert not nobody.may_user("e", ANN)
    assert not nobody.may_user("d", ANN)
    assert not nobody.may_user("v", replace(ANN, id=8))
