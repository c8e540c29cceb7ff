"""Moves of one run's row: each is one conditional write, with what follows from it.

    claim --> row, when the sweeper looks --> renew ... --> finish --> output, row --> close
      `--> given back, killed, or lost when its lease has ended

Knows no node, no task and no route: who may do what with a run is for others to say.
"""

from dataclasses import dataclass
from secrets import token_hex

from ..cancellation import cancel_open
from ..closing import close
from ..contract import CancelCounts
from ..data_plane import TaskFault, digest
from ..ending import complete_shards
from ..errors import NotFound
from ..invocation import facts_of
from ..metrics import Metric
from ..names import shard_of
from ..progress import Commit, report_progress
from ..records import Chunk, Output, Session, Shard, end, pending_chunks, release
from ..states import ChunkState
from ..telemetry import logger
from ..wiring import Grid
from .run_due import look_by
from .run_moves import (
    claim_of,
    claim_row,
    fail_row,
    finish_row,
    is_claim_of,
    renew_row,
    was_finished_by,
)
from .run_outputs import RunOutcome, keep_line, line_of, outcome_in, outcome_of

__all__ = [
    "RunOutcome",
    "claim_of",
    "claim_run",
    "fail_untouched",
    "finish_run",
    "give_back_run",
    "is_claim_of",
    "kill_run",
    "kill_runs",
    "read_result",
    "read_run",
    "read_runs",
    "renew_run",
]


@dataclass(frozen=True, slots=True)
class _Place:
    """A row and the shard that it is in, as they were read."""

    shard: Shard
    slot: int

    @property
    def row(self) -> Chunk:
        return self.shard.chunks[self.slot]


def read_run(grid: Grid, session: Session, index: int) -> Chunk:
    """Its row. Raises NotFound."""
    place = _find(grid, session, index)
    if place is None:
        raise NotFound(f"session {session.session_id} has no run {index}; it may be deleted")
    return place.row


def read_runs(grid: Grid, session: Session) -> list[Chunk]:
    """The rows that are there: none of a session that was deleted."""
    shards = grid.table.read_shards(session.session_id)
    return [chunk for shard in shards for chunk in shard.chunks]


def claim_run(
    grid: Grid, session: Session, index: int, claimant: str, lease_seconds: float
) -> Chunk | None:
    """The row with the claim in it, see `claim_of`; None if the run is over or another's.

    A claimant that asks again gets the claim that it has: the answer may have got lost.
    """
    place = _find(grid, session, index)
    while place is not None:
        now, row = grid.clock.now(), place.row
        new = claim_row(row, claimant, now, lease_seconds, session.max_attempts)
        if new is None or new == row:
            return new
        swap = grid.table.swap_chunk(place.shard, place.slot, new, claimed_at=now)
        if swap.won:
            return _claimed(grid, session, row, _Place(swap.shard, place.slot), new)
        place = _Place(swap.shard, place.slot)
    return None


def _claimed(
    grid: Grid, session: Session, before: Chunk, place: _Place, new: Chunk
) -> Chunk | None:
    if new.losses > before.losses:
        note_losses(grid, session, 1)
    if new.terminal:
        follow_up(grid, session, place.shard, place.slot, before)
        return None
    if new.attempt > before.attempt:
        grid.table.postpone(session.session_id, look_by(session, [place.shard]))
        logger.info("run claimed", session_id=session.session_id, attempt=new.attempt)
    return new


def renew_run(grid: Grid, session: Session, index: int, claim: str, lease_seconds: float) -> bool:
    """Is the claim still good? Then it holds for longer."""
    place = _find(grid, session, index)
    while place is not None and is_claim_of(claim, place.row):
        new = renew_row(place.row, grid.clock.now(), lease_seconds)
        if new == place.row:
            return True
        swap = grid.table.swap_chunk(place.shard, place.slot, new)
        if swap.won:
            return True
        place = _Place(swap.shard, place.slot)
    return False


def give_back_run(grid: Grid, session: Session, index: int, claim: str) -> bool:
    """Let it wait again, for whoever claims it next. False if it was not the claim's to give."""
    place = _find(grid, session, index)
    while place is not None and is_claim_of(claim, place.row):
        new = release(place.row, ChunkState.PENDING)
        swap = grid.table.swap_chunk(place.shard, place.slot, new)
        if swap.won:
            return True
        place = _Place(swap.shard, place.slot)
    return False


