"""The contract of the StateTable port: shards, their rows, and the latch.

Races are played here in turns (both read, then both write): moto's conditional writes are not
atomic across threads. Real threads race in tests/faults, real processes in tests/system.
"""

from dataclasses import replace

import pytest

from stepgrid_core.errors import NotFound
from stepgrid_core.names import CHUNKS_PER_SHARD
from stepgrid_core.ports import StateTable
from stepgrid_core.records import Session, Shard
from stepgrid_core.states import ChunkState

from .samples import (
    NOW,
    claimed,
    ended,
    make_all_shards,
    make_session,
    store_session,
    with_rows,
    won,
)

FAR = 2_000_000_000


@pytest.fixture
def session(table: StateTable) -> Session:
    """A session of 50 chunks, so of four shards, the last with two; nothing is claimed."""
    session = store_session(table, make_session(), b"blob")
    table.create_shards(session, make_all_shards(session))
    return session


@pytest.fixture
def shard(table: StateTable, session: Session) -> Shard:
    return stored(table, make_all_shards(session)[1])


def stored(table: StateTable, shard: Shard) -> Shard:
    found = table.read_shard(shard.session_id, shard.number)
    assert found is not None
    return found


# --- create_shards, read_shards -------------------------------------------------------------------


@pytest.mark.parametrize(
    "session",
    [
        pytest.param(make_session(tasks=1, chunk_size=1), id="one chunk"),
        pytest.param(make_session(tasks=5, chunk_size=10), id="one short chunk"),
        pytest.param(make_session(tasks=32, chunk_size=2), id="one full shard"),
        pytest.param(make_session(tasks=33, chunk_size=2), id="a last shard of one short chunk"),
        pytest.param(make_session(tasks=1_281, chunk_size=2), id="more than are written at once"),
    ],
)
def test_shards_are_read_as_they_were_created(table: StateTable, session: Session) -> None:
    """All of them, in order of their numbers, with every row and byte range."""
    shards = make_all_shards(session)
    table.create_shards(session, shards)
    assert table.read_shards(session.session_id) == shards
    assert [table.read_shard(session.session_id, s.number) for s in shards] == shards


def test_an_existing_shard_is_never_touched(table: StateTable, session: Session) -> None:
    """A repeated submit writes those that are missing and no other: work was done meanwhile."""
    shards = make_all_shards(session)
    begun = won(table.swap_chunk(shards[1], 3, claimed(shards[1].chunks[3])))
    table.create_shards(session, shards)
    assert table.read_shards(session.session_id) == [shards[0], begun, *shards[2:]]


def test_missing_shards_are_added(table: StateTable) -> None:
    """The sweeper finishes a submit that died half-way."""
    session = make_session()
    shards = make_all_shards(session)
    table.create_shards(session, [shards[2]])
    table.create_shards(session, shards)
    assert table.read_shards(session.session_id) == shards


def test_an_unknown_shard_is_none(table: StateTable, session: Session) -> None:
    """Asking for a shard that is not there is no error."""
    assert table.read_shard(session.session_id, 4) is None
    assert table.read_shard(make_session("other").session_id, 0) is None
    assert table.read_shards(make_session("other").session_id) == []


@pytest.mark.parametrize(
    ("first", "limit", "numbers"),
    [
        pytest.param(0, None, [0, 1, 2, 3], id="all"),
        pytest.param(2, None, [2, 3], id="from the middle"),
        pytest.param(0, 2, [0, 1], id="first page"),
        pytest.param(2, 2, [2, 3], id="last page"),
        pytest.param(3, 2, [3], id="past the end"),
        pytest.param(4, 2, [], id="behind the end"),
    ],
)
def test_shards_are_read_from_a_number_on(
    table: StateTable, session: Session, first: int, limit: int | None, numbers: list[int]
) -> None:
    """In order of their numbers, from `first` on, `limit` numbers at most."""
    found = table.read_shards(session.session_id, first, limit)
    assert [shard.number for shard in found] == numbers


