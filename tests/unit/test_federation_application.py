"""Applying a federation's document: what is planned, what is made, and what a crash leaves."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from stepgrid_core.errors import Conflict, InvalidRequest
from stepgrid_core.federation.api_keys import hash_key
from stepgrid_core.federation.application import apply
from stepgrid_core.federation.planning import plan_changes
from stepgrid_core.federation.records import (
    Collaboration,
    Node,
    Organization,
    Role,
    Study,
    User,
)
from stepgrid_core.federation.registry import Registry
from stepgrid_core.federation.rules import FIRST_CUSTOM_ROLE, rule_id
from stepgrid_core.federation.snapshot import Snapshot, tasks_list
from stepgrid_core.memory.federation_table import MemoryFederationTable
from stepgrid_core.ports import Entity, Marks
from stepgrid_core.ports.federation import NO_MARKS
from tests.unit.federation_documents import (
    SMALL,
    SUBJECTS,
    Keys,
    document,
    example,
    put,
    told,
)


@pytest.fixture
def registry() -> Registry:
    return Registry(MemoryFederationTable())


def changed(**parts: Any) -> dict[str, Any]:
    """The small document with other lists."""
    return deepcopy(SMALL) | parts


def heart(**values: Any) -> dict[str, Any]:
    """The small document with another collaboration."""
    return changed(collaborations=[SMALL["collaborations"][0] | values])


class TestCreation:
    def test_everything_is_made_with_its_references(self, registry: Registry) -> None:
        """By real ids, and found by its names."""
        put(registry, SMALL)
        a = registry.find_named(Organization, "a")
        b = registry.find_named(Organization, "b")
        collaboration = registry.find_named(Collaboration, "heart")
        assert a is not None
        assert b is not None
        assert collaboration is not None
        assert collaboration.organization_ids == (a.id, b.id)
        assert not collaboration.encrypted
        (study,) = registry.find_all(Study)
        assert (study.collaboration_id, study.organization_ids) == (collaboration.id, (a.id, b.id))
        (role,) = registry.find_all(Role)
        assert (role.organization_id, role.rule_ids) == (b.id, (rule_id("task", "c", "col"),))
        assert role.id >= FIRST_CUSTOM_ROLE
        user = registry.user_of("sub-of-ada")
        assert user is not None
        assert (user.organization_id, user.role_ids) == (a.id, (3,))

    def test_nodes_get_keys_of_which_hashes_are_kept(self, registry: Registry) -> None:
        """A key is given away once; by its hash the node is found."""
        keys = Keys()
        put(registry, SMALL, keys)
        assert sorted(keys) == ["a - heart Node", "b - heart Node"]
        for name, key in keys.items():
            id = registry.table.find(f"key:{hash_key(key)}")
            node = None if id is None else registry.find(Node, id)
            assert node is not None
            assert node.name == name
            assert key not in repr(registry.table.read(Node.KIND, node.id))

    def test_applying_twice_changes_nothing(self, registry: Registry) -> None:
        """Neither keys nor versions."""
        put(registry, example())
        before = contents(registry)
        keys = Keys()
        assert told(put(registry, example(), keys)) == []
        assert (contents(registry), keys) == (before, {})

    def test_a_plan_alone_writes_nothing(self, registry: Registry) -> None:
        """It can be shown, and thrown away."""
        plan = plan_changes(Snapshot.read(registry), document(SMALL), SUBJECTS)
        assert told(plan.changes)[:2] == ["create organization a", "create organization b"]
        assert "create study heart/pilot" in told(plan.changes)
        assert contents(registry) == []


def contents(registry: Registry) -> list[Entity]:
    kinds = (Organization, Collaboration, Study, Role, User, Node)
    return [entity for kind in kinds for entity in registry.table.read_all(kind.KIND)]


class TestChanges:
    def test_what_is_not_said_is_left(self, registry: Registry) -> None:
        """A key that a client sent, and what others made."""
        put(registry, SMALL)
        a = registry.find_named(Organization, "a")
        assert a
        registry.change(replace(a, public_key="key"))
        put(registry, {"organizations": [{"name": "c"}]})
        assert registry.find(Organization, a.id) == replace(a, public_key="key")
        assert len(registry.find_all(User)) == 1

    def test_only_what_is_said_is_changed(self, registry: Registry) -> None:
        """A node that is heard of meanwhile is not forgotten again."""
        put(registry, SMALL)
        wanted = heart(nodes=[{"organization": "a", "name": "mine"}])
        plan = plan_changes(Snapshot.read(registry), document(wanted), SUBJECTS)
        node = next(each for each in registry.find_all(Node) if each.name.startswith("a"))
        registry.change(replace(node, seen_at=99.0))
        apply(registry, plan.changes, Keys().give)
        assert registry.find_named(Node, "a - heart Node") is None
        assert registry.find_named(Node, "mine") == replace(node, name="mine", seen_at=99.0)

    def test_who_is_no_member_any_more_loses_its_node(self, registry: Registry) -> None:
        """And its part in studies; without pruning, as the document says it."""
        put(registry, SMALL)
        changes = put(registry, heart(organizations=["a"], studies=[], nodes=[]))
        assert told(changes) == [
            "delete node b - heart Node",
            "update collaboration heart",
            "update study heart/pilot",
        ]
        (study,) = registry.find_all(Study)
        (node,) = registry.find_all(Node)
        assert study.organization_ids == (node.organization_id,)

    def test_the_order_of_a_list_means_nothing(self, registry: Registry) -> None:
        """Ids stay as they were kept."""
        put(registry, SMALL)
        assert told(put(registry, heart(organizations=["b", "a"]))) == []

    def test_a_login_that_was_made_anew_is_the_users(self, registry: Registry) -> None:
        """Found by its new subject, and no more by the old one."""
        put(registry, SMALL)
        wanted = document(SMALL)
        plan = plan_changes(Snapshot.read(registry), wanted, {"ada": "another"})
        apply(registry, plan.changes, Keys().give)
        assert registry.user_of("sub-of-ada") is None
        found = registry.user_of("another")
        assert found is not None
        assert found.username == "ada"

    def test_a_user_who_moves_leaves_the_roles_of_its_organization(
        self, registry: Registry
    ) -> None:
        """Those of everybody go along."""
        user = {"username": "ada", "organization": "b", "roles": ["Counter", "Viewer"]}
        put(registry, changed(users=[user]))
        put(registry, changed(users=[{"username": "ada", "organization": "a"}]))
        moved = registry.user_of("sub-of-ada")
        assert moved is not None
        assert moved.role_ids == (2,)

    def test_a_node_that_moves_to_the_cloud_loses_its_key(self, registry: Registry) -> None:
        """It has worker and backend, and is made without a key where it is new."""
        keys, cloud = Keys(), {"worker": "mean", "backend": "fargate"}
        put(registry, SMALL, keys)
        put(registry, heart(nodes=[{"organization": "a", "cloud": cloud}]))
        node = registry.find_named(Node, "a - heart Node")
        assert node is not None
        assert (node.cloud, node.key_hash) == (cloud, "")
        assert registry.table.find(f"key:{hash_key(keys[node.name])}") is None
        nodes = [{"organization": "a", "cloud": cloud}]
        lung = {"name": "lung", "organizations": ["a"], "nodes": nodes}
        more = Keys()
        put(registry, {"collaborations": [lung]}, more)
        assert (more, len(registry.find_all(Node))) == ({}, 3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (heart(organizations=["a", "c"]), "collaborations: heart: there is no organization 'c'"),
        (heart(organizations=["a"]), "heart: pilot: 'b' is no member of collaboration 'heart'"),
        (
            changed(users=[{"username": "ada", "organization": "a", "roles": ["Counter"]}]),
            "users: ada: there is no role 'Counter'; there is .*'Researcher'",
        ),
        (
            changed(users=[{"username": "eve", "organization": "a"}]),
            "users: eve: nobody knows who that is",
        ),
        (
            changed(roles=[{"name": "r", "rules": ["task:org:c"]}]),
            "roles: r: there is no rule 'task:org:c'; there is .*'task:col:c'",
        ),
        (changed(roles=[{"name": "Root", "rules": []}]), "roles: Root: every federation has one"),
        (
            heart(nodes=[{"organization": each, "name": "same"} for each in "ab"]),
            "'node same' would be of two: node 'same' and node 'same'",
        ),
        (
            changed(
                users=[{"username": each, "organization": "a", "subject": "arn:x"} for each in "pq"]
            ),
            "'subject arn:x' would be of two: user 'p' and user 'q'",
        ),
    ],
)
def test_a_name_that_leads_nowhere_is_refused(
    registry: Registry, values: dict[str, Any], message: str
) -> None:
    """Before anything is written."""
    with pytest.raises(InvalidRequest, match=message):
        put(registry, values)
    assert contents(registry) == []


class TestPruning:
    def test_what_is_left_is_told(self, registry: Registry) -> None:
        """And left, until it is asked for."""
        put(registry, SMALL)
        plan = plan_changes(Snapshot.read(registry), document({}), {})
        assert (told(plan.changes), told(plan.left)) == (
            [],
            [
                "delete user ada",
                "delete node a - heart Node",
                "delete node b - heart Node",
                "delete study heart/pilot",
                "delete collaboration heart",
                "delete role b/Counter",
                "delete organization a",
                "delete organization b",
            ],
        )

    def test_nothing_but_the_document_stays(self, registry: Registry) -> None:
        """Names and keys are free again."""
        put(registry, SMALL)
        put(registry, {}, prune=True)
        assert contents(registry) == []
        assert told(put(registry, SMALL)) != []

    def test_what_is_needed_stays(self, registry: Registry) -> None:
        """The home of a user who is mentioned, and a collaboration that has tasks."""
        put(registry, changed(users=[*SMALL["users"], {"username": "galen", "organization": "b"}]))
        (collaboration,) = registry.find_all(Collaboration)
        registry.table.put_in(tasks_list(collaboration), [7])
        kept = {"users": [{"username": "galen", "organization": "b"}]}
        put(registry, kept, prune=True)
        assert registry.find_all(Collaboration) == [collaboration]
        assert [each.name for each in registry.find_all(Organization)] == ["a", "b"]
        assert [each.username for each in registry.find_all(User)] == ["galen"]
        assert (registry.find_all(Node), registry.find_all(Study)) == ([], [])
        assert registry.table.list_ids(tasks_list(collaboration)) == [7]

    def test_a_name_that_becomes_free_can_be_given_again(self, registry: Registry) -> None:
        """In the same run: who goes, goes first."""
        user = {"organization": "a", "subject": "arn:aws:iam::1:user/x"}
        put(registry, changed(users=[user | {"username": "old"}]))
        put(registry, changed(users=[user | {"username": "new"}]), prune=True)
        found = registry.user_of("arn:aws:iam::1:user/x")
        assert found is not None
        assert found.username == "new"


class Crash(Exception):
    """The program ends here."""


class CrashingTable(MemoryFederationTable):
    """Ends the program before or after one of its writes."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = count(1)
        self.crash_at = 0
        self.after = False

    def create(
        self, kind: str, id: int, values: Mapping[str, Any], marks: Marks = NO_MARKS
    ) -> Entity | None:
        last = self._last()
        made = super().create(kind, id, values, marks)
        self._end_if(last)
        return made

    def replace(
        self,
        old: Entity,
        values: Mapping[str, Any],
        added: Marks = NO_MARKS,
        removed: Marks = NO_MARKS,
    ) -> Entity | None:
        last = self._last()
        made = super().replace(old, values, added, removed)
        self._end_if(last)
        return made

    def delete(self, old: Entity, marks: Marks = NO_MARKS) -> bool:
        last = self._last()
        made = super().delete(old, marks)
        self._end_if(last)
        return made

    def _last(self) -> bool:
        last = next(self.writes) == self.crash_at
        self._end_if(last and not self.after)
        return last

    def _end_if(self, now: bool) -> None:
        if now:
            raise Crash


