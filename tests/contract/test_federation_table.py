"""The contract of the FederationTable port: entities, their unique names, and lists of ids."""

from typing import Any

import pytest

from stepgrid_core.errors import InvalidRequest, RequestTooLarge
from stepgrid_core.federation.entities import MAX_MARKS, MAX_NAME_BYTES, MAX_VALUES_BYTES
from stepgrid_core.ports import Entity, FederationTable, Marks

VALUES = {"name": "Asclepius", "organization_ids": [1, 2]}
NAME, OTHER = "organization:Asclepius", "organization:Hygieia"
LISTED = "tasks:collaboration:1"


def create(table: FederationTable, id: int, *names: str, kind: str = "organization") -> Entity:
    entity = table.create(kind, id, VALUES, Marks(names=names))
    assert entity is not None
    return entity


# --- entities -------------------------------------------------------------------------------------


def test_ids_are_given_from_one_on_for_each_kind(federation_table: FederationTable) -> None:
    """Kinds do not count together, and what is created by its own id takes no number."""
    create(federation_table, 1)
    given = [federation_table.next_id("organization") for _ in range(3)]
    assert given == [1, 2, 3]
    assert federation_table.next_id("node") == 1


def test_what_was_never_created_is_not_there(federation_table: FederationTable) -> None:
    """Not by an id, not by a name, not in a list."""
    assert federation_table.read("organization", 1) is None
    assert federation_table.read_many("organization", [1, 2]) == []
    for never in (-1, 0, 10**4000):  # what clients send; the last is more than a key can be
        assert federation_table.read("organization", never) is None
        assert federation_table.read_many("organization", [never]) == []
    assert federation_table.read_many("organization", []) == []
    assert federation_table.read_all("organization") == []
    assert federation_table.find(NAME) is None
    assert federation_table.list_ids(LISTED) == []
    assert federation_table.count(LISTED) == 0


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"rules": [[1, [2, []]], {"deep": {"er": [None, True, 1.5, ""]}}]},
        {"name": "Ηρακλής 病院 🏥", "half": "\ud83c", "nul": "\0"},
        {"value": 10**20, "small": 5e-324, "pk": "x", "sk": "y", "version": 7, "values": []},
    ],
    ids=["nothing", "nested", "unicode", "numbers and our own words"],
)
def test_values_are_read_as_they_were_written(
    federation_table: FederationTable, values: dict[str, Any]
) -> None:
    """Whatever is JSON."""
    created = federation_table.create("node", 3, values)
    assert created == Entity("node", 3, created.version if created else 0, values)
    assert federation_table.read("node", 3) == created
    assert federation_table.read_all("node") == [created]


def test_tuples_become_lists_at_once(federation_table: FederationTable) -> None:
    """The answer of a write is what a read would answer."""
    created = federation_table.create("study", 1, {"organization_ids": (1, (2,))})
    assert created is not None
    assert created.values == {"organization_ids": [1, [2]]}
    assert federation_table.read("study", 1) == created
    replaced = federation_table.replace(created, {"organization_ids": ()})
    assert replaced is not None
    assert replaced.values == {"organization_ids": []}


def test_stored_values_are_nobodys_to_change(federation_table: FederationTable) -> None:
    """Neither by what was written nor by what was read."""
    values = {"ids": [1]}
    created = federation_table.create("study", 1, values)
    assert created is not None
    values["ids"].append(2)
    created.values["ids"].append(3)
    stored = federation_table.read("study", 1)
    assert stored is not None
    assert stored.values == {"ids": [1]}


def test_an_id_is_created_once(federation_table: FederationTable) -> None:
    """The first stays as it was; another kind has ids of its own."""
    first = create(federation_table, 1)
    assert federation_table.create("organization", 1, {"name": "late"}) is None
    assert federation_table.read("organization", 1) == first
    create(federation_table, 1, kind="collaboration")


