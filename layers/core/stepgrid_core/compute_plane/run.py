"""One attempt at one chunk, from the claim to the commit."""

from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import Any

from .. import records
from ..cancellation import permit_seconds
from ..errors import NotFound, PayloadCorrupted, Unavailable
from ..invocation import Invocation
from ..ledger import TaskLedger
from ..metrics import ChunkMeter
from ..ports import CommonInput, FailedTask, TaskLines, TaskOutcome, TaskRunner
from ..records import Chunk, Output, Settled
from ..states import ChunkState
from ..telemetry import logger
from ..wiring import Grid
from .behind import Behind
from .bench import Bench, bench_of
from .claim import Claim, ClaimLost, take_claim
from .files import ChunkFiles
from .lifetime import Lifetime
from .pace import Pace


def run_chunk(
    grid: Grid, invocation: Invocation, runner: TaskRunner, time_left: Callable[[], float]
) -> str:
    """Run one chunk as far as the environment lives; `time_left` says how many seconds that is.

    Answers "ended" (nothing more to do for this caller) or "again" (the rest was handed back).
    """
    bench = bench_of(grid)
    claim = take_claim(bench, invocation, time_left())
    return "ended" if claim is None else run_claim(bench, invocation, claim, runner, time_left)


def run_claim(
    bench: Bench,
    invocation: Invocation,
    claim: Claim,
    runner: TaskRunner,
    time_left: Callable[[], float],
) -> str:
    """Run a chunk whose claim was taken already; otherwise as `run_chunk`."""
    life = Lifetime(bench.clock, invocation.facts, time_left)
    run = _Run(bench, invocation, runner, life, claim)
    try:
        return run.execute()
    except ClaimLost:
        logger.info("claim lost", session_id=invocation.facts.session_id, chunk=invocation.chunk)
        return "ended"
    finally:
        run.tell_metrics()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What was settled at a moment, on its way into the store; then its row is written."""

    started_at: float  #: monotonic
    settled: Settled  #: but for its output
    stored: Behind[Output]


class _Run:
    def __init__(
        self,
        bench: Bench,
        invocation: Invocation,
        runner: TaskRunner,
        life: Lifetime,
        claim: Claim,
    ) -> None:
        self._bench = bench
        self._invocation = invocation
        self._facts = invocation.facts
        self._runner = runner
        self._life = life
        self._claim = claim
        self._files = ChunkFiles(bench, invocation, claim)
        self._common: CommonInput | None = None
        self._pace = Pace(self._facts.watch_seconds)
        self._meter = ChunkMeter(claim.chunk)
        self._checkpoint_behind: Checkpoint | None = None
        self._permit()

    def execute(self) -> str:
        try:
            lines = self._files.open_lines()
            self._common = self._bench.commons.read(self._bench.payloads, self._facts)
        except (NotFound, PayloadCorrupted) as error:
            return self._refuse_input(error)
        ledger = self._open_ledger(lines)
        try:
            self._run_tasks(ledger)
        except PayloadCorrupted as error:  # found out while the lines arrived
            return self._refuse_input(error)
        return self._commit(ledger)

    def _refuse_input(self, error: Exception) -> str:
        """Tasks that ran meanwhile count as not run, but for those that a row has published."""
        logger.warning("input could not be read", reason=str(error), **self._who())
        self._write(records.release(self._claim.chunk, ChunkState.UNREADABLE))
        self._bench.rows.changed(self._facts, self._claim.shard)
        return "ended"

    def _run_tasks(self, ledger: TaskLedger) -> None:
        """All that are open, as long as they may start."""
        if ledger.bury_exhausted():
            self._checkpoint(ledger)
        careful = self._claim.chunk.losses > 0 or self._facts.max_attempts == 1
        while (offsets := ledger.open()) and self._life.may_start():
            if careful:
                self._run_carefully(ledger, self._next_to_mark(offsets))
            else:
                self._run_all(ledger, offsets)

    def tell_metrics(self) -> None:
        """Call once, whatever became of the run."""
        who = {"session_id": self._facts.session_id, "chunk": self._invocation.chunk}
        values = self._meter.values(self._claim.published, self._life.passed_seconds)
        self._bench.metrics.emit(self._facts.worker, values, **who)

    def _who(self) -> dict[str, Any]:
        return {
            "session_id": self._facts.session_id,
            "chunk": self._invocation.chunk,
            "attempt": self._claim.chunk.attempt,
        }

    def _open_ledger(self, lines: TaskLines) -> TaskLedger:
        facts, tasks = self._facts, self._claim.chunk.tasks
        first = facts.layout.first_task(self._invocation.chunk)
        ledger = TaskLedger(first, tasks, lines, facts.session_id, facts.max_attempts)
        ledger.resume(self._files.read_output(), self._claim.chunk)
        return ledger

    def _run_all(self, ledger: TaskLedger, offsets: list[int]) -> None:
        """A pass over all open tasks, so that those which failed wait for the others."""
        ledger.begin(offsets)
        if ledger.retries_due:
            self._checkpoint(ledger)
        self._run(ledger, offsets)

    def _next_to_mark(self, offsets: list[int]) -> int:
        """The marked task first: a mark on another one would forget how often it was started."""
        suspect = self._claim.chunk.suspect
        return suspect if suspect is not None and suspect in offsets else offsets[0]

    def _run_carefully(self, ledger: TaskLedger, offset: int) -> None:
        """One task, marked before it starts; a failed start is published before the next one."""
        (span,) = ledger.spans([offset])
        ledger.begin([offset])
        self._write(records.mark(self._claim.chunk, offset, span.attempt))
        self._run(ledger, [offset])
        if self._pace.is_checkpoint_due(self._bench.clock.monotonic()):
            self._checkpoint(ledger)

    def _run(self, ledger: TaskLedger, offsets: list[int]) -> None:
        """Run a batch until it ends or may not go on."""
        outcomes = self._runner.run(
            ledger.spans(offsets), self._facts.task_timeout_seconds, self._common
        )
        with closing(outcomes):
            for outcome in outcomes:
                if outcome is not None:
                    self._record(ledger, outcome)
                self._watch(ledger)
                # Not while outcomes are at hand: they would be lost, and their tasks start again.
                if outcome is None and self._must_stop():
                    break
        ledger.stop()
        self._drop_checkpoint()
        if self._pace.in_doubt:
            self._look()

    def _record(self, ledger: TaskLedger, outcome: TaskOutcome) -> None:
        settled = ledger.record(outcome)
        if isinstance(outcome, FailedTask):
            self._meter.record([outcome.milliseconds], settled)
            self._pace.failure_unpublished = True
        else:
            self._meter.record(outcome.milliseconds, settled)

    def _must_stop(self) -> bool:
        """A task that runs is only cut short by the end of the environment or of the session."""
        return self._life.is_over() or (self._life.is_spent() and not self._runner.busy)

    def _watch(self, ledger: TaskLedger) -> None:
        """See now and then whether the claim still stands; raises ClaimLost if not.

        A failure is published on this occasion: a write finds out as well as a read does. Its
        object is written while the tasks run on, and the row on the first occasion after that.
        """
        now = self._bench.clock.monotonic()
        if now < self._pace.watch_at:
            return
        self._pace.watch_at = now + self._pace.watch_seconds
        with suppress(Unavailable):  # no permit: soon nothing starts until the table answers again
            if self._checkpoint_behind is None and self._pace.is_failure_due(now):
                self._checkpoint_behind = self._begin_checkpoint(ledger)
            if self._checkpoint_behind and self._checkpoint_behind.stored.done():
                checkpoint, self._checkpoint_behind = self._checkpoint_behind, None
                self._end_checkpoint(checkpoint)
            else:
                self._look()

    def _look(self) -> None:
        self._claim.look()
        self._pace.in_doubt = False
        self._permit()

    def _write(self, new: Chunk, inline: bytes | None = None) -> None:
        self._claim.write(new, inline)
        self._permit()

    def _permit(self) -> None:
        """Tasks may start for two watches from when the claim was seen to stand, if at all."""
        seen_at, watch_seconds = self._claim.seen_at, self._pace.watch_seconds
        self._pace.watch_at = seen_at + watch_seconds
        passed = self._bench.clock.monotonic() - seen_at
        seconds = min(permit_seconds(watch_seconds) - passed, self._life.start_seconds())
        self._runner.permit(max(0.0, seconds))

    def _checkpoint(self, ledger: TaskLedger) -> None:
        """Publish what there is now, before anything else happens."""
        self._end_checkpoint(self._begin_checkpoint(ledger))

    def _begin_checkpoint(self, ledger: TaskLedger) -> Checkpoint:
        self._pace.failure_unpublished = False
        return Checkpoint(
            started_at=self._bench.clock.monotonic(),
            settled=ledger.settled(None),
            stored=self._files.publish_behind(ledger.output()),
        )

    def _end_checkpoint(self, checkpoint: Checkpoint) -> None:
        failed_since = self._pace.failure_unpublished
        self._pace.in_doubt = self._pace.failure_unpublished = True
        settled = replace(checkpoint.settled, output=checkpoint.stored.result())
        self._write(records.checkpoint(self._claim.chunk, settled))
        self._pace.in_doubt, self._pace.failure_unpublished = False, failed_since
        self._pace.checkpointed(checkpoint.started_at, self._bench.clock.monotonic())

    def _drop_checkpoint(self) -> None:
        """What comes next publishes more than the checkpoint that is under way."""
        if self._checkpoint_behind:
            self._checkpoint_behind = None
            self._pace.failure_unpublished = True

    def _commit(self, ledger: TaskLedger) -> str:
        data = ledger.output()
        inline = data if not ledger.open() and self._files.may_inline(data) else None
        output = self._claim.chunk.output
        if inline is not None:
            output = self._files.describe(data)
        elif data:
            output = self._files.publish(data)
        committed = records.commit(self._claim.chunk, ledger.settled(output))
        if not committed.terminal and self._life.past_deadline():
            committed = records.release(committed, ChunkState.EXPIRED)
        if committed.terminal and self._claim.end(self._facts.session, committed, inline):
            return "ended"
        before = self._claim.chunk
        self._write(committed, inline)
        self._tell_commit(before)
        return "ended" if committed.terminal or self._settles_later() else "again"

    def _tell_commit(self, before: Chunk) -> None:
        logger.debug("chunk committed", **self._who())
        claim = self._claim
        self._bench.rows.committed(self._facts, before, claim.shard, claim.slot)

    def _settles_later(self) -> bool:
        """The rest of a chunk goes to another child: this one's five minutes are used up."""
        return self._facts.route == "map" and self._facts.children == "express"