def shape(registry: Registry) -> list[Any]:
    """All that can be told of a federation by names alone."""
    found = Snapshot.read(registry)
    names = {each.id: each.name for each in found.all(Organization)}
    return [
        sorted(names.values()),
        [
            (each.name, each.encrypted, [names[id] for id in each.organization_ids])
            for each in found.all(Collaboration)
        ],
        [
            (found.title(each), [names[id] for id in each.organization_ids])
            for each in found.all(Study)
        ],
        [(found.title(each), each.rule_ids) for each in found.all(Role)],
        [(each.username, each.subject, names[each.organization_id]) for each in found.all(User)],
        [(each.name, names[each.organization_id]) for each in found.all(Node)],
    ]


@pytest.mark.parametrize("after", [False, True], ids=["before a write", "after a write"])
@pytest.mark.parametrize("prune", [False, True], ids=["changes", "pruning"])
def test_a_crash_is_healed_by_applying_again(after: bool, prune: bool) -> None:
    """Wherever it was: what is there then is what would be there without it."""
    goal = heart(organizations=["a"], studies=[], nodes=[], encrypted=True)
    goal |= {"organizations": [{"name": "a", "country": "CH"}, {"name": "c"}], "users": []}
    smooth = Registry(MemoryFederationTable())
    put(smooth, SMALL)
    put(smooth, goal, prune=prune)
    for crash_at in count(1):
        table = CrashingTable()
        registry, keys = Registry(table), Keys()
        table.crash_at, table.after = crash_at, after
        crashed = _apply_until_crash(registry, keys, prune, goal)
        table.crash_at = 0
        put(registry, SMALL, keys)
        put(registry, goal, keys, prune=prune)
        assert shape(registry) == shape(smooth)
        assert all(hash_key(keys[node.name]) == node.key_hash for node in registry.find_all(Node))
        if not crashed:
            break
    assert crash_at > 8