def test_pages_of_shards_never_overlap(table: StateTable) -> None:
    """While some shards are still missing, a page holds its own numbers and no later ones."""
    session = make_session()
    shards = make_all_shards(session)
    table.create_shards(session, [shards[1], shards[3]])
    pages = [table.read_shards(session.session_id, first, 2) for first in (0, 2)]
    assert pages == [[shards[1]], [shards[3]]]


def test_a_session_is_read_with_its_first_shards(table: StateTable, session: Session) -> None:
    """By one call: the session, and the shards before a number; nothing else of its items."""
    shards = make_all_shards(session)
    table.latch(session.session_id, 0, FAR)
    for limit in (1, 2, 16):
        found = table.read_session_and_shards(session.session_id, limit)
        assert found == (table.read_session(session.session_id), shards[:limit])


def test_a_session_is_read_without_shards(table: StateTable) -> None:
    """A submit that is at work has stored the session and no shard yet; an unknown id is none."""
    session = store_session(table, make_session(), b"blob")
    assert table.read_session_and_shards(session.session_id, 16) == (session, [])
    other = make_session("other")
    assert table.read_session_and_shards(other.session_id, 16) == (None, [])


def test_more_shards_than_a_query_page_are_read(table: StateTable) -> None:
    """DynamoDB answers at most 1 MB at a time; outputs kept inline get there."""
    session = make_session(tasks=64, chunk_size=1)
    outputs = dict.fromkeys(range(CHUNKS_PER_SHARD), b"x" * 20_000)
    shards = [replace(shard, inline=outputs) for shard in make_all_shards(session)]
    table.create_shards(session, shards)
    assert table.read_shards(session.session_id) == shards


# --- swap_chunk -----------------------------------------------------------------------------------


def test_a_swap_wins_if_the_row_is_unchanged(table: StateTable, shard: Shard) -> None:
    """The answer and what is stored: the new row, everything else as it was."""
    new = claimed(shard.chunks[5])
    swap = table.swap_chunk(shard, 5, new)
    assert swap.won
    assert swap.shard == shard.with_chunk(5, new)
    assert stored(table, shard) == swap.shard


@pytest.mark.parametrize("slot", [0, 7, CHUNKS_PER_SHARD - 1])
def test_every_slot_can_be_swapped(table: StateTable, shard: Shard, slot: int) -> None:
    """The first and the last row are like any other."""
    after = won(table.swap_chunk(shard, slot, claimed(shard.chunks[slot])))
    assert [s for s, chunk in enumerate(after.chunks) if chunk != shard.chunks[s]] == [slot]


def test_the_second_of_two_claims_is_refused(table: StateTable, shard: Shard) -> None:
    """Both read the same row; the first write wins, the second is told what is stored."""
    first, second = (claimed(shard.chunks[5], token) for token in ("first", "second"))
    winner = won(table.swap_chunk(shard, 5, first))
    swap = table.swap_chunk(shard, 5, second)
    assert not swap.won
    assert swap.shard == winner
    assert stored(table, shard) == winner


def test_a_refused_output_is_not_kept(table: StateTable, shard: Shard) -> None:
    """A late attempt's inline results don't replace or join the ones that count."""
    mine = won(table.swap_chunk(shard, 5, claimed(shard.chunks[5])))
    taken = won(table.swap_chunk(mine, 5, claimed(mine.chunks[5], "second")))
    swap = table.swap_chunk(mine, 5, ended(mine.chunks[5]), b"late")
    assert not swap.won
    assert swap.shard.inline == {}
    assert stored(table, shard) == taken


def test_other_rows_may_have_changed(table: StateTable, shard: Shard) -> None:
    """Neighbours' writes don't refuse ours, and ours does not undo theirs."""
    theirs = won(table.swap_chunk(shard, 4, claimed(shard.chunks[4]), b"theirs"))
    after = won(table.swap_chunk(shard, 5, claimed(shard.chunks[5])))
    assert after == theirs.with_chunk(5, claimed(shard.chunks[5]))
    assert stored(table, shard) == after


