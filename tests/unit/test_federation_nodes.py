"""Nodes: their keys, whether they are there, and what becomes of tokens."""

from dataclasses import replace
from typing import Any

import pytest

from stepgrid_core.federation.api_keys import hash_key
from stepgrid_core.federation.nodes import ONLINE_SECONDS, SEEN_SECONDS, is_online, note_seen
from stepgrid_core.federation.records import Node
from stepgrid_core.federation.registry import node_place

from .federation_world import FederationWorld


@pytest.fixture
def world() -> FederationWorld:
    return FederationWorld()


def node(world: FederationWorld, id: int = 1) -> Node:
    found = world.registry.find(Node, id)
    assert found is not None
    return found


def log_in(world: FederationWorld, api_key: str) -> int:
    return world.ask(None, "POST", "/api/token/node", {"api_key": api_key})[0]


class TestKeys:
    def test_a_new_node_tells_its_key_once(self, world: FederationWorld) -> None:
        body = {"collaboration_id": 4}
        status, made = world.ask("organization admin", "POST", "/api/node", body)
        assert status == 201
        assert made["name"] == "Asclepius - spare Node"
        assert log_in(world, made["api_key"]) == 200
        path = f"/api/node/{made['id']}"
        assert "api_key" not in world.ask("organization admin", "GET", path)[1]
        assert made["api_key"] not in str(node(world, made["id"]).as_values())

    def test_a_new_key_ends_the_old_one_and_its_tokens(self, world: FederationWorld) -> None:
        token, container = world.token_of("node"), world.token_of("container")
        assert log_in(world, "key 1") == 200
        status, told = world.ask("organization admin", "POST", "/api/recover/node", {"id": 1})
        assert status == 200
        assert log_in(world, "key 1") == 401
        assert log_in(world, told["api_key"]) == 200
        for old in (token, container):
            assert world.ask_with(old, "GET", "/api/organization")[0] == 401

    def test_a_deleted_node_has_no_token_any_more(self, world: FederationWorld) -> None:
        token, container = world.token_of("node"), world.token_of("container")
        assert world.ask_with(container, "GET", "/api/organization")[0] == 200
        assert world.ask("collaboration admin", "DELETE", "/api/node/1") == (
            200,
            {"msg": "Successfully deleted node id=1"},
        )
        for old in (token, container):
            assert world.ask_with(old, "GET", "/api/organization")[0] == 401
        assert log_in(world, "key 1") == 401

    def test_its_place_is_free_again(self, world: FederationWorld) -> None:
        world.ask("root", "DELETE", "/api/node/1")
        status, made = world.ask("root", "POST", "/api/node", {"collaboration_id": 1})
        assert (status, made["id"] > 4) == (201, True)


class TestPlaces:
    @pytest.mark.parametrize(
        ("body", "status", "told"),
        [
            ({"collaboration_id": 77}, 404, "collaboration id=77 does not exist"),
            ({"collaboration_id": 4, "organization_id": 77}, 404, "organization id=77"),
            ({"collaboration_id": 4, "organization_id": 3}, 400, "Add it first!"),
            ({"collaboration_id": 1}, 400, "already has a node for collaboration id=1"),
            ({"collaboration_id": 4, "name": "node 3 of (3, 2)"}, 400, "already exists!"),
            ({"name": "a"}, 400, "Request body is incorrect"),
        ],
    )
    def test_where_no_node_can_be(
        self, world: FederationWorld, body: Any, status: int, told: str
    ) -> None:
        before = world.stored()
        answered = world.ask("root", "POST", "/api/node", body)
        assert (answered[0], told in answered[1]["msg"]) == (status, True), answered
        assert world.stored() == before

    def test_a_name_is_not_taken_for_a_place(self, world: FederationWorld) -> None:
        """Nobody's node is found by what somebody else calls a node."""
        body = {"collaboration_id": 4, "name": "4:2"}
        assert world.ask("organization admin", "POST", "/api/node", body)[0] == 201
        assert world.registry.node_of(2, 4) is None
        assert world.table.find(node_place(1, 4)) is not None

    @pytest.mark.parametrize("field", ["organization_id", "collaboration_id", "api_key"])
    def test_a_node_stays_where_it_is(self, world: FederationWorld, field: str) -> None:
        status, told = world.ask("root", "PATCH", "/api/node/1", {field: 2})
        assert (status, told["errors"]) == (400, {field: ["Unknown field."]})


