"""The moves of a chunk row, and what its states mean for tasks and sessions."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import given

from stepgrid_core.names import CHUNKS_PER_SHARD
from stepgrid_core.records import (
    MAX_IDLE_LOSSES,
    TOKEN_LENGTH,
    Chunk,
    Output,
    Settled,
    checkpoint,
    claim,
    commit,
    count,
    end,
    expire_lease,
    lose,
    mark,
    open_state,
    verdict,
)
from stepgrid_core.states import (
    TERMINAL_CHUNKS,
    TERMINAL_TASKS,
    ChunkState,
    SessionState,
    TaskState,
)
from tests.contract.samples import make_all_shards, make_session
from tests.unit.record_strategies import chunks

NOW = 1_000.0
LEASE_UNTIL = 2_000
OUTPUT = Output(attempt=1, part=0, size=10, digest="digest")
FRESH = Chunk(tasks=10)
#: As after a first claim with token "mine".
HELD = Chunk(10, ChunkState.RUNNING, attempt=1, token="mine", lease_until=LEASE_UNTIL)

terminal = pytest.mark.parametrize("state", sorted(TERMINAL_CHUNKS))


def take(chunk: Chunk, token: str = "mine", now: float = NOW) -> Chunk | None:
    return claim(chunk, token, "", now, now + 900)


# --- claim ----------------------------------------------------------------------------------------


def test_a_pending_chunk_is_claimed() -> None:
    """It runs under the token, with a lease and the next attempt number."""
    assert claim(FRESH, "mine", "", NOW, LEASE_UNTIL + 0.9) == HELD


def test_a_chunk_that_was_handed_back_is_claimed_again() -> None:
    """What is settled stays, the attempt number rises."""
    back = commit(HELD, Settled(4, 1, 70, OUTPUT))
    again = take(back, "other")
    assert again is not None
    assert (again.attempt, again.finished, again.failed, again.output) == (2, 4, 1, OUTPUT)


@terminal
def test_a_chunk_that_is_over_is_not_claimed(state: ChunkState) -> None:
    """No move leaves a terminal state."""
    assert take(replace(FRESH, state=state)) is None


@pytest.mark.parametrize("now", [NOW, LEASE_UNTIL - 1])
def test_a_held_chunk_is_not_claimed(now: float) -> None:
    """Until the lease ends, nobody else may have it."""
    assert take(HELD, "other", now) is None


@pytest.mark.parametrize(
    ("token", "now"),
    [
        pytest.param("other", LEASE_UNTIL, id="its lease has ended"),
        pytest.param("mine", NOW, id="the same invocation was retried"),
    ],
)
def test_a_claim_is_taken_over(token: str, now: float) -> None:
    """The worker before is fenced out by the attempt number, and counted as lost."""
    taken = take(HELD, token, now)
    assert taken is not None
    assert (taken.state, taken.attempt, taken.losses) == (ChunkState.RUNNING, 2, 1)
    assert not taken.held_by(HELD)


def test_taking_over_once_too_often_ends_the_chunk() -> None:
    """Workers that die again and again without any progress are not sent for ever."""
    taken = take(replace(HELD, idle_losses=MAX_IDLE_LOSSES - 1))
    assert taken is not None
    assert (taken.state, taken.attempt) == (ChunkState.LOST, 1)


def test_invocations_at_the_same_moment_are_told_apart() -> None:
    """Of a token a row keeps the beginning; the nonce tells two claims of one invocation apart."""
    token = "0123456789abcdef"
    first, second = (claim(FRESH, token, nonce, NOW, LEASE_UNTIL) for nonce in ("aaaaaa", "bbbbbb"))
    assert first is not None
    assert second is not None
    assert first != second
    assert first.token == token[:TOKEN_LENGTH] + "aaaaaa"
    assert lose(first, token) == lose(second, token)
    assert lose(first, token) is not None


# --- mark, checkpoint, commit ---------------------------------------------------------------------


def test_a_mark_is_progress() -> None:
    """A chunk whose tasks can be told apart is not given up for idle losses."""
    marked = mark(replace(HELD, idle_losses=5), 3, 2)
    assert (marked.suspect, marked.suspect_starts, marked.idle_losses) == (3, 2, 0)
    assert marked.held_by(HELD)


@pytest.mark.parametrize(
    ("settled", "idle_losses"),
    [
        pytest.param(Settled(1, 0, 5, OUTPUT), 0, id="a result"),
        pytest.param(Settled(0, 1, 5, OUTPUT), 0, id="a failure"),
        pytest.param(Settled(0, 0, 0, None), 4, id="nothing"),
    ],
)
def test_a_checkpoint_publishes_and_keeps_the_claim(settled: Settled, idle_losses: int) -> None:
    """Only settled tasks count as progress."""
    after = checkpoint(replace(HELD, idle_losses=4), settled)
    assert after.held_by(HELD)
    assert (after.finished, after.failed) == (settled.finished, settled.failed)
    assert (after.milliseconds, after.output) == (settled.milliseconds, settled.output)
    assert after.idle_losses == idle_losses


@pytest.mark.parametrize(
    ("finished", "failed", "state"),
    [
        pytest.param(10, 0, ChunkState.ENDED, id="all finished"),
        pytest.param(7, 3, ChunkState.ENDED, id="some failed"),
        pytest.param(0, 10, ChunkState.ENDED, id="all failed"),
        pytest.param(9, 0, ChunkState.PENDING, id="one left"),
        pytest.param(0, 0, ChunkState.PENDING, id="nothing done"),
    ],
)
def test_a_commit_ends_the_chunk_or_hands_it_back(
    finished: int, failed: int, state: ChunkState
) -> None:
    """Ended if every task is settled; nobody holds it any more."""
    after = commit(HELD, Settled(finished, failed, 70, OUTPUT))
    assert (after.state, after.token, after.lease_until) == (state, "", 0)
    assert (after.finished, after.failed, after.output) == (finished, failed, OUTPUT)


def test_an_ended_chunk_forgets_its_troubles() -> None:
    """Losses and marks matter only to the next attempt, and there is none."""
    troubled = replace(HELD, losses=3, idle_losses=1, suspect=2, suspect_starts=2)
    after = commit(troubled, Settled(10, 0, 70, OUTPUT))
    assert after == commit(HELD, Settled(10, 0, 70, OUTPUT))
    handed_back = commit(troubled, Settled(9, 0, 70, OUTPUT))
    assert (handed_back.losses, handed_back.suspect, handed_back.suspect_starts) == (3, 2, 2)


# --- lose, expire_lease, end ----------------------------------------------------------------------


def test_a_lost_claim_is_given_back() -> None:
    """The next claim may come at once, and knows of the loss."""
    lost = lose(HELD, "mine")
    assert lost == replace(FRESH, attempt=1, losses=1, idle_losses=1, token="mine")
    assert lost is not None
    assert lose(lost, "mine") is None, "a repeated report counts once"


def test_a_worker_that_never_claimed_counts_as_well() -> None:
    """Else a function that can't even start would be invoked for ever."""
    assert lose(FRESH, "mine") == replace(FRESH, idle_losses=1, token="mine")