def test_the_same_swap_again_is_won(table: StateTable, shard: Shard) -> None:
    """Was it me? The answer to our own write got lost, so it is sent again."""
    new = claimed(shard.chunks[5])
    first = table.swap_chunk(shard, 5, new)
    assert table.swap_chunk(shard, 5, new) == first


def test_the_same_swap_again_is_won_after_neighbours_moved(table: StateTable, shard: Shard) -> None:
    """Only our own row tells whether it was us."""
    new = claimed(shard.chunks[5])
    table.swap_chunk(shard, 5, new)
    moved = won(table.swap_chunk(shard, 6, claimed(shard.chunks[6])))
    swap = table.swap_chunk(shard, 5, new)
    assert swap.won
    assert swap.shard == moved


def test_the_same_commit_again_keeps_its_output(table: StateTable, shard: Shard) -> None:
    """A repeated commit is won, and its inline results are still there."""
    mine = won(table.swap_chunk(shard, 5, claimed(shard.chunks[5])))
    new = ended(mine.chunks[5])
    first = table.swap_chunk(mine, 5, new, b'{"i":10}\n')
    assert first.shard.inline == {5: b'{"i":10}\n'}
    assert table.swap_chunk(mine, 5, new, b'{"i":10}\n') == first


def test_a_swap_of_ours_that_was_overtaken_is_refused(table: StateTable, shard: Shard) -> None:
    """Was it me? Yes, but somebody else has moved the row since: the claim is gone."""
    new = claimed(shard.chunks[5])
    mine = won(table.swap_chunk(shard, 5, new))
    table.swap_chunk(mine, 5, replace(new, suspect=1, suspect_starts=1))
    assert not table.swap_chunk(shard, 5, new).won


def test_the_first_claim_is_kept(table: StateTable, shard: Shard, session: Session) -> None:
    """Of all claims of a shard's rows the first one's time; other swaps leave it alone."""
    first = won(table.swap_chunk(shard, 5, claimed(shard.chunks[5]), claimed_at=NOW + 1.25))
    assert first.first_claim_at == NOW + 1.25
    later = won(table.swap_chunk(shard, 6, claimed(shard.chunks[6]), claimed_at=NOW + 2))
    after = won(table.swap_chunk(later, 6, ended(later.chunks[6])))
    assert after.first_claim_at == NOW + 1.25
    assert table.read_shard(session.session_id, shard.number) == after


def test_inline_results_are_kept(table: StateTable, shard: Shard) -> None:
    """Results in the item survive all later swaps of other rows, byte for byte."""
    body = bytes(range(256))
    after = won(table.swap_chunk(shard, 0, ended(shard.chunks[0]), body))
    after = won(table.swap_chunk(after, 1, ended(shard.chunks[1]), b""))
    after = won(table.swap_chunk(after, 2, claimed(shard.chunks[2])))
    assert after.inline == {0: body, 1: b""}
    assert stored(table, shard).inline == {0: body, 1: b""}


@pytest.mark.parametrize("state", sorted(set(ChunkState) - {ChunkState.PENDING}))
def test_a_row_of_every_state_can_be_swapped_in(
    table: StateTable, shard: Shard, state: ChunkState
) -> None:
    """The table knows no rule: it stores what it is given."""
    new = replace(shard.chunks[5], state=state, attempt=3, losses=2, idle_losses=1, suspect=0)
    assert won(table.swap_chunk(shard, 5, new)).chunks[5] == new


def test_a_row_of_a_missing_shard_is_not_found(table: StateTable) -> None:
    """A worker of a deleted session is told so, and brings nothing back."""
    shard = make_all_shards(make_session())[0]
    with pytest.raises(NotFound, match=shard.session_id):
        table.swap_chunk(shard, 0, claimed(shard.chunks[0]))
    assert table.read_shard(shard.session_id, shard.number) is None