def test_all_of_a_kind_are_read_in_order_of_ids(federation_table: FederationTable) -> None:
    """As numbers, however many digits they have."""
    ids = [10**10, 9, 999_999_999_999_000, 10, 1, 10**10 - 1]
    for id in ids:
        create(federation_table, id)
    create(federation_table, 5, kind="node")
    assert [entity.id for entity in federation_table.read_all("organization")] == sorted(ids)


def test_many_are_read_in_the_order_that_was_asked_for(federation_table: FederationTable) -> None:
    """More than one request may hold; those that are missing are left out."""
    for id in range(1, 121):
        create(federation_table, id)
    asked = [*range(150, 0, -1), 7, 7]
    found = [entity.id for entity in federation_table.read_many("organization", asked)]
    assert found == [*range(120, 0, -1), 7, 7]


def test_a_replaced_entity_has_another_version(federation_table: FederationTable) -> None:
    """And nothing but the new values."""
    old = create(federation_table, 1)
    new = federation_table.replace(old, {"domain": "asclepius.org"})
    assert new is not None
    assert (new.id, new.values) == (1, {"domain": "asclepius.org"})
    assert new.version != old.version
    assert federation_table.read("organization", 1) == new


def test_only_one_of_two_replaces_what_both_read(federation_table: FederationTable) -> None:
    """The other changes nothing: not the entity, not the names, not the lists."""
    old = create(federation_table, 1, NAME)
    new = federation_table.replace(old, {"by": "one"})
    lost = federation_table.replace(
        old, {"by": "two"}, Marks((OTHER,), (LISTED,)), Marks(names=(NAME,))
    )
    assert lost is None
    assert federation_table.read("organization", 1) == new
    assert federation_table.find(NAME) == 1
    assert federation_table.find(OTHER) is None
    assert federation_table.list_ids(LISTED) == []


def test_what_was_deleted_is_not_replaced(federation_table: FederationTable) -> None:
    """Nor created by that."""
    old = create(federation_table, 1)
    assert federation_table.delete(old)
    assert federation_table.replace(old, VALUES) is None
    assert federation_table.read("organization", 1) is None


def test_what_changed_meanwhile_is_not_deleted(federation_table: FederationTable) -> None:
    """It keeps its name, too; as it is now it can be deleted, once."""
    old = create(federation_table, 1, NAME)
    new = federation_table.replace(old, {"name": "changed"})
    assert new is not None
    assert not federation_table.delete(old, Marks(names=(NAME,)))
    assert federation_table.read("organization", 1) == new
    assert federation_table.find(NAME) == 1
    assert federation_table.delete(new, Marks(names=(NAME,)))
    assert not federation_table.delete(new, Marks(names=(NAME,)))


def test_what_is_too_long_to_be_kept_is_refused(federation_table: FederationTable) -> None:
    """Of bytes as they are stored; the longest that is not refused is really kept."""
    fits = MAX_VALUES_BYTES - len('{"log":""}')
    created = federation_table.create("run", 1, {"log": "x" * fits})
    assert created is not None
    assert federation_table.read("run", 1) == created
    with pytest.raises(RequestTooLarge, match="run 1 has"):
        federation_table.replace(created, {"log": "x" * (fits + 1)})
    with pytest.raises(RequestTooLarge, match="run 2 has"):
        federation_table.create("run", 2, {"log": "é" * fits})
    assert federation_table.read("run", 1) == created
    assert federation_table.read("run", 2) is None


# --- unique names ---------------------------------------------------------------------------------


def test_an_entity_is_found_by_each_of_its_names(federation_table: FederationTable) -> None:
    """Names of any letters, one given twice among them."""
    create(federation_table, 7, NAME, "key:9f#86", "user:Ηρακλής", NAME)
    found = [federation_table.find(name) for name in (NAME, "key:9f#86", "user:Ηρακλής", OTHER)]
    assert found == [7, 7, 7, None]


def test_a_name_is_borne_by_one(federation_table: FederationTable) -> None:
    """Whoever comes second is not created at all, not even in a list."""
    create(federation_table, 1, NAME)
    late = federation_table.create("organization", 2, VALUES, Marks((OTHER, NAME), (LISTED,)))
    assert late is None
    assert federation_table.read("organization", 2) is None
    assert federation_table.find(NAME) == 1
    assert federation_table.find(OTHER) is None
    assert federation_table.list_ids(LISTED) == []