def test_an_outage_is_not_held_against_the_chunk() -> None:
    """The tasks may have started, so that is noted; but it brings nobody nearer to the end."""
    lost = lose(HELD, "mine", blame=False)
    assert lost == replace(FRESH, attempt=1, losses=1, token="mine")


@pytest.mark.parametrize(
    "chunk",
    [
        pytest.param(replace(HELD, token="other"), id="somebody else's"),
        pytest.param(commit(HELD, Settled(10, 0, 70, OUTPUT)), id="committed before it died"),
        pytest.param(replace(FRESH, state=ChunkState.CANCELLED), id="cancelled"),
    ],
)
def test_a_claim_that_is_not_the_dead_workers_stays(chunk: Chunk) -> None:
    """The report of a death may come late, or twice."""
    assert lose(chunk, "mine") is None


@pytest.mark.parametrize(
    ("chunk", "now", "expired"),
    [
        pytest.param(HELD, LEASE_UNTIL - 0.1, False, id="not yet"),
        pytest.param(HELD, LEASE_UNTIL, True, id="now"),
        pytest.param(FRESH, LEASE_UNTIL, False, id="not held"),
        pytest.param(replace(FRESH, state=ChunkState.ENDED), LEASE_UNTIL, False, id="over"),
    ],
)
def test_a_claim_ends_with_its_lease(chunk: Chunk, now: float, expired: bool) -> None:
    """Where nobody reports a death, time does."""
    after = expire_lease(chunk, now)
    lost = replace(FRESH, attempt=1, losses=1, idle_losses=1)
    assert after == (lost if expired else None)


