"""Users: who comes and goes, and that nobody gives, or gets, more than it may."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from stepgrid_core.errors import Unavailable
from stepgrid_core.federation.records import User
from stepgrid_core.federation.registry import marks_of
from stepgrid_core.federation.rules import DEFAULT_ROLES, rule_id
from stepgrid_core.memory import MemoryUserDirectory

from .federation_world import (
    COLLEAGUE,
    PEER,
    PEERS_ROLE,
    ROLE,
    STRANGER,
    STRANGERS_ROLE,
    USERS,
    FederationWorld,
)

NEW = {
    "username": "newcomer",
    "password": "Correct horse 1!",
    "email": "newcomer@example.org",
    "firstname": "New",
    "lastname": "Comer",
}
ADMIN, RESEARCHER = "organization admin", "researcher"


@pytest.fixture
def world() -> FederationWorld:
    return FederationWorld()


def create(world: FederationWorld, principal: str = ADMIN, **more: Any) -> tuple[int, Any]:
    return world.ask(principal, "POST", "/api/user", {**NEW, **more})


class TestNewUsers:
    def test_a_new_user_can_log_in(self, world: FederationWorld) -> None:
        status, made = create(world, roles=[2])
        assert status == 201
        assert made["organization"]["id"] == 1
        assert "password" not in made
        kept = world.user(made["id"])
        assert world.directory.users == {"newcomer": kept.subject}
        assert (kept.role_ids, kept.firstname) == ((2,), "New")
        token = world.user_token(kept.id)
        assert world.ask_with(token, "GET", f"/api/user/{kept.subject}")[1]["id"] == kept.id

    @pytest.mark.parametrize(
        ("more", "told"),
        [
            ({"username": "viewer"}, "username already exists."),
            ({"email": "viewer@example.org"}, "email already exists."),
        ],
    )
    def test_names_and_addresses_are_given_once(
        self, world: FederationWorld, more: Any, told: str
    ) -> None:
        assert create(world, **more) == (400, {"msg": told})
        assert world.directory.users == {}

    def test_a_login_of_that_name_is_left_alone(self, world: FederationWorld) -> None:
        """It may be that of a user of the grid, who is in no organization."""
        world.directory.create("newcomer", "Another horse 1!", "")
        assert create(world) == (400, {"msg": "username already exists."})
        assert world.directory.passwords == {"newcomer": "Another horse 1!"}

    def test_a_login_whose_user_is_not_kept_is_taken_back(self, world: FederationWorld) -> None:
        """Two requests at once: the other one's user was first."""
        directory = RacingDirectory(world)
        world.federation = replace(world.federation, directory=directory)
        assert create(world) == (400, {"msg": "username already exists."})
        assert directory.users == {}

    def test_a_password_that_the_pool_refuses(self, world: FederationWorld) -> None:
        world.directory.shortest_password = 40
        status, told = create(world)
        assert (status, "password" in told["msg"]) == (400, True)
        assert world.registry.find_named(User, "newcomer") is None

    @pytest.mark.parametrize("field", ["username", "password", "email"])
    def test_what_a_user_needs(self, world: FederationWorld, field: str) -> None:
        body = {name: value for name, value in NEW.items() if name != field}
        status, told = world.ask(ADMIN, "POST", "/api/user", body)
        assert (status, list(told["errors"])) == (400, [field])


@dataclass
class RacingDirectory(MemoryUserDirectory):
    """While a login is made, somebody else makes a user of that name."""

    def __init__(self, world: FederationWorld) -> None:
        super().__init__()
        self._world = world

    def create(self, username: str, password: str, email: str) -> str:
        other = User(50, username, "other", 2)
        assert self._world.registry.create(other, marks_of(other))
        return super().create(username, password, email)