def test_a_new_name_is_taken_and_the_old_one_free(federation_table: FederationTable) -> None:
    """In one step; another may have the old one from then on."""
    old = create(federation_table, 1, NAME)
    new = federation_table.replace(old, VALUES, Marks(names=(OTHER,)), Marks(names=(NAME,)))
    assert new is not None
    assert federation_table.find(OTHER) == 1
    assert federation_table.find(NAME) is None
    create(federation_table, 2, NAME)
    assert federation_table.find(NAME) == 2


def test_a_name_of_another_is_not_taken_by_a_change(federation_table: FederationTable) -> None:
    """Nothing is changed then."""
    old = create(federation_table, 1, NAME)
    create(federation_table, 2, OTHER)
    taken = federation_table.replace(
        old, {"name": "Hygieia"}, Marks(names=(OTHER,)), Marks(names=(NAME,))
    )
    assert taken is None
    assert federation_table.read("organization", 1) == old
    assert federation_table.find(NAME) == 1
    assert federation_table.find(OTHER) == 2


def test_a_name_may_be_given_again_to_its_bearer(federation_table: FederationTable) -> None:
    """Added, or removed and added: it stays."""
    old = create(federation_table, 1, NAME)
    new = federation_table.replace(old, VALUES, Marks(names=(NAME,)))
    assert new is not None
    newer = federation_table.replace(new, VALUES, Marks(names=(NAME,)), Marks(names=(NAME,)))
    assert newer is not None
    assert federation_table.find(NAME) == 1


def test_deleting_frees_the_names(federation_table: FederationTable) -> None:
    """And takes it from the lists that are named."""
    marks = Marks((NAME, OTHER), (LISTED, "others"))
    old = federation_table.create("organization", 1, VALUES, marks)
    assert old is not None
    assert federation_table.delete(old, Marks((NAME, OTHER), (LISTED,)))
    assert federation_table.find(NAME) is None
    assert federation_table.list_ids(LISTED) == []
    assert federation_table.list_ids("others") == [1]
    create(federation_table, 2, NAME, OTHER)


def test_what_another_bears_is_not_freed(federation_table: FederationTable) -> None:
    """A change or a deletion that means to remove it goes through, and leaves that name alone."""
    old = create(federation_table, 1, OTHER)
    create(federation_table, 2, NAME)
    new = federation_table.replace(old, {"name": "new"}, removed=Marks((NAME, OTHER)))
    assert new is not None
    assert federation_table.read("organization", 1) == new
    assert federation_table.find(OTHER) is None
    assert federation_table.delete(new, Marks((NAME, "nobody's")))
    assert federation_table.read("organization", 1) is None
    assert federation_table.find(NAME) == 2


@pytest.mark.parametrize("name", ["x" * (MAX_NAME_BYTES + 1), "病" * 400, "\ud83c"], ids=ascii)
def test_what_can_be_no_name_is_nobodys(federation_table: FederationTable, name: str) -> None:
    """It is refused without being repeated, is not found, and may be removed."""
    old = create(federation_table, 1, "x" * MAX_NAME_BYTES)
    with pytest.raises(InvalidRequest) as refused:
        federation_table.create("organization", 2, VALUES, Marks(names=(name,)))
    assert name not in refused.value.message
    assert federation_table.read("organization", 2) is None
    assert federation_table.find(name) is None
    assert federation_table.delete(old, Marks(names=(name,)))


# --- lists ----------------------------------------------------------------------------------------


def test_an_entity_stands_in_its_lists(federation_table: FederationTable) -> None:
    """From its creation on, until a change takes it out."""
    old = federation_table.create("task", 4, VALUES, Marks(lists=(LISTED, "a", LISTED)))
    assert old is not None
    assert [federation_table.list_ids(name) for name in (LISTED, "a")] == [[4], [4]]
    new = federation_table.replace(old, VALUES, Marks(lists=("b", "a")), Marks(lists=(LISTED, "a")))
    assert new is not None
    assert [federation_table.list_ids(name) for name in (LISTED, "a", "b")] == [[], [4], [4]]