def test_a_chunk_is_given_up_after_idle_losses() -> None:
    """Ten environments in a row that died without any progress."""
    chunk: Chunk | None = FRESH
    for _ in range(MAX_IDLE_LOSSES):
        assert chunk is not None
        assert chunk.state is ChunkState.PENDING
        held = take(chunk)
        assert held is not None
        chunk = lose(held, "mine")
    assert chunk is not None
    assert chunk.state is ChunkState.LOST


@pytest.mark.parametrize("chunk", [FRESH, HELD], ids=["pending", "running"])
@terminal
def test_an_open_chunk_is_ended(chunk: Chunk, state: ChunkState) -> None:
    """Its worker, if any, is fenced out; what was settled stays."""
    before = replace(chunk, finished=3, output=OUTPUT)
    after = end(before, state)
    assert after is not None
    assert (after.state, after.finished, after.output) == (state, 3, OUTPUT)
    assert not after.held_by(before)


@terminal
def test_a_chunk_ends_only_once(state: ChunkState) -> None:
    """A cancel does not change what ended before it."""
    assert end(replace(FRESH, state=state), ChunkState.CANCELLED) is None


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
    ],
)
def test_the_row_tells_the_state_of_open_tasks(chunk: Chunk, state: TaskState) -> None:
    """Tasks without result or error share the state of their chunk."""
    assert open_state(chunk) is state
    expected = {**dict.fromkeys(TaskState, 0), TaskState.FINISHED: 2, TaskState.FAILED: 1}
    expected[state] += 7
    assert count([replace(chunk, finished=2, failed=1)]) == expected


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


E, C, X, U, L = (
    ChunkState.ENDED,
    ChunkState.CANCELLED,
    ChunkState.EXPIRED,
    ChunkState.UNREADABLE,
    ChunkState.LOST,
)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        pytest.param([E, E], SessionState.FINISHED, id="all ended"),
        pytest.param([E, L], SessionState.FINISHED, id="tasks failed for lost workers"),
        pytest.param([E, X], SessionState.FAILED, id="deadline"),
        pytest.param([U, E], SessionState.FAILED, id="input"),
        pytest.param([E, E, C], SessionState.CANCELLED, id="cancelled"),
        pytest.param([X, U, L, C], SessionState.CANCELLED, id="cancelled comes first"),
    ],
)
def test_the_rows_tell_how_a_session_ended(
    states: Sequence[ChunkState], expected: SessionState
) -> None:
    """Finished, unless something ended it."""
    assert verdict(replace(FRESH, state=state) for state in states) is expected


# --- whatever happens -----------------------------------------------------------------------------


@st.composite
def histories(draw: st.DrawFn) -> list[Chunk]:
    """A chunk's rows, one after the other, under any moves that workers, recorder, sweeper and
    owner may make in any order."""
    rows = [Chunk(draw(st.integers(1, 6)))]
    now = NOW
    for _ in range(draw(st.integers(1, 30))):
        now += draw(st.sampled_from([0.0, 1.0, 1_000.0]))
        new = draw(st.sampled_from(MOVES))(draw, rows[-1], now)
        if new is not None:
            rows.append(new)
    return rows


tokens = st.sampled_from(["a", "b"])


