"""Entities of a federation as typed records: how they are kept, found, changed and read again."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from stepgrid_core.federation.records import (
    MAX_RUNS,
    Collaboration,
    FederatedTask,
    Node,
    Organization,
    Record,
    Role,
    RunRecord,
    Study,
    User,
    run_id,
    run_place,
)
from stepgrid_core.federation.registry import Registry, marks_of, node_place
from stepgrid_core.memory import MemoryFederationTable
from stepgrid_core.ports import Entity, Marks
from stepgrid_core.ports.federation import NO_MARKS

ORGANIZATION = Organization(1, "Asclepius", domain="asclepius.org", country="Ελλάς")
COLLABORATION = Collaboration(4, "heart", encrypted=True, organization_ids=(1, 2))
STUDY = Study(2, "elderly", collaboration_id=4, organization_ids=(1,))
ROLE = Role(3, "Researcher", rule_ids=(5, 8), organization_id=1)
USER = User(6, "iaso", "sub-1", organization_id=1, role_ids=(3,), rule_ids=(9,))
NODE = Node(
    7,
    "Asclepius heart",
    organization_id=1,
    collaboration_id=4,
    key_hash="9f86d0",
    seen_at=12.5,
    online=True,
    config={"encryption": True, "databases": ["default", ["nested"]]},
)
TASK = FederatedTask(
    8,
    "mean",
    "of all ages",
    "registry/average:1",
    collaboration_id=4,
    session_id="a" * 32,
    organization_ids=(2, 1),
    init_org_id=1,
    init_user_id=None,
    job_id=8,
    parent_id=None,
    created_at=1000.25,
    databases=({"label": "default", "query": None},),
)
RUN = RunRecord(8_000, "active", attempt=1, node_id=7, started_at=1001.5, log="é\n")
RECORDS: list[Record] = [ORGANIZATION, COLLABORATION, STUDY, ROLE, USER, NODE, TASK, RUN]


@pytest.fixture
def table() -> MemoryFederationTable:
    return MemoryFederationTable()


@pytest.fixture
def registry(table: MemoryFederationTable) -> Registry:
    return Registry(table)


def keep(registry: Registry, *records: Organization | Collaboration | User | Node) -> None:
    for record in records:
        assert registry.create(record, marks_of(record))


# --- records --------------------------------------------------------------------------------------


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.KIND)
def test_a_record_is_read_as_it_was_created(registry: Registry, record: Any) -> None:
    """Every field, in the type that it had."""
    assert registry.create(record)
    assert registry.find(type(record), record.id) == record
    assert registry.find_all(type(record)) == [record]
    assert registry.find(type(record), record.id + 1) is None


def test_kinds_have_words_of_their_own() -> None:
    """So that no two of them share ids or names."""
    assert len({record.KIND for record in RECORDS}) == len(RECORDS)


def test_what_an_older_version_wrote_is_read() -> None:
    """What it did not know has its default."""
    assert Node.read(7, {"name": "n", "organization_id": 1, "collaboration_id": 4}) == Node(
        7, "n", 1, 4
    )


def test_what_a_newer_version_wrote_is_read() -> None:
    """What is not known here is passed over, and the id is that of the key."""
    values = {**ROLE.as_values(), "colour": "blue", "id": 99}
    assert Role.read(3, values) == ROLE


def test_the_hash_of_a_key_is_not_shown() -> None:
    """A node that is printed does not tell what its key is compared with."""
    assert NODE.key_hash not in repr(NODE)


@pytest.mark.parametrize(
    ("task", "index", "run"), [(1, 0, 1_000), (1, 999, 1_999), (12_345_678_901, 7, 12345678901007)]
)
def test_a_run_is_known_by_its_place(task: int, index: int, run: int) -> None:
    """Its id is made of the task's and its index, and leads back to them."""
    assert run_id(task, index) == run
    assert run_place(run) == (task, index)
    assert index < MAX_RUNS


# --- finding --------------------------------------------------------------------------------------


def test_an_entity_is_found_by_its_name_within_its_kind(registry: Registry) -> None:
    """An organization and a collaboration may have the same one."""
    named_alike = replace(COLLABORATION, name=ORGANIZATION.name)
    keep(registry, ORGANIZATION, named_alike)
    assert registry.find_named(Organization, ORGANIZATION.name) == ORGANIZATION
    assert registry.find_named(Collaboration, ORGANIZATION.name) == named_alike
    assert registry.find_named(Organization, "asclepius") is None


def test_many_are_found_in_the_order_that_was_asked_for(registry: Registry) -> None:
    """Those that are there."""
    second = replace(ORGANIZATION, id=2, name="Hygieia")
    keep(registry, ORGANIZATION, second)
    assert registry.find_many(Organization, [2, 3, 1]) == [second, ORGANIZATION]


def test_a_node_is_found_by_its_place(registry: Registry) -> None:
    """That of its organization in this collaboration, and of none the other way round."""
    keep(registry, NODE)
    assert registry.node_of(organization_id=1, collaboration_id=4) == NODE
    assert registry.node_of(organization_id=4, collaboration_id=1) is None


def test_a_user_is_found_by_what_a_login_proves(registry: Registry) -> None:
    """By its subject, never by its username."""
    keep(registry, USER)
    assert registry.user_of("sub-1") == USER
    assert registry.user_of("iaso") is None