class TestChanges:
    def test_a_node_tells_its_address(self, world: FederationWorld) -> None:
        assert world.ask("node", "PATCH", "/api/node/1", {"ip": "10.1.2.3"})[1]["ip"] == "10.1.2.3"
        assert world.ids("viewer", "/node?ip=10.1.2.3") == [1]
        assert world.ask("node", "PATCH", "/api/node/1", {"clear_ip": True})[1]["ip"] is None

    def test_a_new_name(self, world: FederationWorld) -> None:
        taken = {"name": "node 3 of (3, 2)"}
        path = "/api/node/1"
        told = (400, {"msg": "Node name 'node 3 of (3, 2)' already exists!"})
        assert world.ask("organization admin", "PATCH", path, taken) == told
        assert world.ask("organization admin", "PATCH", path, {"name": "new"})[0] == 200
        found = world.registry.find_named(Node, "new")
        assert found is not None
        assert (found.id, world.registry.find_named(Node, "node 1 of (1, 1)")) == (1, None)


class TestPresence:
    @pytest.mark.parametrize(
        ("seconds", "online"),
        [(0.0, True), (ONLINE_SECONDS - 0.1, True), (ONLINE_SECONDS, False), (1e6, False)],
    )
    def test_who_was_heard_of_lately_is_online(self, seconds: float, online: bool) -> None:
        seen = Node(1, "n", 1, 1, seen_at=1000.0)
        assert is_online(seen, 1000.0 + seconds) is online

    def test_who_was_never_heard_of_is_not(self) -> None:
        assert not is_online(Node(1, "n", 1, 1), 10.0)

    def test_lists_tell_who_is_there(self, world: FederationWorld) -> None:
        note_seen(world.registry, node(world), world.clock.now())
        for query in ("status=online", "is_online=1", "is_online=True"):
            assert world.ids("viewer", f"/node?{query}") == [1]
        for query in ("status=offline", "is_online=false"):
            assert world.ids("viewer", f"/node?{query}") == [2, 4]
        shape = world.ask("viewer", "GET", "/api/node/1")[1]
        assert shape["status"] == "online"
        assert shape["last_seen"].endswith("+00:00")
        world.clock.advance(ONLINE_SECONDS)
        assert world.ids("viewer", "/node?status=online") == []

    def test_a_node_is_not_written_at_every_word(self, world: FederationWorld) -> None:
        start = world.clock.now()
        seen = note_seen(world.registry, node(world), start)
        again = note_seen(world.registry, seen, start + SEEN_SECONDS - 1)
        assert node(world) == again == seen
        later = note_seen(world.registry, seen, start + SEEN_SECONDS)
        assert node(world) == later
        assert later.seen_at == start + SEEN_SECONDS

    def test_to_be_seen_undoes_nothing(self, world: FederationWorld) -> None:
        """What was read of the node before is old by now: its key is another one."""
        old = node(world)
        world.registry.change(replace(old, key_hash=hash_key("new")))
        note_seen(world.registry, old, 5000.0)
        assert (node(world).key_hash, node(world).seen_at) == (hash_key("new"), 5000.0)

    def test_a_node_that_is_gone_stays_gone(self, world: FederationWorld) -> None:
        old = node(world)
        world.ask("root", "DELETE", "/api/node/1")
        note_seen(world.registry, old, 5000.0)
        assert world.registry.find(Node, 1) is None


class TestLists:
    @pytest.mark.parametrize(
        ("query", "ids"),
        [
            ("organization_id=1", [1, 4]),
            ("collaboration_id=1", [1, 2]),
            ("study_id=2", [2]),
            ("study_id=77", []),
            ("name=node 3%25", [3]),
        ],
    )
    def test_filters(self, world: FederationWorld, query: str, ids: list[int]) -> None:
        assert world.ids("root", f"/node?{query}") == ids

    def test_what_a_node_says_of_itself(self, world: FederationWorld) -> None:
        """Each value of a policy is an entry, as vantage6 has it."""
        config = {"allowed_algorithms": ["a", "b"], "encryption": True}
        world.registry.change(replace(node(world), config=config))
        assert world.ask("viewer", "GET", "/api/node/1")[1]["config"] == [
            {"key": "allowed_algorithms", "value": "a"},
            {"key": "allowed_algorithms", "value": "b"},
            {"key": "encryption", "value": "True"},
        ]
