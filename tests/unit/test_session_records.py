"""What chunk rows mean for tasks and sessions, and how shards and sessions are cut."""

from collections.abc import Sequence
from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given

from stepgrid_core.names import CHUNKS_PER_SHARD
from stepgrid_core.records import (
    Chunk,
    Session,
    Shard,
    count,
    open_state,
    verdict,
)
from stepgrid_core.states import (
    TERMINAL_TASKS,
    ChunkState,
    SessionState,
    TaskState,
)
from tests.contract.samples import make_all_shards, make_session
from tests.unit.chunk_samples import FRESH, HELD, take
from tests.unit.record_strategies import chunks

# --- counts and verdicts --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chunk", "state"),
    [
        pytest.param(FRESH, TaskState.PENDING, id="never claimed"),
        pytest.param(HELD, TaskState.PROCESSING, id="held"),
        pytest.param(replace(FRESH, attempt=1), TaskState.RETRYING, id="claimed before"),
        pytest.param(
            replace(FRESH, state=ChunkState.CANCELLED), TaskState.CANCELLED, id="cancelled"
        ),
        pytest.param(replace(FRESH, state=ChunkState.EXPIRED), TaskState.FAILED, id="expired"),
        pytest.param(
            replace(FRESH, state=ChunkState.UNREADABLE), TaskState.FAILED, id="unreadable"
        ),
        pytest.param(replace(FRESH, state=ChunkState.LOST), TaskState.FAILED, id="lost"),
        pytest.param(
            replace(FRESH, state=ChunkState.DEPENDENCY), TaskState.FAILED, id="dependency failed"
        ),
    ],
)
def test_the_row_tells_the_state_of_open_tasks(chunk: Chunk, state: TaskState) -> None:
    """Tasks without result or error share the state of their chunk."""
    assert open_state(chunk) is state
    expected = {**dict.fromkeys(TaskState, 0), TaskState.FINISHED: 2, TaskState.FAILED: 1}
    expected[state] += 7
    assert count([replace(chunk, finished=2, failed=1)]) == expected


def test_a_running_row_tells_retries_apart() -> None:
    """Of the tasks that a worker holds, those that have failed before are retrying."""
    counts = count([replace(HELD, finished=2, failed=1, retrying=3)])
    assert counts[TaskState.RETRYING] == 3
    assert counts[TaskState.PROCESSING] == 4


@pytest.mark.parametrize("state", sorted(set(ChunkState) - {ChunkState.RUNNING, ChunkState.ENDED}))
def test_only_a_running_row_tells_retries_apart(state: ChunkState) -> None:
    """In all other rows the open tasks share one state, whatever they went through."""
    row = replace(FRESH, state=state, attempt=1)
    assert count([replace(row, retrying=3)]) == count([row])


def test_no_chunks_have_no_tasks() -> None:
    """All six states are always there."""
    assert count([]) == dict.fromkeys(TaskState, 0)


@given(st.lists(chunks().filter(lambda c: c.state is not ChunkState.ENDED or not c.unsettled)))
def test_counts_add_up(rows: list[Chunk]) -> None:
    """Every task is in exactly one state, whatever the rows hold."""
    counts = count(rows)
    assert set(counts) == set(TaskState)
    assert sum(counts.values()) == sum(row.tasks for row in rows)
    if all(row.terminal for row in rows):
        assert sum(counts[state] for state in TERMINAL_TASKS) == sum(row.tasks for row in rows)


E, C, X, U, L, D = (
    ChunkState.ENDED,
    ChunkState.CANCELLED,
    ChunkState.EXPIRED,
    ChunkState.UNREADABLE,
    ChunkState.LOST,
    ChunkState.DEPENDENCY,
)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        pytest.param([E, E], SessionState.FINISHED, id="all ended"),
        pytest.param([E, L], SessionState.FINISHED, id="tasks failed for lost workers"),
        pytest.param([E, X], SessionState.FAILED, id="deadline"),
        pytest.param([U, E], SessionState.FAILED, id="input"),
        pytest.param([D, D], SessionState.FAILED, id="dependency"),
        pytest.param([E, E, C], SessionState.CANCELLED, id="cancelled"),
        pytest.param([X, U, L, D, C], SessionState.CANCELLED, id="cancelled comes first"),
    ],
)
def test_the_rows_tell_how_a_session_ended(
    states: Sequence[ChunkState], expected: SessionState
) -> None:
    """Finished, unless something ended it."""
    assert verdict(replace(FRESH, state=state) for state in states) is expected


# --- shards and sessions --------------------------------------------------------------------------


def test_a_shard_is_terminal_with_its_last_row() -> None:
    """One open row keeps it open."""
    shard = make_all_shards(make_session(tasks=4, chunk_size=2))[0]
    over = replace(shard.chunks[0], state=ChunkState.ENDED)
    assert not shard.with_chunk(0, over).terminal
    assert shard.with_chunk(0, over).with_chunk(1, over).terminal


def test_a_row_is_replaced_beside_its_neighbours() -> None:
    """Rows and inline results of other slots stay; a result without bytes is a result."""
    shard = make_all_shards(make_session(tasks=6, chunk_size=2))[0]
    held = take(shard.chunks[1])
    assert held is not None
    after = shard.with_chunk(0, shard.chunks[0], b"").with_chunk(1, held)
    assert after.chunks == (shard.chunks[0], held, shard.chunks[2])
    assert after.inline == {0: b""}
    assert shard.inline == {}


@pytest.mark.parametrize(
    ("tasks", "chunk_size", "chunks_", "shards_"),
    [
        pytest.param(1, 1, 1, 1, id="one task"),
        pytest.param(32, 2, CHUNKS_PER_SHARD, 1, id="a full shard"),
        pytest.param(33, 2, CHUNKS_PER_SHARD + 1, 2, id="one task more"),
        pytest.param(1_000_000, 100, 10_000, 625, id="the largest"),
    ],
)
def test_a_session_knows_its_chunks(
    tasks: int, chunk_size: int, chunks_: int, shards_: int
) -> None:
    """Numbers of chunks and shards follow from tasks and chunk size, and hold all tasks."""
    session = make_session(tasks=tasks, chunk_size=chunk_size)
    assert (session.chunks, session.shards) == (chunks_, shards_)
    assert session.layout.tasks == tasks


@pytest.mark.parametrize("changes", [{"digest": "f" * 64}, {"chunk_size": 3}], ids=str)
def test_a_blob_belongs_to_tasks_and_cut(changes: dict[str, object]) -> None:
    """Other tasks, or the same cut otherwise, have another blob."""
    assert make_session(**changes).blob_id != make_session().blob_id


def test_a_session_of_a_newer_version_can_be_read() -> None:
    """While a deployment goes on, a worker of the version before is told more than it knows."""
    session = make_session()
    assert Session.read({**session.as_dict(), "something_new": 1}) == session


def test_rows_of_a_newer_version_are_read() -> None:
    """A container may be older than the broker that answers it, by as long as a session lasts."""
    (shard, *_) = make_all_shards(make_session())
    told = shard.as_dict()
    told["chunks"] = [{**chunk, "new": 1} for chunk in told["chunks"]]
    assert Shard.read({**told, "new": 1}) == shard
