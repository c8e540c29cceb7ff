"""Rules and default roles: ids are kept in tables, so they never change."""

import pytest

from stepgrid_core.federation.records import User
from stepgrid_core.federation.registry import Registry
from stepgrid_core.federation.roles import find_role, find_roles, rules_of
from stepgrid_core.federation.rules import (
    CONTAINER_RULES,
    DEFAULT_ROLES,
    FIRST_CUSTOM_ROLE,
    NODE_RULES,
    RULES,
    Scope,
    find_uncovered,
    rule_id,
    widest_scope,
)
from stepgrid_core.memory import MemoryFederationTable

#: What every table may hold: a rule that is added comes behind these.
FIRST_IDS = {
    "node": 1,
    "collaboration": 13,
    "organization": 20,
    "task": 28,
    "run": 38,
    "user": 42,
    "role": 56,
    "port": 68,
    "event": 70,
    "study": 76,
}


@pytest.mark.parametrize(("resource", "first"), FIRST_IDS.items())
def test_ids_stay_as_they_are(resource: str, first: int) -> None:
    assert min(id for id, rule in RULES.items() if rule.resource == resource) == first


def test_the_catalogue_is_vantage6s() -> None:
    assert list(RULES) == list(range(1, 87))
    assert {rule.resource for rule in RULES.values()} == FIRST_IDS.keys()
    told = [(rule.resource, rule.operation, rule.scope) for rule in RULES.values()]
    assert len(set(told)) == len(told)


def test_an_id_of_each_kind() -> None:
    """Some of them in full, so that no order within a resource changes unseen."""
    known = {
        ("node", "v", "glo"): 1,
        ("node", "d", "org"): 12,
        ("organization", "v", "org"): 21,
        ("task", "v", "col"): 29,
        ("task", "c", "col"): 33,
        ("user", "d", "own"): 55,
        ("event", "s", "glo"): 75,
        ("study", "d", "org"): 86,
    }
    assert {each: rule_id(*each) for each in known} == known


def test_a_rule_that_is_not_there_has_no_id() -> None:
    with pytest.raises(KeyError):
        rule_id("task", "e", "glo")


def test_default_roles_have_fixed_ids() -> None:
    assert {id: role.name for id, role in DEFAULT_ROLES.items()} == {
        1: "Root",
        2: "Viewer",
        3: "Researcher",
        4: "Organization Admin",
        5: "Collaboration Admin",
    }
    assert max(DEFAULT_ROLES) < FIRST_CUSTOM_ROLE
    for role in DEFAULT_ROLES.values():
        assert len(set(role.rule_ids)) == len(role.rule_ids)
        assert set(role.rule_ids) <= RULES.keys()


def test_each_role_has_more_than_the_one_before() -> None:
    root, viewer, researcher, admin, collaborations = (
        set(DEFAULT_ROLES[id].rule_ids) for id in range(1, 6)
    )
    assert viewer < researcher < root
    assert viewer < admin < collaborations < root
    assert researcher < collaborations


def test_a_researcher_is_a_viewer_with_tasks() -> None:
    more = set(DEFAULT_ROLES[3].rule_ids) - set(DEFAULT_ROLES[2].rule_ids)
    assert more == {rule_id("task", "c", "col"), rule_id("task", "d", "org")}


def test_machines_change_next_to_nothing() -> None:
    assert {RULES[id].operation for id in CONTAINER_RULES} == {"v"}
    more = [f"{RULES[id].resource} {RULES[id].operation}" for id in NODE_RULES - CONTAINER_RULES]
    assert sorted(more) == ["node e", "organization e"]


def test_the_widest_scope_counts() -> None:
    held = [rule_id("task", "v", scope) for scope in ("own", "col", "org")]
    assert widest_scope(held, "task", "v") is Scope.COLLABORATION
    assert widest_scope(held, "task", "d") is None
    assert widest_scope([0, 999], "task", "v") is None


@pytest.mark.parametrize(
    ("held", "given", "covered"),
    [
        ("glo", "org", True),
        ("org", "org", True),
        ("org", "own", True),
        ("org", "col", False),
        ("col", "glo", False),
    ],
)
def test_nobody_gives_more_than_it_has(held: str, given: str, covered: bool) -> None:
    have, want = rule_id("task", "v", held), rule_id("task", "v", given)
    uncovered = find_uncovered([have], [want])
    assert uncovered == (None if covered else RULES[want])


def test_a_right_to_see_is_none_to_delete() -> None:
    want = rule_id("task", "d", "own")
    assert find_uncovered([rule_id("task", "v", "glo")], [want]) == RULES[want]


def test_a_role_that_is_gone_gives_nothing() -> None:
    registry = Registry(MemoryFederationTable())
    user = User(1, "ann", "1", 1, role_ids=(2, 100), rule_ids=(1,))
    assert find_role(registry, 100) is None
    assert [role.name for role in find_roles(registry, user.role_ids)] == ["Viewer"]
    assert rules_of(registry, user) == {1, *DEFAULT_ROLES[2].rule_ids}
