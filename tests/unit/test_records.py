"""The moves of a chunk row, one by one and in any order."""

from dataclasses import replace
from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import given

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
)
from stepgrid_core.states import (
    ChunkState,
)
from tests.unit.chunk_samples import FRESH, HELD, LEASE_UNTIL, NOW, OUTPUT, take, terminal

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


def test_published_retries_stay_with_their_output() -> None:
    """A row always counts the retries that its output has lines of, whoever holds it next."""
    row = checkpoint(HELD, Settled(4, 1, 70, OUTPUT, retrying=2))
    lost = lose(row, "mine")
    assert lost is not None
    again = take(lost, "other")
    assert again is not None
    assert (row.retrying, lost.retrying, again.retrying) == (2, 2, 2)
    assert commit(again, Settled(10, 0, 90, OUTPUT)).retrying == 0


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
    return end(
        chunk,
        draw(st.sampled_from([ChunkState.CANCELLED, ChunkState.EXPIRED, ChunkState.UNREADABLE])),
    )


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