def test_a_list_is_in_order_of_ids(federation_table: FederationTable) -> None:
    """However many digits they have, and however often they are put in."""
    federation_table.put_in(LISTED, [10**12 + 1, 3, 10**10, 3])
    federation_table.put_in(LISTED, [3, 1, 999_999_999_000])
    ordered = [1, 3, 10**10, 999_999_999_000, 10**12 + 1]
    assert federation_table.list_ids(LISTED) == ordered
    assert federation_table.list_ids(LISTED, newest_first=True) == ordered[::-1]
    assert federation_table.count(LISTED) == 5
    assert federation_table.list_ids("tasks:collaboration:11") == []


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ({"limit": 2}, [1, 2]),
        ({"limit": 0}, []),
        ({"limit": 99}, [1, 2, 5, 9]),
        ({"after": 2}, [5, 9]),
        ({"after": 3, "limit": 1}, [5]),
        ({"after": 9}, []),
        ({"after": -1}, [1, 2, 5, 9]),
        ({"newest_first": True, "limit": 2}, [9, 5]),
        ({"newest_first": True, "after": 5}, [2, 1]),
        ({"newest_first": True, "after": 7, "limit": 1}, [5]),
        ({"newest_first": True, "after": 1}, []),
        ({"newest_first": True, "after": -1}, [9, 5, 2, 1]),
    ],
    ids=str,
)
def test_a_part_of_a_list_is_read(
    federation_table: FederationTable, asked: dict[str, Any], answered: list[int]
) -> None:
    """From either end, behind the last that was seen."""
    federation_table.put_in(LISTED, [5, 1, 9, 2])
    federation_table.put_in("others", [3, 4])
    assert federation_table.list_ids(LISTED, **asked) == answered


def test_what_is_taken_out_is_gone(federation_table: FederationTable) -> None:
    """Of this list; what was not in it does no harm."""
    federation_table.put_in(LISTED, [1, 2, 3])
    federation_table.put_in("others", [2])
    federation_table.take_out(LISTED, [2, 3, 3, 8])
    federation_table.take_out("empty", [2])
    federation_table.put_in(LISTED, [])
    federation_table.take_out(LISTED, [])
    assert federation_table.list_ids(LISTED) == [1]
    assert federation_table.list_ids("others") == [2]
    assert federation_table.count(LISTED) == 1


def test_long_lists_are_put_in_and_taken_out(federation_table: FederationTable) -> None:
    """More than one request may hold."""
    federation_table.put_in(LISTED, range(1, 131))
    federation_table.take_out(LISTED, range(1, 61))
    assert federation_table.list_ids(LISTED) == list(range(61, 131))
    assert federation_table.count(LISTED) == 70


def test_no_more_marks_than_one_write_holds(federation_table: FederationTable) -> None:
    """One more is a fault of the caller, which changes nothing."""
    names = tuple(f"node:{number}" for number in range(MAX_MARKS - 1))
    old = federation_table.create("node", 1, VALUES, Marks(names, (LISTED,)))
    assert old is not None
    assert federation_table.find(names[-1]) == 1
    with pytest.raises(ValueError, match="100 marks"):
        federation_table.create("node", 2, VALUES, Marks(("x", *names), (LISTED,)))
    with pytest.raises(ValueError, match="100 marks"):
        federation_table.replace(old, VALUES, Marks(lists=("x",)), Marks(names, (LISTED,)))
    with pytest.raises(ValueError, match="100 marks"):
        federation_table.delete(old, Marks(("x", *names), (LISTED,)))
    assert federation_table.read("node", 1) == old
    assert federation_table.read("node", 2) is None
    assert federation_table.delete(old, Marks(names, (LISTED,)))
    assert federation_table.find(names[0]) is None