class TestGiving:
    """Nobody can give more than it has, nor take what it does not have."""

    @pytest.mark.parametrize(
        ("role", "status"), [(2, 201), (4, 201), (3, 401), (5, 401), (1, 401), (ROLE, 201)]
    )
    def test_roles_of_a_new_user(self, world: FederationWorld, role: int, status: int) -> None:
        """An organization admin has no right to create tasks, so it makes no researchers."""
        before = world.stored()
        assert create(world, roles=[role])[0] == status
        assert (world.stored() == before) is (status == 401)

    @pytest.mark.parametrize(
        ("rule", "status"),
        [("user v org", 201), ("task v col", 201), ("user v col", 401), ("task v glo", 401)],
    )
    def test_rules_of_a_new_user(self, world: FederationWorld, rule: str, status: int) -> None:
        given = create(world, rules=[rule_id(*rule.split())])
        assert given[0] == status, given

    @pytest.mark.parametrize("role", [PEERS_ROLE, STRANGERS_ROLE, 77])
    def test_roles_of_others_are_not_there(self, world: FederationWorld, role: int) -> None:
        told = (404, {"msg": f"Role={role} can not be found!"})
        assert create(world, roles=[role]) == told
        assert world.ask(ADMIN, "PATCH", f"/api/user/{COLLEAGUE}", {"roles": [role]}) == told

    def test_a_role_stays_in_its_organization(self, world: FederationWorld) -> None:
        """Also for who sees it."""
        path = f"/api/user/{PEER}"
        status, told = world.ask("root", "PATCH", path, {"roles": [ROLE]})
        assert (status, "different organization" in told["msg"]) == (401, True)
        assert create(world, "root", organization_id=2, roles=[ROLE])[0] == 401

    def test_a_rule_that_is_not_there(self, world: FederationWorld) -> None:
        assert create(world, rules=[999]) == (404, {"msg": "Rule=999 can not be found!"})

    @pytest.mark.parametrize("change", [{"roles": [1]}, {"rules": [1]}, {"roles": []}])
    def test_nobody_changes_its_own(self, world: FederationWorld, change: Any) -> None:
        for principal in ("root", ADMIN, RESEARCHER):
            path = f"/api/user/{USERS[principal]}"
            status, told = world.ask(principal, "PATCH", path, change)
            assert (status, "your own" in told["msg"]) == (401, True)

    def test_an_admin_makes_nobody_more_than_itself(self, world: FederationWorld) -> None:
        path = f"/api/user/{COLLEAGUE}"
        assert world.ask(ADMIN, "PATCH", path, {"roles": [2, 1]})[0] == 401
        assert world.ask(ADMIN, "PATCH", path, {"rules": [1]})[0] == 401
        assert world.ask(ADMIN, "PATCH", path, {"roles": [4], "rules": [21]})[0] == 200
        changed = world.user(COLLEAGUE)
        assert (changed.role_ids, changed.rule_ids) == ((4,), (21,))

    def test_an_admin_takes_nothing_that_it_does_not_have(self, world: FederationWorld) -> None:
        """So nobody makes the root user of its organization powerless."""
        path = f"/api/user/{USERS['root']}"
        assert world.ask(ADMIN, "PATCH", path, {"roles": []})[0] == 401
        world.give(COLLEAGUE, rule_ids=(rule_id("task", "v", "glo"),))
        assert world.ask(ADMIN, "PATCH", f"/api/user/{COLLEAGUE}", {"rules": []})[0] == 401

    def test_rights_are_those_of_now(self, world: FederationWorld) -> None:
        """A token is no older than the table."""
        token = world.token_of(ADMIN)
        assert world.ask_with(token, "DELETE", f"/api/user/{COLLEAGUE}")[0] == 200
        world.give(USERS[ADMIN], role_ids=())
        assert world.ask_with(token, "DELETE", f"/api/user/{USERS['viewer']}")[0] == 401


