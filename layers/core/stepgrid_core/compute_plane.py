"""What a worker does with one chunk: claim it, run its tasks, commit what came out.

    claim --> read input --> resume --+--> run a batch --> record --+--> commit --> latch
                                      `------- retry, checkpoint ---'

The claim is a swap of the chunk's row; every later write is refused once somebody else has swapped
it (a cancel, a takeover). While tasks run, the row is looked at every `watch_seconds`; a task may
only start within twice that of a look that found the claim intact.

After an environment has died, the next attempt is careful: it runs one task at a time and marks
each in the row before it starts, so that the task which kills its environment is found.

This module knows user code only as a TaskRunner, and AWS not at all.
"""

from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from . import records
from .cancellation import permit_seconds
from .closing import shard_changed
from .data_plane import check, digest, split_lines
from .errors import NotFound, PayloadCorrupted, Unavailable
from .invocation import Invocation, SessionFacts
from .ledger import TaskLedger
from .metrics import ChunkMeter
from .names import CHUNKS_PER_SHARD, output_key, shard_of
from .planning import EXPRESS_CHUNK_SECONDS
from .ports import CommonInput, TaskRunner
from .progress import Commit, report_progress
from .records import Chunk, Output, Shard
from .states import ChunkState
from .telemetry import logger
from .wiring import Grid

#: Kept before the environment's own end, to hand back and commit; of a short life only a quarter.
GUARD_SECONDS = 10.0
#: A claim outlives its environment by this much, in case nobody reports the death.
LEASE_GRACE_SECONDS = 30.0
#: In the careful way, and when a task has failed, progress is published this often.
CHECKPOINT_SECONDS = 2.0
#: Where many chunks run at once they share the writes of one partition, as they do the reads.
CHECKPOINT_WATCHES = 4
#: A checkpoint writes the whole output anew: of a worker's time, at most one part in so many.
CHECKPOINT_SHARE = 10
#: Small outputs of a burst stay in the shard's item: one request less on either side. Each write
#: of the item is billed by its whole size, so its chunks share this; an S3 PUT costs 8 KiB written.
INLINE_SHARD_BYTES = 8 * 1024


class ClaimLost(Exception):
    """Somebody else swapped the row: whatever this attempt does no longer counts."""


def run_chunk(
    grid: Grid, invocation: Invocation, runner: TaskRunner, time_left: Callable[[], float]
) -> str:
    """Run one chunk as far as the environment lives; `time_left` says how many seconds that is.

    Answers "ended" (nothing more to do for this caller) or "again" (the rest was handed back).
    """
    claimed = _claim(grid, invocation, time_left())
    if claimed is None:
        return "ended"
    run = _Run(grid, invocation, runner, time_left, claimed)
    try:
        return run.execute()
    except ClaimLost:
        logger.info("claim lost", session_id=invocation.facts.session_id, chunk=invocation.chunk)
        return "ended"
    finally:
        run.tell_metrics()


@dataclass(frozen=True, slots=True)
class _Claimed:
    shard: Shard
    slot: int
    seen_at: float  #: monotonic, from before the swap


def _claim(grid: Grid, invocation: Invocation, seconds: float) -> _Claimed | None:
    """Our claim, or None if the chunk is over or somebody else's.

    The first try takes for granted that nobody was here before: mostly true, and one read less.
    """
    number, slot = shard_of(invocation.chunk)
    shard, nonce = _untouched(invocation.facts, number), token_hex(3)
    while True:
        seen_at, now = grid.clock.monotonic(), grid.clock.now()
        chunk = records.claim(
            shard.chunks[slot], invocation.token, nonce, now, now + seconds + LEASE_GRACE_SECONDS
        )
        if chunk is None:
            return None
        swap = grid.table.swap_chunk(shard, slot, chunk, claimed_at=now)
        shard = swap.shard
        if swap.won:
            break
    shard_changed(grid, shard, invocation.facts.shards)
    return None if chunk.terminal else _Claimed(shard, slot, seen_at)


def _untouched(facts: SessionFacts, number: int) -> Shard:
    first = number * CHUNKS_PER_SHARD
    last = min(first + CHUNKS_PER_SHARD, facts.chunks)
    chunks = tuple(Chunk(facts.tasks_in(chunk)) for chunk in range(first, last))
    return Shard(facts.session_id, number, chunks)


@dataclass(slots=True)
class _Pace:
    """When the run looks at its row next, and when it publishes progress next (monotonic)."""

    watch_at: float = 0.0
    checkpoint_at: float = 0.0
    failure_unpublished: bool = False  #: a start has failed, and no row says so yet
    in_doubt: bool = False  #: a write had no answer: the row may be as before, or as written