def finish_run(
    grid: Grid,
    session: Session,
    index: int,
    claim: str,
    *,
    result: str | None,
    fault: TaskFault | None,
    milliseconds: float,
) -> bool:
    """Commit how a run ended. True also where the same claim has committed the same before.

    False if the claim is not good any more: then nothing was changed.
    """
    place = _find(grid, session, index)
    if place is None:
        return False
    outcome = outcome_of(result, fault)
    line = line_of(index, place.row.attempt, outcome, milliseconds)
    while is_claim_of(claim, place.row):
        output = Output(place.row.attempt, 0, len(line), digest(line))
        inline = keep_line(grid, place.shard, place.slot, output, line)
        new = finish_row(place.row, fault is not None, milliseconds, output)
        swap = grid.table.swap_chunk(place.shard, place.slot, new, inline)
        before, place = place.row, _Place(swap.shard, place.slot)
        if swap.won:
            _note_end(grid, session, outcome, milliseconds)
            follow_up(grid, session, place.shard, place.slot, before)
            return True
    same = was_finished_by(claim, place.row) and read_result(grid, session, index) == outcome
    if same:  # whoever wrote it may have died before it closed the session
        follow_up(grid, session, place.shard, place.slot, place.row)
    return same


def fail_untouched(grid: Grid, session: Session, reason: str) -> list[int]:
    """End all runs that nobody has begun as failed; answers which of them this call ended."""
    waiting = pending_chunks(_complete(grid, session))
    fault = TaskFault("failed", reason)
    return [index for index in waiting if _fail(grid, session, index, fault)]


def _fail(grid: Grid, session: Session, index: int, fault: TaskFault) -> bool:
    place, outcome = _find(grid, session, index), outcome_of(None, fault)
    while place is not None:
        attempt = place.row.attempt + 1
        line = line_of(index, attempt, outcome, 0)
        output = Output(attempt, 0, len(line), digest(line))
        new = fail_row(place.row, output)
        if new is None:
            return False
        inline = keep_line(grid, place.shard, place.slot, output, line)
        swap = grid.table.swap_chunk(place.shard, place.slot, new, inline)
        before, place = place.row, _Place(swap.shard, place.slot)
        if swap.won:
            _note_end(grid, session, outcome, None)
            follow_up(grid, session, place.shard, place.slot, before)
            return True
    return False


def kill_run(grid: Grid, session: Session, index: int) -> bool:
    """End one run as cancelled. False if it is over already."""
    place, nonce = _find(grid, session, index), token_hex(4)
    while place is not None:
        new = end(place.row, ChunkState.CANCELLED, nonce)
        if new is None:
            return False
        swap = grid.table.swap_chunk(place.shard, place.slot, new)
        before, place = place.row, _Place(swap.shard, place.slot)
        if swap.won:
            follow_up(grid, session, place.shard, place.slot, before)
            return True
    return False


def kill_runs(grid: Grid, session: Session) -> CancelCounts:
    """End all runs that are open as cancelled, whoever asks for it; see `cancellation.cancel`."""
    counts, _ = cancel_open(grid, session)
    return counts


def read_result(grid: Grid, session: Session, index: int) -> RunOutcome | None:
    """How a run ended, checked against its row; None while it is open. Raises NotFound."""
    place = _find(grid, session, index)
    if place is None:
        raise NotFound(f"session {session.session_id} has no run {index}; it may be deleted")
    if not place.row.terminal:
        return None
    return outcome_in(grid, session, place.shard, place.slot)


def _note_end(
    grid: Grid, session: Session, outcome: RunOutcome, milliseconds: float | None
) -> None:
    failed = outcome.fault is not None
    values = {Metric.TASKS_FAILED if failed else Metric.TASKS_FINISHED: [1.0]}
    if milliseconds is not None:
        values[Metric.TASK_TIME] = [milliseconds]
    grid.metrics.emit(session.worker, values, session_id=session.session_id)
    logger.info("run ended", session_id=session.session_id, state=outcome.state)


def note_losses(grid: Grid, session: Session, losses: int) -> None:
    values = {Metric.WORKERS_LOST: [float(losses)]}
    grid.metrics.emit(session.worker, values, session_id=session.session_id)
    logger.warning("run lost", session_id=session.session_id, runs=losses)


def follow_up(grid: Grid, session: Session, shard: Shard, slot: int, before: Chunk) -> None:
    """After a write that ended a run: was it the last one?

    All shards are read for that, which are few. No latch counts them: its item would have to
    outlive sessions that wait for months.
    """
    ended = 0
    if shard.terminal:
        shards = [shard] if session.shards == 1 else complete_shards(grid, session)
        ended = sum(each.terminal for each in shards)
        if close(grid, shards) is not None:
            return
    report_progress(grid, Commit(facts_of(session), before, shard, slot, ended))


def _find(grid: Grid, session: Session, index: int) -> _Place | None:
    """None if there is no such run, or its session was deleted.

    Rows that a creation has yet to write are written by whoever needs them.
    """
    if not 0 <= index < session.chunks:
        return None
    number, slot = shard_of(index)
    shard = grid.table.read_shard(session.session_id, number)
    if shard is None:
        found = _complete(grid, session)
        shard = next((each for each in found if each.number == number), None)
    return None if shard is None else _Place(shard, slot)


def _complete(grid: Grid, session: Session) -> list[Shard]:
    """All shards; none of a session that was deleted."""
    try:
        return complete_shards(grid, session)
    except NotFound:
        return []