class TestChanges:
    def test_a_user_changes_itself(self, world: FederationWorld) -> None:
        path = f"/api/user/{world.user(USERS[RESEARCHER]).subject}"
        body = {"firstname": "Res", "lastname": "Earcher", "email": "res@example.org"}
        status, shape = world.ask(RESEARCHER, "PATCH", path, body)
        assert status == 200
        assert {name: shape[name] for name in body} == body

    @pytest.mark.parametrize(
        ("body", "told"),
        [
            ({"password": "Correct horse 1!"}, "cannot change your password here"),
            ({"username": "other"}, "can't be renamed"),
            ({"email": "viewer@example.org"}, "email already exists."),
        ],
    )
    def test_what_stays(self, world: FederationWorld, body: Any, told: str) -> None:
        path = f"/api/user/{USERS[RESEARCHER]}"
        status, answered = world.ask(RESEARCHER, "PATCH", path, body)
        assert (status, told in answered["msg"]) == (400, True)

    def test_the_same_name_again_is_no_change(self, world: FederationWorld) -> None:
        """Clients send back what they have read."""
        path = f"/api/user/{USERS[RESEARCHER]}"
        assert world.ask(RESEARCHER, "PATCH", path, {"username": RESEARCHER})[0] == 200


class TestLeaving:
    def test_who_is_removed_loses_access_at_once(self, world: FederationWorld) -> None:
        token = world.token_of("viewer")
        removed = world.user(USERS["viewer"])
        world.directory.users["viewer"] = removed.subject
        world.directory.passwords["viewer"] = "secret"
        told = {"msg": "user id=2 is removed from the database"}
        assert world.ask(ADMIN, "DELETE", "/api/user/2") == (200, told)
        assert world.directory.users == {}
        assert world.ask_with(token, "GET", "/api/user/2")[0] == 401

    def test_somebody_elses_login_stays(self, world: FederationWorld) -> None:
        """An IAM identity of the same name as a user of the pool."""
        other = world.directory.create("viewer", "Correct horse 1!", "")
        assert world.ask(ADMIN, "DELETE", "/api/user/2")[0] == 200
        assert world.directory.users == {"viewer": other}

    def test_a_removal_that_broke_off_is_asked_again(self, world: FederationWorld) -> None:
        world.federation = replace(world.federation, directory=LostDirectory())
        assert world.ask(ADMIN, "DELETE", "/api/user/2")[0] == 503
        assert world.registry.find(User, 2) is not None
        world.federation = replace(world.federation, directory=world.directory)
        assert world.ask(ADMIN, "DELETE", "/api/user/2")[0] == 200


class LostDirectory(MemoryUserDirectory):
    def remove(self, username: str, subject: str) -> None:
        raise Unavailable("the user pool: no answer from the service")


class TestLists:
    @pytest.mark.parametrize(
        ("query", "ids"),
        [
            ("username=col%25", [5, 7]),
            ("firstname=root", [1]),
            ("email=%25@example.org&username=peer", [PEER]),
            ("organization_id=3", [STRANGER]),
            ("collaboration_id=2", [STRANGER]),
            ("role_id=3", [3]),
            ("rule_id=1", []),
            ("organization_id=1&collaboration_id=2", []),
        ],
    )
    def test_filters(self, world: FederationWorld, query: str, ids: list[int]) -> None:
        assert world.ids("root", f"/user?{query}") == ids

    @pytest.mark.parametrize(
        ("name", "foreign", "status"),
        [
            ("organization_id", 3, 401),
            ("collaboration_id", 2, 401),
            ("role_id", STRANGERS_ROLE, 400),
        ],
    )
    def test_a_filter_tells_nothing_of_strangers(
        self, world: FederationWorld, name: str, foreign: int, status: int
    ) -> None:
        asked, unknown = (
            world.ask("viewer", "GET", f"/api/user?{name}={id}") for id in (foreign, 77)
        )
        assert asked[0] == unknown[0] == status
        assert asked[1]["msg"].replace(str(foreign), "77") == unknown[1]["msg"]

    def test_permissions_for_a_user_interface(self, world: FederationWorld) -> None:
        path = f"/api/user/{USERS[RESEARCHER]}?include_permissions=True"
        told = world.ask(RESEARCHER, "GET", path)[1]["permissions"]
        assert told == {
            "roles": [3],
            "rules": sorted(DEFAULT_ROLES[3].rule_ids),
            "orgs_in_collabs": [1, 2],
        }
