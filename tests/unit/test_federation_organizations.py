"""Organizations, collaborations, studies: shapes, names that are taken, what goes with them."""

from dataclasses import replace
from typing import Any, ClassVar

import pytest

from stepgrid_core.federation.changes import revise
from stepgrid_core.federation.http import Refused
from stepgrid_core.federation.records import Collaboration, Node, Organization, Study, User
from stepgrid_core.federation.task_lists import (
    tasks_of_collaboration,
    tasks_of_organization,
    tasks_of_study,
)

from .federation_world import PEER, FederationWorld


@pytest.fixture
def world() -> FederationWorld:
    return FederationWorld()


class TestOrganizations:
    def test_the_shape_is_vantage6s(self, world: FederationWorld) -> None:
        assert world.ask("viewer", "GET", "/api/organization/2") == (
            200,
            {
                "id": 2,
                "name": "Borealis",
                "domain": "",
                "address1": "",
                "address2": "",
                "zipcode": "",
                "country": "Greece",
                "public_key": "",
                "collaborations": "/dev/api/collaboration?organization_id=2",
                "nodes": "/dev/api/node?organization_id=2",
                "users": "/dev/api/user?organization_id=2",
                "tasks": "/dev/api/task?init_org_id=2",
                "runs": "/dev/api/run?organization_id=2",
                "studies": "/dev/api/study?organization_id=2",
            },
        )

    @pytest.mark.parametrize(
        ("query", "ids"),
        [
            ("name=B%25", [2]),
            ("country=Greece", [1, 2, 3, 4]),
            ("country=Norway", []),
            ("collaboration_id=2", [3, 4]),
            ("study_id=2", [2]),
            ("collaboration_id=1&study_id=1", [1]),
            ("ids=4&ids=1", [1, 4]),
            ("ids=x", []),
            pytest.param(f"ids={'9' * 5000}&ids=2", [2], id="more digits than Python reads"),
        ],
    )
    def test_filters(self, world: FederationWorld, query: str, ids: list[int]) -> None:
        assert world.ids("root", f"/organization?{query}") == ids

    @pytest.mark.parametrize("query", ["collaboration_id=2", "study_id=3"])
    def test_a_filter_tells_nothing_of_strangers(self, world: FederationWorld, query: str) -> None:
        """Not even whether they are there."""
        told = world.ask("viewer", "GET", f"/api/organization?{query}")
        name = query.split("=", maxsplit=1)[0]
        assert told[0] == 401
        assert world.ask("viewer", "GET", f"/api/organization?{name}=77") == told

    def test_a_name_is_given_once(self, world: FederationWorld) -> None:
        taken = (400, {"msg": "Organization with name 'Chiron' already exists!"})
        assert world.ask("root", "POST", "/api/organization", {"name": "Chiron"}) == taken
        assert world.ask("root", "PATCH", "/api/organization/1", {"name": "Chiron"}) == taken
        assert world.ask("root", "PATCH", "/api/organization/3", {"name": "Hygieia"})[0] == 200
        assert world.ask("root", "POST", "/api/organization", {"name": "Chiron"})[0] == 201

    @pytest.mark.parametrize("principal", ["organization admin", "node", "root"])
    def test_an_organization_gives_its_public_key(
        self, world: FederationWorld, principal: str
    ) -> None:
        """As the clients' setup_encryption does, and nobody does it for another."""
        key = {"public_key": "S0VZ"}
        status, shape = world.ask(principal, "PATCH", "/api/organization/1", key)
        assert (status, shape["public_key"]) == (200, "S0VZ")
        assert world.ask("viewer", "GET", "/api/organization/1")[1]["public_key"] == "S0VZ"
        assert world.ask("root", "PATCH", "/api/organization/2", key) == (
            401,
            {"msg": "Only members of an organization can update its public key!"},
        )

    def test_nobody_deletes_its_own(self, world: FederationWorld) -> None:
        status, told = world.ask("root", "DELETE", "/api/organization/1?delete_dependents=1")
        assert (status, told) == (400, {"msg": "You cannot delete your own organization!"})

    def test_what_goes_with_it_is_asked_for(self, world: FederationWorld) -> None:
        status, told = world.ask("root", "DELETE", "/api/organization/2")
        assert status == 400
        assert "0 tasks, 1 nodes, 1 users, 1 roles" in told["msg"]
        assert world.ask("root", "DELETE", "/api/organization/4")[0] == 200
        peer = world.registry.find(User, PEER)
        assert peer is not None
        world.directory.users[peer.username] = peer.subject
        world.directory.passwords[peer.username] = "secret"
        assert world.ask("root", "DELETE", "/api/organization/2?delete_dependents=True")[0] == 200
        assert world.registry.find(User, PEER) is None
        assert world.registry.find(Node, 2) is None
        assert world.directory.users == {}
        heart, theirs = world.registry.find(Collaboration, 1), world.registry.find(Study, 2)
        assert heart is not None
        assert theirs is not None
        assert (heart.organization_ids, theirs.organization_ids) == ((1,), ())

    def test_tasks_are_not_deleted_with_it(self, world: FederationWorld) -> None:
        world.table.put_in(tasks_of_organization(4), [1])
        status, told = world.ask("root", "DELETE", "/api/organization/4?delete_dependents=1")
        assert (status, "1 tasks" in told["msg"]) == (400, True)
        assert world.registry.find(Organization, 4)