class _Run:
    """One attempt at one chunk."""

    def __init__(
        self,
        grid: Grid,
        invocation: Invocation,
        runner: TaskRunner,
        time_left: Callable[[], float],
        claimed: _Claimed,
    ) -> None:
        self._grid = grid
        self._invocation = invocation
        self._facts = invocation.facts
        self._runner = runner
        self._time_left = time_left
        self._shard = claimed.shard
        self._slot = claimed.slot
        self._parts = 0
        self._common: CommonInput | None = None
        self._pace = _Pace()
        self._started = grid.clock.monotonic()
        self._published = self._chunk
        self._meter = ChunkMeter(self._chunk)
        self._guard_seconds = min(GUARD_SECONDS, time_left() / 4)
        self._seen(claimed.seen_at)

    @property
    def _chunk(self) -> Chunk:
        return self._shard.chunks[self._slot]

    def execute(self) -> str:
        try:
            lines = split_lines(self._read_input(), self._facts.tasks_in(self._invocation.chunk))
            self._common = self._grid.commons.read(self._grid.payloads, self._facts)
        except (NotFound, PayloadCorrupted) as error:
            logger.warning("input could not be read", reason=str(error), **self._who())
            self._write(records.release(self._chunk, ChunkState.UNREADABLE))
            shard_changed(self._grid, self._shard, self._facts.shards)
            return "ended"
        ledger = self._open_ledger(lines)
        if ledger.bury_exhausted():
            self._checkpoint(ledger)
        careful = self._chunk.losses > 0 or self._facts.max_attempts == 1
        while (offsets := ledger.open()) and self._may_start():
            if careful:
                self._run_carefully(ledger, self._next_to_mark(offsets))
            else:
                self._run_all(ledger, offsets)
        return self._commit(ledger)

    def tell_metrics(self) -> None:
        """Call once, whatever became of the run."""
        wall_seconds = self._grid.clock.monotonic() - self._started
        who = {"session_id": self._facts.session_id, "chunk": self._invocation.chunk}
        values = self._meter.values(self._published, wall_seconds)
        self._grid.metrics.emit(self._facts.worker, values, **who)

    def _who(self) -> dict[str, Any]:
        return {
            "session_id": self._facts.session_id,
            "chunk": self._invocation.chunk,
            "attempt": self._chunk.attempt,
        }

    def _open_ledger(self, lines: list[bytes]) -> TaskLedger:
        facts = self._facts
        first = self._invocation.chunk * facts.chunk_size
        ledger = TaskLedger(first, lines, facts.session_id, facts.max_attempts)
        ledger.resume(self._read_output(), self._chunk)
        return ledger

    def _read_input(self) -> bytes:
        if self._invocation.lines is not None:
            return self._invocation.lines.encode()
        start, length = self._shard.byte_range(self._slot)
        facts = self._facts
        if facts.input_key is not None:
            return self._grid.payloads.get_range(facts.input_key, start, length, facts.input_etag)
        blob = self._grid.table.read_blob(facts.session_id, facts.blob_id)
        return blob[start : start + length]

    def _read_output(self) -> bytes:
        output = self._chunk.output
        if output is None:
            return b""
        key = self._key(output.attempt, output.part)
        return check(self._grid.payloads.get(key), output.size, output.digest, key)

    def _key(self, attempt: int, part: int) -> str:
        return output_key(self._facts.session_id, self._invocation.chunk, attempt, part)

    def _run_all(self, ledger: TaskLedger, offsets: list[int]) -> None:
        """A pass over all open tasks, so that those which failed wait for the others."""
        ledger.begin(offsets)
        if ledger.retries_due:
            self._checkpoint(ledger)
        self._run(ledger, offsets)

    def _next_to_mark(self, offsets: list[int]) -> int:
        """The marked task first: a mark on another one would forget how often it was started."""
        suspect = self._chunk.suspect
        return suspect if suspect is not None and suspect in offsets else offsets[0]

    def _run_carefully(self, ledger: TaskLedger, offset: int) -> None:
        """One task, marked before it starts; a failed start is published before the next one."""
        (task,) = ledger.inputs([offset])
        ledger.begin([offset])
        self._write(records.mark(self._chunk, offset, task.attempt))
        self._run(ledger, [offset])
        pace = self._pace
        if pace.failure_unpublished or self._grid.clock.monotonic() >= pace.checkpoint_at:
            self._checkpoint(ledger)

    def _run(self, ledger: TaskLedger, offsets: list[int]) -> None:
        """Run a batch until it ends or may not go on."""
        outcomes = self._runner.run(
            ledger.inputs(offsets), self._facts.task_timeout_seconds, self._common
        )
        with closing(outcomes):
            for outcome in outcomes:
                if outcome is not None:
                    self._meter.record(outcome.milliseconds, settled=ledger.record(outcome))
                    self._pace.failure_unpublished |= outcome.fault is not None
                self._watch(ledger)
                if self._must_stop(between_tasks=outcome is not None):
                    break
        ledger.stop()
        if self._pace.in_doubt:
            self._look()

    def _must_stop(self, between_tasks: bool) -> bool:
        """A task that runs is only cut short by the end of the environment or of the session."""
        if between_tasks:
            return not self._may_start()
        return self._time_left() <= self._guard_seconds or self._past_deadline()

    def _may_start(self) -> bool:
        return self._start_seconds() > 0

    def _start_seconds(self) -> float:
        """For how long tasks may still be started here.

        A task that starts must be able to use its whole timeout before the environment ends, or it
        would be started once more elsewhere. An EXPRESS child lives five minutes: what is left of
        a long chunk then goes to another one.
        """
        timeout_seconds = self._facts.task_timeout_seconds
        environment = self._time_left() - self._guard_seconds - timeout_seconds
        session = self._facts.deadline_at - self._grid.clock.now()
        if self._facts.children == "standard":
            return min(environment, session)
        passed = self._grid.clock.monotonic() - self._started
        return min(environment, session, EXPRESS_CHUNK_SECONDS - passed)

    def _past_deadline(self) -> bool:
        return self._grid.clock.now() >= self._facts.deadline_at

    def _watch(self, ledger: TaskLedger) -> None:
        """See now and then whether the claim still stands; raises ClaimLost if not.

        A failure is published on this occasion: a write finds out as well as a read does.
        """
        now = self._grid.clock.monotonic()
        if now < self._pace.watch_at:
            return
        self._pace.watch_at = now + self._facts.watch_seconds
        with suppress(Unavailable):  # no permit: soon nothing starts until the table answers again
            if self._failure_due(now):
                self._pace.in_doubt = True
                self._checkpoint(ledger)
                self._pace.in_doubt = False
            else:
                self._look()

    def _failure_due(self, now: float) -> bool:
        pace = self._pace
        return pace.failure_unpublished and now >= pace.checkpoint_at and not pace.in_doubt

    def _look(self) -> None:
        """Read the row, which is ours to write; raises ClaimLost if it is not, and Unavailable."""
        looked_at = self._grid.clock.monotonic()
        shard = self._grid.table.read_shard(self._facts.session_id, self._shard.number)
        if shard is None or not shard.chunks[self._slot].held_by(self._chunk):
            raise ClaimLost
        self._shard, self._pace.in_doubt = shard, False
        self._seen(looked_at)

    def _seen(self, at: float) -> None:
        """The claim stood at `at`: tasks may start for two watches from then on, if at all."""
        watch_seconds = self._facts.watch_seconds
        self._pace.watch_at = at + watch_seconds
        passed = self._grid.clock.monotonic() - at
        seconds = min(permit_seconds(watch_seconds) - passed, self._start_seconds())
        self._runner.permit(max(0.0, seconds))

    def _checkpoint(self, ledger: TaskLedger) -> None:
        started_at = self._grid.clock.monotonic()
        output = self._publish(ledger.output())
        self._write(records.checkpoint(self._chunk, ledger.settled(output)))
        self._pace.failure_unpublished = False
        now = self._grid.clock.monotonic()
        self._pace.checkpoint_at = now + max(
            CHECKPOINT_SECONDS,
            CHECKPOINT_WATCHES * self._facts.watch_seconds,
            CHECKPOINT_SHARE * (now - started_at),
        )

    def _commit(self, ledger: TaskLedger) -> str:
        data = ledger.output()
        inline = self._inline(data, bool(ledger.open()))
        output = self._chunk.output
        if inline is not None:
            output = self._output_of(data)
        elif data:
            output = self._publish(data)
        committed = records.commit(self._chunk, ledger.settled(output))
        if not committed.terminal and self._past_deadline():
            committed = records.release(committed, ChunkState.EXPIRED)
        before = self._chunk
        self._write(committed, inline)
        logger.debug("chunk committed", **self._who())
        ended = shard_changed(self._grid, self._shard, self._facts.shards)
        report_progress(self._grid, Commit(self._facts, before, self._shard, self._slot, ended))
        return "ended" if committed.terminal or self._settles_later() else "again"

    def _settles_later(self) -> bool:
        """The rest of a chunk goes to another child: this one's five minutes are used up."""
        return self._facts.route == "map" and self._facts.children == "express"

    def _inline(self, data: bytes, unfinished: bool) -> bytes | None:
        most = INLINE_SHARD_BYTES // len(self._shard.chunks)
        small = self._facts.route == "burst" and len(data) <= most
        return data if small and not unfinished else None

    def _output_of(self, data: bytes) -> Output:
        return Output(self._chunk.attempt, self._parts, len(data), digest(data))

    def _publish(self, data: bytes) -> Output:
        """Write an object of its own; only the row that comes after makes it count."""
        output = self._output_of(data)
        self._grid.payloads.put(self._key(output.attempt, output.part), data)
        self._parts += 1
        return output

    def _write(self, new: Chunk, inline: bytes | None = None) -> None:
        """Swap our row; other slots of the shard may change meanwhile, ours only by being lost."""
        seen_at = self._grid.clock.monotonic()
        swap = self._grid.table.swap_chunk(self._shard, self._slot, new, inline)
        self._shard = swap.shard
        if not swap.won:
            raise ClaimLost
        self._published = new
        self._seen(seen_at)
