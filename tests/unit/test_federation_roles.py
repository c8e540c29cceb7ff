"""Roles and their rules: who makes and changes them, and how they are listed."""

from dataclasses import replace

import pytest

from stepgrid_core.federation.records import Role
from stepgrid_core.federation.rules import DEFAULT_ROLES, RULES, rule_id

from .federation_world import (
    COLLEAGUE,
    PEERS_ROLE,
    ROLE,
    STRANGER,
    STRANGERS_ROLE,
    USERS,
    FederationWorld,
)

ADMIN = "organization admin"


@pytest.fixture
def world() -> FederationWorld:
    return FederationWorld()


class TestRoles:
    def test_a_role_of_ones_own(self, world: FederationWorld) -> None:
        body = {"name": "Reader", "description": "reads", "rules": [rule_id("task", "v", "col")]}
        status, made = world.ask(ADMIN, "POST", "/api/role", body)
        assert status == 201
        assert made == {
            "id": STRANGERS_ROLE + 1,
            "name": "Reader",
            "description": "reads",
            "is_default_role": False,
            "rules": f"/dev/api/rule?role_id={made['id']}",
            "users": f"/dev/api/user?role_id={made['id']}",
            "organization": {
                "id": 1,
                "link": "/dev/api/organization/1",
                "methods": ["GET", "PATCH", "DELETE"],
            },
        }
        told = {"msg": "Role with name 'Reader' already exists!"}
        assert world.ask(ADMIN, "POST", "/api/role", body) == (400, told)
        assert world.ask("root", "POST", "/api/role", {**body, "organization_id": 2})[0] == 201

    @pytest.mark.parametrize("name", ["Root", "container", "17", ""])
    def test_names_that_no_role_has(self, world: FederationWorld, name: str) -> None:
        status, told = world.ask("root", "POST", "/api/role", {"name": name, "rules": []})
        assert (status, list(told["errors"])) == (400, ["name"])

    @pytest.mark.parametrize("rule", ["task c col", "user v glo"])
    def test_no_role_is_made_more_than_its_maker(self, world: FederationWorld, rule: str) -> None:
        """Neither at once nor rule by rule."""
        id = rule_id(*rule.split())
        before = world.stored()
        body = {"name": "Reader", "rules": [id]}
        assert world.ask(ADMIN, "POST", "/api/role", body)[0] == 401
        assert world.ask(ADMIN, "PATCH", f"/api/role/{ROLE}", {"rules": [id]})[0] == 401
        assert world.ask(ADMIN, "POST", f"/api/role/{ROLE}/rule/{id}")[0] == 401
        assert world.stored() == before

    def test_rules_beyond_ones_own_are_not_taken_out(self, world: FederationWorld) -> None:
        id = rule_id("task", "c", "col")
        role = world.registry.find(Role, ROLE)
        assert role is not None
        assert world.registry.change(replace(role, rule_ids=(id,)))
        assert world.ask(ADMIN, "PATCH", f"/api/role/{ROLE}", {"rules": []})[0] == 401
        assert world.ask(ADMIN, "DELETE", f"/api/role/{ROLE}/rule/{id}")[0] == 401

    def test_rules_are_put_in_and_taken_out(self, world: FederationWorld) -> None:
        path, id = f"/api/role/{ROLE}/rule", rule_id("user", "v", "org")
        status, rules = world.ask(ADMIN, "POST", f"{path}/{id}")
        assert (status, [each["id"] for each in rules]) == (201, [29, id])
        assert world.ask(ADMIN, "GET", path) == (200, rules)
        assert world.ask(ADMIN, "DELETE", f"{path}/{id}")[1] == rules[:1]
        assert world.ask(ADMIN, "DELETE", f"{path}/{id}")[0] == 404
        assert world.ask(ADMIN, "POST", f"{path}/999")[0] == 404

    @pytest.mark.parametrize("id", DEFAULT_ROLES)
    def test_default_roles_stay_as_they_are(self, world: FederationWorld, id: int) -> None:
        told = f"Role {DEFAULT_ROLES[id].name} is a default role and cannot be edited or deleted."
        for method, end in (
            ("PATCH", ""),
            ("DELETE", ""),
            ("POST", "/rule/1"),
            ("DELETE", "/rule/1"),
        ):
            answered = world.ask("root", method, f"/api/role/{id}{end}", {})
            assert answered == (400, {"msg": told})

    def test_a_role_that_is_in_use(self, world: FederationWorld) -> None:
        """Who has it loses what it allowed."""
        world.give(USERS["no role"], role_ids=(ROLE,))
        assert world.ids("no role", "/role") == [ROLE]
        status, told = world.ask(ADMIN, "DELETE", f"/api/role/{ROLE}")
        assert (status, "assigned to 1 users" in told["msg"]) == (400, True)
        path = f"/api/role/{ROLE}?delete_dependents=True"
        assert world.ask(ADMIN, "DELETE", path)[0] == 200
        assert world.ids("no role", "/role") == []

    @pytest.mark.parametrize(
        ("query", "ids"),
        [
            ("organization_id=2", [PEERS_ROLE]),
            ("organization_id=2&organization_id=3", [PEERS_ROLE, STRANGERS_ROLE]),
            ("organization_id=2&include_root=1", [1, 2, 3, 4, 5, PEERS_ROLE]),
            ("collaboration_id=2", [STRANGERS_ROLE]),
            ("name=Root", [1]),
            ("description=May do%25", [1]),
            ("user_id=3", [3]),
            ("rule_id=33", [1, 3, 5]),
        ],
    )
    def test_filters(self, world: FederationWorld, query: str, ids: list[int]) -> None:
        assert world.ids("root", f"/role?{query}") == ids

    @pytest.mark.parametrize(
        ("name", "foreign"),
        [("organization_id", 3), ("collaboration_id", 2), ("user_id", STRANGER)],
    )
    def test_a_filter_tells_nothing_of_strangers(
        self, world: FederationWorld, name: str, foreign: int
    ) -> None:
        asked, unknown = (
            world.ask("viewer", "GET", f"/api/role?{name}={id}") for id in (foreign, 77)
        )
        assert asked[0] == unknown[0] >= 400
        assert asked[1]["msg"].replace(str(foreign), "77") == unknown[1]["msg"]