def _settled(draw: st.DrawFn, chunk: Chunk) -> Settled:
    finished = draw(st.integers(chunk.finished, chunk.tasks - chunk.failed))
    failed = draw(st.integers(chunk.failed, chunk.tasks - finished))
    return Settled(finished, failed, chunk.milliseconds + 1, OUTPUT)


def _claim(draw: st.DrawFn, chunk: Chunk, now: float) -> Chunk | None:
    return claim(chunk, draw(tokens), "", now, now + 900)


def _held_only(chunk: Chunk) -> bool:
    """A worker moves only a row that it holds; the table refuses it otherwise."""
    return chunk.state is ChunkState.RUNNING


def _mark(draw: st.DrawFn, chunk: Chunk, _now: float) -> Chunk | None:
    return mark(chunk, draw(st.integers(0, chunk.tasks - 1)), 1) if _held_only(chunk) else None


def _checkpoint(draw: st.DrawFn, chunk: Chunk, _now: float) -> Chunk | None:
    return checkpoint(chunk, _settled(draw, chunk)) if _held_only(chunk) else None


def _commit(draw: st.DrawFn, chunk: Chunk, _now: float) -> Chunk | None:
    return commit(chunk, _settled(draw, chunk)) if _held_only(chunk) else None


def _lose(draw: st.DrawFn, chunk: Chunk, _now: float) -> Chunk | None:
    return lose(chunk, draw(tokens))


def _expire(_draw: st.DrawFn, chunk: Chunk, now: float) -> Chunk | None:
    return expire_lease(chunk, now)


def _end(draw: st.DrawFn, chunk: Chunk, _now: float) -> Chunk | None:
    return end(chunk, draw(st.sampled_from([C, X, U])))


MOVES = (_claim, _claim, _mark, _checkpoint, _commit, _lose, _expire, _end)


@given(histories())
def test_whatever_moves_are_made_the_promises_hold(rows: list[Chunk]) -> None:
    """Counts add up, settled tasks stay settled, attempts only rise, an end is an end."""
    for old, new in pairwise(rows):
        assert not old.terminal
        assert new.tasks == old.tasks
        assert new.finished >= old.finished
        assert new.failed >= old.failed
        assert new.attempt >= old.attempt
        assert new.held_by(old) <= (new.attempt == old.attempt)
        assert sum(count([new]).values()) == new.tasks
        assert new.token or new.state is not ChunkState.RUNNING
    if rows[-1].state is ChunkState.ENDED:
        assert rows[-1].unsettled == 0


@given(histories())
def test_a_fenced_worker_never_gets_its_claim_back(rows: list[Chunk]) -> None:
    """Once a row is no more what a worker claimed, no later row is."""
    for number, row in enumerate(rows):
        if row.state is ChunkState.RUNNING:
            held = [later.held_by(row) for later in rows[number:]]
            assert held == sorted(held, reverse=True)


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
    assert sum(session.tasks_in(chunk) for chunk in range(session.chunks)) == tasks


@pytest.mark.parametrize("changes", [{"digest": "f" * 64}, {"chunk_size": 3}], ids=str)
def test_a_blob_belongs_to_tasks_and_cut(changes: dict[str, object]) -> None:
    """Other tasks, or the same cut otherwise, have another blob."""
    assert make_session(**changes).blob_id != make_session().blob_id


def test_handing_back_untouched_ends_at_last() -> None:
    """A worker without time to run anything is not tried for ever; one task done is progress."""
    chunk = Chunk(tasks=3)
    for _ in range(MAX_IDLE_LOSSES - 1):
        chunk = commit(claimed(chunk), Settled(0, 0, 0, None))
        assert chunk.state is ChunkState.PENDING
    progressed = commit(claimed(chunk), Settled(1, 0, 5, Output(1, 0, 10, "d")))
    assert (progressed.state, progressed.idle_losses) == (ChunkState.PENDING, 0)
    assert commit(claimed(chunk), Settled(0, 0, 0, None)).state is ChunkState.LOST


def claimed(chunk: Chunk) -> Chunk:
    row = claim(chunk, "token", "n", 0, 100)
    assert row is not None
    return row