# --- swap_shard -----------------------------------------------------------------------------------


def cancelled(shard: Shard) -> Shard:
    rows = [c if c.terminal else replace(c, state=ChunkState.CANCELLED) for c in shard.chunks]
    return replace(shard, chunks=tuple(rows))


def test_a_whole_shard_is_swapped(table: StateTable, shard: Shard) -> None:
    """All rows at once."""
    swap = table.swap_shard(shard, cancelled(shard))
    assert swap.won
    assert swap.shard == cancelled(shard)
    assert stored(table, shard) == cancelled(shard)


@pytest.mark.parametrize("slot", [0, 7, CHUNKS_PER_SHARD - 1])
def test_one_changed_row_refuses_the_whole_swap(table: StateTable, shard: Shard, slot: int) -> None:
    """All or nothing: whichever row it was that somebody changed."""
    changed = won(table.swap_chunk(shard, slot, claimed(shard.chunks[slot])))
    swap = table.swap_shard(shard, cancelled(shard))
    assert not swap.won
    assert swap.shard == changed
    assert stored(table, shard) == changed


def test_the_same_swap_of_a_shard_again_is_won(table: StateTable, shard: Shard) -> None:
    """Was it me? A cancel whose answer got lost is sent again."""
    first = table.swap_shard(shard, cancelled(shard))
    assert table.swap_shard(shard, cancelled(shard)) == first


def test_a_swapped_shard_keeps_its_inline_results(table: StateTable, shard: Shard) -> None:
    """What was committed before a cancel stays."""
    begun = won(table.swap_chunk(shard, 0, ended(shard.chunks[0]), b"result"))
    after = won(table.swap_shard(begun, cancelled(begun)))
    assert after.inline == {0: b"result"}
    assert after.chunks[0].state is ChunkState.ENDED
    assert stored(table, shard) == after


def test_a_short_shard_is_swapped(table: StateTable, session: Session) -> None:
    """The last shard of a session has fewer rows than the others."""
    shard = stored(table, make_all_shards(session)[-1])
    assert len(shard.chunks) == 2
    new = with_rows(shard, claimed(shard.chunks[0]), claimed(shard.chunks[1]))
    assert won(table.swap_shard(shard, new)) == new


def test_swapping_a_missing_shard_is_not_found(table: StateTable) -> None:
    """A cancel of a deleted session is told so, and brings nothing back."""
    shard = make_all_shards(make_session())[0]
    with pytest.raises(NotFound, match=shard.session_id):
        table.swap_shard(shard, cancelled(shard))
    assert table.read_shard(shard.session_id, shard.number) is None


# --- latch ----------------------------------------------------------------------------------------


def test_the_latch_counts_shards(table: StateTable, session: Session) -> None:
    """It answers how many shards are terminal, in whatever order they came."""
    assert [table.latch(session.session_id, number, FAR) for number in (2, 0, 3, 1)] == [1, 2, 3, 4]


def test_latching_again_changes_nothing(table: StateTable, session: Session) -> None:
    """A repeated commit must not close a session early."""
    table.latch(session.session_id, 0, FAR)
    assert table.latch(session.session_id, 0, FAR) == 1
    table.latch(session.session_id, 1, FAR)
    assert table.latch(session.session_id, 0, FAR) == 2


def test_sessions_have_latches_of_their_own(table: StateTable, session: Session) -> None:
    """What another session latched does not count."""
    other = store_session(table, make_session("other"), b"")
    table.latch(other.session_id, 0, FAR)
    assert table.latch(session.session_id, 1, FAR) == 1


def test_latching_leaves_session_and_shards_alone(table: StateTable, session: Session) -> None:
    """The latch is a note beside the session."""
    table.latch(session.session_id, 0, FAR)
    assert table.read_session(session.session_id) == session
    assert table.read_shards(session.session_id) == make_all_shards(session)