def _apply_until_crash(registry: Registry, keys: Keys, prune: bool, goal: Any) -> bool:
    try:
        put(registry, SMALL, keys)
        put(registry, goal, keys, prune=prune)
    except Crash:
        return True
    return False


def test_somebody_else_who_makes_the_same_is_noticed(registry: Registry) -> None:
    """Nothing is made twice; planning again finds it there."""
    plan = plan_changes(Snapshot.read(registry), document(SMALL), SUBJECTS)
    put(registry, {"organizations": [{"name": "a"}]})
    with pytest.raises(Conflict, match="organization 'a' was changed by somebody else"):
        apply(registry, plan.changes, Keys().give)
    put(registry, SMALL)
    assert len(registry.find_all(Organization)) == 2


def test_what_somebody_else_removed_is_noticed(registry: Registry) -> None:
    """A change of it has no place to go; its removal has nothing to do."""
    put(registry, SMALL)
    wanted = document({"organizations": [{"name": "a", "country": "CH"}]})
    change = plan_changes(Snapshot.read(registry), wanted, {})
    prune = plan_changes(Snapshot.read(registry), document({}), {}, True)
    put(registry, {}, prune=True)
    with pytest.raises(Conflict, match="organization 'a' was changed"):
        apply(registry, change.changes, Keys().give)
    apply(registry, prune.changes, Keys().give)
    assert contents(registry) == []