class TestRules:
    def test_the_shape_is_vantage6s(self, world: FederationWorld) -> None:
        id = rule_id("task", "v", "col")
        assert world.ask("no role", "GET", f"/api/rule/{id}") == (
            200,
            {
                "id": id,
                "name": "task",
                "operation": "VIEW",
                "scope": "COLLABORATION",
                "description": "view one's collaborations' task",
                "users": f"/dev/api/user?rule_id={id}",
            },
        )
        assert world.ask("no role", "GET", "/api/rule/999") == (
            404,
            {"msg": "Rule id=999 not found!"},
        )

    @pytest.mark.parametrize(
        ("query", "rules"),
        [
            ("name=task&operation=c", ["task c glo", "task c col"]),
            ("name=task&operation=CREATE&scope=collaboration", ["task c col"]),
            ("scope=own&operation=e", ["user e own"]),
            ("name=unknown", []),
        ],
    )
    def test_filters(self, world: FederationWorld, query: str, rules: list[str]) -> None:
        expected = [rule_id(*rule.split()) for rule in rules]
        assert world.ids("viewer", f"/rule?{query}") == expected

    def test_rules_of_a_role_and_of_a_user(self, world: FederationWorld) -> None:
        world.give(COLLEAGUE, role_ids=(2,), rule_ids=(1,))
        of_role = world.ids("viewer", "/rule?role_id=2&no_pagination=1")
        of_user = world.ids("viewer", f"/rule?user_id={COLLEAGUE}&no_pagination=1")
        assert of_role == sorted(DEFAULT_ROLES[2].rule_ids)
        assert of_user == [1, *of_role]
        for query in (f"role_id={STRANGERS_ROLE}", f"user_id={STRANGER}", "role_id=77"):
            assert world.ask("viewer", "GET", f"/api/rule?{query}")[0] == 400

    def test_all_of_them_are_rules_of_root(self, world: FederationWorld) -> None:
        assert world.ids("root", "/rule?role_id=1&no_pagination=1") == list(RULES)