class TestCollaborations:
    def test_the_shape_is_vantage6s(self, world: FederationWorld) -> None:
        shape = {
            "id": 1,
            "name": "heart",
            "encrypted": False,
            "organizations": "/dev/api/organization?collaboration_id=1",
            "nodes": "/dev/api/node?collaboration_id=1",
            "tasks": "/dev/api/task?collaboration_id=1",
            "algorithm_stores": "/dev/api/algorithm_store?collaboration_id=1",
            "studies": "/dev/api/study?collaboration_id=1",
        }
        assert world.ask("node", "GET", "/api/collaboration/1") == (200, shape)
        path = "/api/collaboration/1?include=organizations"
        full = world.ask("node", "GET", path)[1]["organizations"]
        assert [each["name"] for each in full] == ["Asclepius", "Borealis"]

    @pytest.mark.parametrize(
        ("query", "ids"),
        [("name=l%25", [2, 3]), ("organization_id=3", [2]), ("encrypted=1", []), ("page=2", [])],
    )
    def test_filters(self, world: FederationWorld, query: str, ids: list[int]) -> None:
        assert world.ids("root", f"/collaboration?{query}") == ids

    def test_others_organizations_are_no_filter(self, world: FederationWorld) -> None:
        assert world.ids("viewer", "/collaboration?organization_id=1") == [1, 3, 4]
        for id in (2, 3, 77):
            assert world.ask("viewer", "GET", f"/api/collaboration?organization_id={id}")[0] == 401

    def test_a_new_one_has_those_that_are_there(self, world: FederationWorld) -> None:
        body = {"name": "brain", "encrypted": True, "organization_ids": [4, 77, 1]}
        status, made = world.ask("root", "POST", "/api/collaboration", body)
        assert (status, made["encrypted"]) == (200, True)
        members = f"/api/collaboration/{made['id']}/organization"
        assert [each["id"] for each in world.ask("root", "GET", members)[1]] == [4, 1]
        assert world.ask("root", "POST", "/api/collaboration", body) == (
            400,
            {"msg": "Collaboration name 'brain' already exists!"},
        )

    def test_members_are_changed_as_a_whole_by_root_only(self, world: FederationWorld) -> None:
        body = {"organization_ids": [1, 3]}
        status, told = world.ask("collaboration admin", "PATCH", "/api/collaboration/1", body)
        assert (status, "change the organizations" in told["msg"]) == (401, True)
        assert world.ask("root", "PATCH", "/api/collaboration/1", body)[0] == 200
        assert world.ids("root", "/organization?collaboration_id=1") == [1, 3]
        assert world.registry.find(Node, 2) is None

    def test_who_is_added_twice_is_in_it_once(self, world: FederationWorld) -> None:
        for _ in range(2):
            path = "/api/collaboration/1/organization"
            status, members = world.ask("collaboration admin", "POST", path, {"id": 3})
            assert (status, [each["id"] for each in members]) == (200, [1, 2, 3])

    def test_who_is_removed_loses_it_at_the_next_request(self, world: FederationWorld) -> None:
        """Its people, and its node, whose token is good for nothing any more."""
        node = world.token_of("node")
        world.verifier.callers.clear()
        path = "/api/collaboration/1/organization"
        assert world.ask("viewer", "GET", "/api/collaboration/1")[0] == 200
        assert world.ask("node", "GET", "/api/node/1")[0] == 200
        status, members = world.ask("root", "DELETE", path, {"id": 1})
        assert (status, [each["id"] for each in members]) == (200, [2])
        assert world.ask("viewer", "GET", "/api/collaboration/1")[0] == 404
        assert world.ask("viewer", "GET", "/api/study/1")[0] == 404
        assert world.ids("root", "/study?organization_id=1") == []
        assert world.ask_with(node, "GET", "/api/node/1")[0] == 401

    def test_a_removal_that_broke_off_is_cleared_away(self, world: FederationWorld) -> None:
        """Membership went first; asked again, the node goes too."""
        heart = world.registry.find(Collaboration, 1)
        assert heart is not None
        assert world.registry.change(replace(heart, organization_ids=(1,)))
        path = "/api/collaboration/1/organization"
        assert world.ask("root", "DELETE", path, {"id": 2})[0] == 404
        assert world.registry.find(Node, 2) is None

    def test_its_nodes(self, world: FederationWorld) -> None:
        status, nodes = world.ask("viewer", "GET", "/api/collaboration/1/node")
        assert (status, [each["id"] for each in nodes]) == (200, [1, 2])
        assert "api_key" not in nodes[0]
        path = "/api/collaboration/1/node"
        told = world.ask("root", "POST", path, {"id": 4})[1]["msg"]
        assert "create another one for collaboration id=1" in told
        assert world.ask("root", "DELETE", path, {"id": 4})[0] == 400
        assert world.ask("root", "DELETE", path, {"id": 77})[0] == 404

    def test_what_goes_with_it_is_asked_for(self, world: FederationWorld) -> None:
        status, told = world.ask("root", "DELETE", "/api/collaboration/1")
        assert status == 400
        assert "0 tasks, 2 nodes and 2 studies" in told["msg"]
        assert world.ask("root", "DELETE", "/api/collaboration/4")[0] == 200
        path = "/api/collaboration/1?delete_dependents=True"
        assert world.ask("root", "DELETE", path)[0] == 200
        assert [each.id for each in world.registry.find_all(Node)] == [3, 4]
        assert [each.id for each in world.registry.find_all(Study)] == [3]

    def test_tasks_are_not_deleted_with_it(self, world: FederationWorld) -> None:
        world.table.put_in(tasks_of_collaboration(4), [1])
        path = "/api/collaboration/4?delete_dependents=1"
        status, told = world.ask("root", "DELETE", path)
        assert (status, "1 tasks" in told["msg"]) == (400, True)


