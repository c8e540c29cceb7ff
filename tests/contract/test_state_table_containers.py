"""What the broker needs of the state table: containers that are noted, and swaps of a lone row."""

from dataclasses import replace

import pytest

from stepgrid_core.errors import NotFound
from stepgrid_core.ports import StateTable
from stepgrid_core.records import Chunk, ContainerSize, ContainerUse, Session, Shard

from .samples import NOW, claimed, ended, make_all_shards, make_session, store_session

SIZE = ContainerSize(0.5, 1024, 21, spot=True, architecture="x86_64", fallback=False)
SESSION = make_session(container=SIZE, backend="fargate", ticket="ticket")
OTHER = make_session("other", container=SIZE)


def use(token: str, seen_at: float = NOW + 0.25) -> ContainerUse:
    return ContainerUse(token, SIZE, NOW + 0.125, seen_at)


@pytest.fixture
def session(table: StateTable) -> Session:
    stored = store_session(table, SESSION)
    table.create_shards(stored, make_all_shards(stored))
    return stored


def test_containers_are_noted_with_their_session(table: StateTable, session: Session) -> None:
    """In order of their tokens, with size and times as they were."""
    store_session(table, OTHER)
    for token in ("b", "a"):
        table.note_container(session, use(token))
    table.note_container(OTHER, use("c"))
    assert table.read_containers(session.session_id) == [use("a"), use("b")]
    assert table.read_containers(OTHER.session_id) == [use("c")]


def test_a_container_is_noted_again(table: StateTable, session: Session) -> None:
    """It is still one; the last time counts."""
    table.note_container(session, use("a"))
    table.note_container(session, use("a", seen_at=NOW + 99))
    assert table.read_containers(session.session_id) == [use("a", seen_at=NOW + 99)]


def test_a_session_may_have_none(table: StateTable, session: Session) -> None:
    """Nor has one that nobody knows."""
    assert table.read_containers(session.session_id) == []
    assert table.read_containers("nobody") == []


def test_containers_are_no_shards(table: StateTable, session: Session) -> None:
    """Whoever reads the one does not stumble over the other."""
    table.note_container(session, use("a"))
    assert table.read_shards(session.session_id) == make_all_shards(session)
    stored, shards = table.read_session_and_shards(session.session_id, 2)
    assert stored == session
    assert shards == make_all_shards(session)[:2]


def test_they_go_with_their_session(table: StateTable, session: Session) -> None:
    """Deleted, it leaves none behind."""
    table.note_container(session, use("a"))
    table.delete_session(session)
    assert table.read_containers(session.session_id) == []


def stub_of(shard: Shard, slot: int, row: Chunk) -> Shard:
    """What the broker makes of a question: it knows the row that the container holds."""
    return Shard(shard.session_id, shard.number, (*[Chunk(1)] * slot, row))


@pytest.mark.parametrize("slot", [0, 5, 15])
def test_a_row_is_swapped_by_its_place_alone(
    table: StateTable, session: Session, slot: int
) -> None:
    """Nothing else of the shard takes part, and all of it comes back."""
    shard = table.read_shards(session.session_id)[1]
    row = shard.chunks[slot]
    swap = table.swap_chunk(stub_of(shard, slot, row), slot, claimed(row))
    expected = shard.with_chunk(slot, claimed(row))
    assert (swap.won, swap.shard) == (True, expected)
    assert table.read_shard(session.session_id, 1) == expected
    again = table.swap_chunk(stub_of(shard, slot, claimed(row)), slot, ended(row))
    assert again.won
    assert again.shard.chunks[slot] == ended(row)


def test_a_row_that_was_made_up_changes_nothing(table: StateTable, session: Session) -> None:
    """The swap is lost, and the shard as it is comes back."""
    shard = table.read_shards(session.session_id)[0]
    guessed = replace(shard.chunks[3], attempt=7)
    swap = table.swap_chunk(stub_of(shard, 3, guessed), 3, claimed(guessed))
    assert (swap.won, swap.shard) == (False, shard)


def test_a_shard_that_is_not_there_is_not_made(table: StateTable, session: Session) -> None:
    """Not even by a row that would fit."""
    stub = Shard(session.session_id, 99, (Chunk(2),))
    with pytest.raises(NotFound):
        table.swap_chunk(stub, 0, claimed(Chunk(2)))
    assert table.read_shard(session.session_id, 99) is None
