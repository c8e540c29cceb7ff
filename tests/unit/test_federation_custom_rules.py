"""Rules that no default role has together: each is asked for where it matters, none stands in."""

from dataclasses import replace

import pytest

from stepgrid_core.federation.records import Collaboration, Node, User
from stepgrid_core.federation.rules import rule_id

from .federation_world import USERS, FederationWorld

ASKING = "no role"


@pytest.fixture
def world() -> FederationWorld:
    return FederationWorld()


def allow(world: FederationWorld, *rules: str) -> None:
    """All that the asking user may do."""
    user = world.registry.find(User, USERS[ASKING])
    assert user is not None
    ids = tuple(rule_id(*rule.split()) for rule in rules)
    assert world.registry.change(replace(user, rule_ids=ids))


def test_who_is_not_seen_is_not_taken_in(world: FederationWorld) -> None:
    """An organization that is foreign, and one that is not there."""
    allow(world, "collaboration e col", "organization v col")
    path = "/api/collaboration/1/organization"
    for id in (3, 77):
        told = {"msg": f"Organization id={id} not found!"}
        assert world.ask(ASKING, "POST", path, {"id": id}) == (404, told)
    allow(world, "collaboration e col", "organization v glo")
    assert world.ask(ASKING, "POST", path, {"id": 3})[0] == 200


def test_a_node_goes_by_the_right_to_delete_it(world: FederationWorld) -> None:
    path = "/api/collaboration/1/node"
    allow(world, "collaboration e col", "node v col")
    assert world.ask(ASKING, "DELETE", path, {"id": 2})[0] == 401
    assert world.registry.find(Node, 2)
    allow(world, "collaboration e col", "node v col", "node d col")
    assert world.ask(ASKING, "DELETE", path, {"id": 2})[0] == 200


def test_a_node_is_made_where_one_sees_whose_it_is(world: FederationWorld) -> None:
    allow(world, "node c glo", "collaboration v glo")
    body = {"collaboration_id": 2, "organization_id": 4}
    told = {"msg": "organization id=4 does not exist"}
    assert world.ask(ASKING, "POST", "/api/node", body) == (404, told)
    allow(world, "node c glo", "collaboration v glo", "organization v glo")
    assert world.ask(ASKING, "POST", "/api/node", body)[0] == 201


def test_members_are_those_that_one_sees(world: FederationWorld) -> None:
    """Who may see its own organization only is not told the others in it."""
    allow(world, "collaboration v org", "study v col", "organization v org")
    for path in ("/api/collaboration/1/organization", "/api/study/1/organization"):
        assert [each["id"] for each in world.ask(ASKING, "GET", path)[1]] == [1]
    assert world.ask(ASKING, "GET", "/api/study/2/organization") == (200, [])
    for path in ("/api/collaboration/1", "/api/study/1"):
        shape = world.ask(ASKING, "GET", f"{path}?include=organizations")[1]
        assert [each["id"] for each in shape["organizations"]] == [1]


def test_a_node_that_was_left_behind_sees_nothing(world: FederationWorld) -> None:
    """Its organization is out of the collaboration, and it is still in the table."""
    heart = world.registry.find(Collaboration, 1)
    assert heart is not None
    assert world.registry.change(replace(heart, organization_ids=(2,)))
    for principal in ("node", "container"):
        assert world.ask(principal, "GET", "/api/collaboration/1")[0] == 404
        assert world.ask(principal, "GET", "/api/organization/2")[0] == 404
        assert world.ids(principal, "/organization") == [1]
        assert world.ask(principal, "GET", "/api/study/1")[0] == 404


def test_a_right_to_edit_is_enough_to_see(world: FederationWorld) -> None:
    """What may be changed is answered as being there."""
    allow(world, "organization e org")
    assert world.ask(ASKING, "GET", "/api/organization/1")[0] == 401
    assert world.ask(ASKING, "PATCH", "/api/organization/1", {"domain": "a.org"})[0] == 200