class TestStudies:
    NEW: ClassVar[dict[str, Any]] = {"name": "new", "collaboration_id": 1, "organization_ids": [1]}

    def test_the_shape_is_vantage6s(self, world: FederationWorld) -> None:
        assert world.ask("viewer", "GET", "/api/study/1") == (
            200,
            {
                "id": 1,
                "name": "ours",
                "collaboration": {
                    "id": 1,
                    "link": "/dev/api/collaboration/1",
                    "methods": ["GET", "PATCH", "DELETE"],
                },
                "organizations": "/dev/api/organization?study_id=1",
                "tasks": "/dev/api/task?study_id=1",
            },
        )

    @pytest.mark.parametrize(
        ("query", "ids"),
        [("name=THE%25", [2]), ("organization_id=3", [3]), ("collaboration_id=1", [1, 2])],
    )
    def test_filters(self, world: FederationWorld, query: str, ids: list[int]) -> None:
        assert world.ids("root", f"/study?{query}") == ids

    def test_a_new_one_shows_its_organizations(self, world: FederationWorld) -> None:
        status, made = world.ask("collaboration admin", "POST", "/api/study", self.NEW)
        assert status == 201
        assert [each["name"] for each in made["organizations"]] == ["Asclepius"]
        told = world.ask("collaboration admin", "POST", "/api/study", self.NEW)
        assert told == (400, {"msg": "Study with name 'new' already exists!"})
        taken = (400, {"msg": "Study name 'ours' already exists!"})
        path = f"/api/study/{made['id']}"
        assert world.ask("collaboration admin", "PATCH", path, {"name": "ours"}) == taken

    def test_it_has_organizations_of_its_collaboration_only(self, world: FederationWorld) -> None:
        told = (400, {"msg": "Not all organizations are part of the collaboration!"})
        strangers = {"organization_ids": [1, 3]}
        assert world.ask("root", "POST", "/api/study", {**self.NEW, **strangers}) == told
        assert world.ask("root", "PATCH", "/api/study/1", strangers) == told
        status, _ = world.ask("root", "POST", "/api/study/1/organization", {"id": 3})
        assert status == 400

    def test_its_organizations(self, world: FederationWorld) -> None:
        path = "/api/study/1/organization"
        added = world.ask("root", "POST", path, {"id": 2})[1]
        assert [each["id"] for each in added] == [1, 2]
        left = world.ask("root", "DELETE", path, {"id": 1})[1]
        assert [each["id"] for each in left] == [2]
        assert world.ask("root", "DELETE", path, {"id": 1})[0] == 404

    def test_tasks_are_not_deleted_with_it(self, world: FederationWorld) -> None:
        world.table.put_in(tasks_of_study(1), [1])
        assert world.ask("root", "DELETE", "/api/study/1")[0] == 400


class TestChanges:
    def test_what_others_change_meanwhile_stays(self, world: FederationWorld) -> None:
        """The change is asked again about what is there by then."""
        heart = world.registry.find(Collaboration, 1)
        assert heart is not None
        seen: list[Collaboration] = []

        def rename(old: Collaboration) -> Collaboration:
            if not seen:
                world.registry.change(replace(old, encrypted=True))
            seen.append(old)
            return replace(old, name=f"{old.name}!")

        changed = revise(world.registry, heart, rename)
        assert (changed.name, changed.encrypted, len(seen)) == ("heart!", True, 2)

    def test_what_is_gone_is_not_changed(self, world: FederationWorld) -> None:
        gone = Organization(77, "gone")
        with pytest.raises(Refused) as refused:
            revise(world.registry, gone, lambda old: replace(old, name="back"))
        assert refused.value.http_status == 404

    def test_nothing_is_written_for_no_change(self, world: FederationWorld) -> None:
        before = world.stored()
        assert world.ask("root", "PATCH", "/api/organization/1", {})[0] == 200
        assert world.stored() == before