def test_an_organization_has_its_collaborations(registry: Registry) -> None:
    """All that it takes part in, in order of ids."""
    others = replace(COLLABORATION, id=5, name="others", organization_ids=(2, 11))
    earlier = replace(COLLABORATION, id=3, name="earlier", organization_ids=(3, 1))
    keep(registry, COLLABORATION, others, earlier)
    assert registry.collaborations_of(1) == [earlier, COLLABORATION]
    assert registry.collaborations_of(7) == []


@pytest.mark.parametrize(
    ("record", "names"),
    [
        (ORGANIZATION, ("organization:Asclepius",)),
        (COLLABORATION, ("collaboration:heart",)),
        (STUDY, ("study:4:elderly",)),
        (ROLE, ("role:1:Researcher",)),
        (replace(ROLE, organization_id=None), ("role:0:Researcher",)),
        (USER, ("user:iaso", "subject:sub-1")),
    ],
    ids=["organization", "collaboration", "study", "role", "role of everybody", "user"],
)
def test_a_record_is_found_by_its_marks(record: Any, names: tuple[str, ...]) -> None:
    """All of them unique names."""
    assert marks_of(record) == Marks(names=names)


def test_a_node_is_found_by_its_place_its_name_and_its_key() -> None:
    """By a hash of the key, which is nowhere itself."""
    names = {node_place(1, 4), "node:Asclepius heart", "key:9f86d0"}
    assert names <= set(marks_of(NODE).names)


# --- changing -------------------------------------------------------------------------------------


def test_no_two_are_created_of_one_name_or_one_id(registry: Registry) -> None:
    """The first one stays."""
    keep(registry, ORGANIZATION)
    late = replace(ORGANIZATION, id=2, country="late")
    assert not registry.create(late, marks_of(late))
    assert not registry.create(replace(ORGANIZATION, name="late"))
    assert registry.find_all(Organization) == [ORGANIZATION]


def test_a_second_node_has_no_place(registry: Registry) -> None:
    """An organization has one node in a collaboration."""
    keep(registry, NODE)
    second = replace(NODE, id=8, name="second", key_hash="other")
    assert not registry.create(second, marks_of(second))


def test_a_change_renames(registry: Registry) -> None:
    """It is found by the new name, and the old one is free."""
    keep(registry, ORGANIZATION)
    new = replace(ORGANIZATION, name="Panacea")
    assert registry.change(new, marks_of(new), marks_of(ORGANIZATION))
    assert registry.find_named(Organization, "Panacea") == new
    assert registry.find_named(Organization, "Asclepius") is None


def test_a_change_may_leave_the_name(registry: Registry) -> None:
    """Its own name is not in its way."""
    keep(registry, ORGANIZATION)
    new = replace(ORGANIZATION, country="NL")
    assert registry.change(new, marks_of(new), marks_of(ORGANIZATION))
    assert registry.find_named(Organization, "Asclepius") == new


def test_a_change_does_not_take_a_name(registry: Registry) -> None:
    """What another bears; all stays as it was."""
    other = replace(ORGANIZATION, id=2, name="Hygieia")
    keep(registry, ORGANIZATION, other)
    new = replace(ORGANIZATION, name="Hygieia")
    assert not registry.change(new, marks_of(new), marks_of(ORGANIZATION))
    assert registry.find_all(Organization) == [ORGANIZATION, other]
    assert registry.find_named(Organization, "Hygieia") == other


def test_what_is_gone_is_neither_changed_nor_deleted(registry: Registry) -> None:
    """Both say so."""
    assert not registry.change(ORGANIZATION)
    assert not registry.delete(ORGANIZATION)
    assert registry.find_all(Organization) == []


def test_deleting_frees_what_it_was_found_by(registry: Registry) -> None:
    """A new node may have its place, its name and its key."""
    keep(registry, NODE)
    assert registry.delete(NODE, marks_of(NODE))
    assert registry.find(Node, NODE.id) is None
    assert registry.node_of(1, 4) is None
    keep(registry, replace(NODE, id=8))


class Overtaken(MemoryFederationTable):
    """Before each of the first so many writes, another one changes the same entity."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times

    def _overtake(self, old: Entity) -> None:
        if self.left:
            self.left -= 1
            assert super().replace(old, {**old.values, "country": f"before {self.left}"})

    def replace(
        self,
        old: Entity,
        values: Mapping[str, Any],
        added: Marks = NO_MARKS,
        removed: Marks = NO_MARKS,
    ) -> Entity | None:
        self._overtake(old)
        return super().replace(old, values, added, removed)

    def delete(self, old: Entity, marks: Marks = NO_MARKS) -> bool:
        self._overtake(old)
        return super().delete(old, marks)


def test_a_change_that_is_overtaken_is_made_all_the_same() -> None:
    """Of what is there then."""
    table = Overtaken(times=2)
    registry = Registry(table)
    keep(registry, ORGANIZATION)
    new = replace(ORGANIZATION, country="NL")
    assert registry.change(new)
    assert table.left == 0
    assert registry.find(Organization, 1) == new


def test_a_deletion_that_is_overtaken_is_made_all_the_same() -> None:
    """With the names."""
    table = Overtaken(times=2)
    registry = Registry(table)
    keep(registry, ORGANIZATION)
    assert registry.delete(ORGANIZATION, marks_of(ORGANIZATION))
    assert table.left == 0
    assert registry.find_named(Organization, "Asclepius") is None
    assert registry.find_all(Organization) == []
