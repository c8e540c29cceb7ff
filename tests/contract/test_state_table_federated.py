"""The contract of the StateTable port, for sessions of federated tasks: they wait for very long."""

from dataclasses import replace

from stepgrid_core.data_plane import TaskFault, digest, failed_line
from stepgrid_core.federation.run_moves import claim_row, fail_row, finish_row, lose_expired
from stepgrid_core.federation.sessions import LIFE_SECONDS
from stepgrid_core.listing import first_due
from stepgrid_core.ports import StateTable
from stepgrid_core.records import Chunk, Ending, FederationFacts, Output, Session, Shard
from stepgrid_core.states import SessionState, TaskState

from .samples import NOW, make_all_shards, make_session, store_session

FACTS = FederationFacts(task_id=12, collaboration_id=3, organization_ids=tuple(range(1, 41)))


def make_federated(**changes: object) -> Session:
    """Of 40 organizations, so of three shards."""
    fields = {
        "tasks": 40,
        "worker": "federation",
        "function": "",
        "backend": "node",
        "route": "node",
        "children": "",
        "watch_seconds": 0,
        "slots": 0,
        "dispatches": 0,
        "dispatched_at": 0.0,
        "deadline_at": NOW + LIFE_SECONDS,
        "expires_at": int(NOW + 2 * LIFE_SECONDS),
        "federation": FACTS,
        **changes,
    }
    return make_session(chunk_size=1, **fields)


def store(table: StateTable) -> tuple[Session, Shard]:
    """A session with its shards; the first of them."""
    session = store_session(table, make_federated(), b"blob")
    shards = make_all_shards(session)
    table.create_shards(session, shards)
    return session, shards[0]


def test_what_is_told_of_the_task_is_kept(table: StateTable) -> None:
    session, _ = store(table)
    assert table.read_session(session.session_id) == session
    assert table.list_sessions(session.owner, None, None, 10).items == (session,)


def test_a_deadline_may_be_a_century_away(table: StateTable) -> None:
    """The first look is a minute after the submit; the next one can be at the deadline."""
    session, _ = store(table)
    assert table.due_sessions(first_due(session), 10) == [session.session_id]
    table.postpone(session.session_id, session.deadline_at)
    assert table.due_sessions(session.deadline_at - 1, 10) == []
    assert table.due_sessions(session.deadline_at, 10) == [session.session_id]


def test_rows_of_runs_are_kept_as_they_are(table: StateTable) -> None:
    """Claimed, lost and ended ones; who writes the same again has won, too."""
    _, shard = store(table)
    claimed = claim_row(shard.chunks[0], "a" * 32, NOW, 60, 3)
    assert claimed is not None
    lost = lose_expired(claimed, NOW + 60, 3)
    assert lost is not None
    last = lose_expired(replace(claimed, losses=2), NOW + 60, 3)
    assert last is not None
    line = failed_line(0, 1, 5, TaskFault("crashed", "last words"))
    output = Output(1, 0, len(line), digest(line))
    ended = finish_row(claimed, True, 5, output)
    skipped = fail_row(Chunk(1), output)
    assert skipped is not None
    for slot, row in enumerate((claimed, lost, last, ended, skipped)):
        for _ in range(2):
            swap = table.swap_chunk(shard, slot, row, line if row.output else None)
            assert swap.won
        stored = table.read_shard(shard.session_id, 0)
        assert stored is not None
        assert stored.chunks[slot] == row
        assert stored.inline.get(slot) == (line if row.output else None)


def test_one_of_two_claims_wins(table: StateTable) -> None:
    _, shard = store(table)
    first = claim_row(shard.chunks[0], "a" * 32, NOW, 60, 3)
    other = claim_row(shard.chunks[0], "b" * 32, NOW, 60, 3)
    assert first is not None
    assert other is not None
    assert table.swap_chunk(shard, 0, first, claimed_at=NOW).won
    swap = table.swap_chunk(shard, 0, other, claimed_at=NOW)
    assert not swap.won
    assert swap.shard.chunks[0] == first


def test_it_closes_without_slots(table: StateTable) -> None:
    """It held none, and its owner has room for another one."""
    session, _ = store(table)
    assert table.read_usage(session.owner, "").tasks == 40
    counts = {**dict.fromkeys(TaskState, 0), TaskState.FINISHED: 40}
    closing = table.close_session(
        session.session_id, Ending(SessionState.FINISHED, counts, NOW + 9)
    )
    assert closing is not None
    assert not closing.others_wait
    assert table.read_session(session.session_id) == closing.session
    assert table.read_usage(session.owner, "").tasks == 0
