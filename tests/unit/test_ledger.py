"""The ledger of a claimed chunk: what is settled, how often each task was started, what is next."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from stepgrid_core.data_plane import TaskFault, read_outcomes
from stepgrid_core.ledger import MAX_OUTPUT_BYTES, TaskLedger
from stepgrid_core.output_lines import finished_line
from stepgrid_core.ports import FailedTask, FinishedTasks
from stepgrid_core.records import Chunk, Settled, checkpoint, claim, commit, lose, mark
from stepgrid_core.states import ChunkState
from stepgrid_core.task_lines import ArrivingLines

FIRST = 100
FAULT = TaskFault("ValueError", "as asked", "traceback")
FINAL_FAULT = TaskFault("ResultTooLarge", "too large", retryable=False)


def make_ledger(tasks: int = 3, max_attempts: int = 3) -> TaskLedger:
    lines = ArrivingLines(FIRST, tasks, iter([b"%d\n" % n for n in range(tasks)]))
    return TaskLedger(FIRST, tasks, lines, "session", max_attempts)


def resumed(
    before: TaskLedger | None, tasks: int = 3, max_attempts: int = 3, **row: int
) -> TaskLedger:
    """The next attempt's ledger: it sees what the one before published, and the row."""
    ledger = make_ledger(tasks, max_attempts)
    chunk = Chunk(tasks, ChunkState.RUNNING, attempt=2, **row)  # type: ignore[arg-type]
    ledger.resume(before.output() if before else b"", chunk)
    return ledger


def finish(ledger: TaskLedger, *offsets: int) -> list[bool]:
    return [ledger.record(finished(o)) for o in offsets]


def finished(*offsets: int, attempt: int = 1) -> FinishedTasks:
    """Neighbours that ended one after the other."""
    lines = [finished_line(FIRST + offset, attempt, 10.0, b'"done"') for offset in offsets]
    return FinishedTasks(FIRST + offsets[0], [10.0] * len(offsets), b"".join(lines))


def fail(ledger: TaskLedger, *offsets: int, fault: TaskFault = FAULT) -> list[bool]:
    return [ledger.record(FailedTask(FIRST + o, 5.0, fault)) for o in offsets]


def attempts(ledger: TaskLedger) -> list[int]:
    """Number of the start that comes next, for each open task."""
    return [span.attempt for span in ledger.spans(ledger.open()) for _ in range(span.count)]


def outcomes(ledger: TaskLedger) -> list[tuple[int, str, int]]:
    return [(o["i"] - FIRST, o["state"], o["attempts"]) for o in read_outcomes(ledger.output())]


# --- one attempt ----------------------------------------------------------------------------------


def test_a_new_ledger_has_everything_to_do() -> None:
    """All tasks are open, none was started, and there is nothing to publish."""
    ledger = make_ledger()
    assert ledger.open() == [0, 1, 2]
    assert attempts(ledger) == [1, 1, 1]
    assert ledger.output() == b""
    assert ledger.settled(None) == Settled(0, 0, 0, None)
    assert not ledger.retries_due


def test_a_span_names_its_tasks() -> None:
    """Session, first index, and the tasks' own lines."""
    (span,) = make_ledger().spans([1, 2])
    assert (span.session_id, span.first, span.count) == ("session", 101, 2)
    assert b"".join(span.read_lines()) == b"1\n2\n"


def test_neighbours_that_start_for_the_same_time_are_one_span() -> None:
    """A gap, or another number of starts, begins the next one."""
    ledger = make_ledger(7)
    finish(ledger, 2)
    fail(ledger, 4, 5)
    spans = [(span.first - FIRST, span.count, span.attempt) for span in ledger.spans(ledger.open())]
    assert spans == [(0, 2, 1), (3, 1, 1), (4, 2, 2), (6, 1, 1)]
    assert ledger.spans([]) == []


def test_a_result_settles_its_task() -> None:
    """It is not started again, and its outcome is in the output."""
    ledger = make_ledger()
    assert finish(ledger, 1) == [True]
    assert ledger.open() == [0, 2]
    assert outcomes(ledger) == [(1, "finished", 1)]
    assert ledger.settled(None) == Settled(1, 0, 10, None)


def test_neighbours_are_settled_together() -> None:
    """As if one by one."""
    ledger, other = make_ledger(5), make_ledger(5)
    fail(ledger, 2)
    fail(other, 2)
    assert ledger.record(finished(1, 2, 3))
    finish(other, 1, 2, 3)
    assert ledger.open() == [0, 4]
    assert ledger.output() == other.output()
    assert ledger.settled(None) == other.settled(None) == Settled(3, 0, 30, None)


def test_what_does_not_fit_into_the_output_has_failed() -> None:
    """For good, and only that task: those before and after it keep their results."""
    ledger = make_ledger(3)
    huge = finished_line(FIRST + 1, 1, 10.0, b'"%b"' % (b"x" * MAX_OUTPUT_BYTES))
    small = [finished_line(FIRST + offset, 1, 10.0, b"1") for offset in (0, 2)]
    lines = small[0] + huge + small[1]
    assert ledger.record(FinishedTasks(FIRST, [10.0] * 3, lines))
    assert outcomes(ledger) == [(0, "finished", 1), (1, "failed", 1), (2, "finished", 1)]
    assert ledger.settled(None) == Settled(2, 1, 30, None)


def test_a_failed_task_stays_open() -> None:
    """It waits for its next start, and the output says so."""
    ledger = make_ledger()
    assert fail(ledger, 1) == [False]
    assert ledger.open() == [0, 1, 2]
    assert attempts(ledger) == [1, 2, 1]
    assert outcomes(ledger) == [(1, "retrying", 1)]
    assert ledger.settled(None) == Settled(0, 0, 0, None, retrying=1)
    assert ledger.retries_due


def test_the_last_attempt_settles_a_failure() -> None:
    """After max_attempts starts the task has failed, with the last error."""
    ledger = make_ledger(1, max_attempts=2)
    assert [*fail(ledger, 0), *fail(ledger, 0)] == [False, True]
    assert ledger.open() == []
    (outcome,) = read_outcomes(ledger.output())
    assert (outcome["state"], outcome["attempts"]) == ("failed", 2)
    assert outcome["error"] == {
        "type": "ValueError",
        "message": "as asked",
        "traceback": "traceback",
    }
    assert ledger.settled(None) == Settled(0, 1, 5, None)


def test_a_fault_that_can_not_go_away_is_not_retried() -> None:
    """The first such failure settles the task."""
    ledger = make_ledger(1)
    assert fail(ledger, 0, fault=FINAL_FAULT) == [True]
    assert outcomes(ledger) == [(0, "failed", 1)]


def test_a_retry_may_succeed() -> None:
    """Nothing of the failure is left but the number of attempts."""
    ledger = make_ledger(1)
    fail(ledger, 0)
    ledger.record(finished(0, attempt=2))
    assert outcomes(ledger) == [(0, "finished", 2)]
    assert ledger.settled(None) == Settled(1, 0, 10, None)
    assert not ledger.retries_due


def test_outcomes_are_in_order_of_the_tasks() -> None:
    """Whatever order they ended in."""
    ledger = make_ledger()
    finish(ledger, 2)
    fail(ledger, 1)
    finish(ledger, 0)
    assert [offset for offset, _, _ in outcomes(ledger)] == [0, 1, 2]


def test_retries_are_published_with_the_start_that_comes_next() -> None:
    """Written before that start: if the environment dies in it, it has been counted."""
    ledger = make_ledger()
    finish(ledger, 0)
    fail(ledger, 1)
    ledger.begin([1, 2])
    published = [(o["i"] - FIRST, o["attempts"]) for o in read_outcomes(ledger.output())]
    assert published == [(0, 1), (1, 2)]
    assert attempts(ledger) == [2, 1]


# --- resume ---------------------------------------------------------------------------------------


def test_settled_tasks_stay_settled() -> None:
    """What an earlier attempt published is taken over, byte for byte, and not run again."""
    before = make_ledger()
    finish(before, 0)
    fail(before, 2, fault=FINAL_FAULT)
    ledger = resumed(before)
    assert ledger.open() == [1]
    assert ledger.output() == before.output()
    assert ledger.settled(None) == before.settled(None)


def test_failures_are_remembered() -> None:
    """A task that failed before goes on with its next attempt, and keeps its error until then."""
    before = make_ledger()
    fail(before, 1)
    ledger = resumed(before)
    assert attempts(ledger) == [1, 2, 1]
    assert ledger.output() == before.output()
    assert ledger.retries_due


#: What the next attempt takes for granted after an environment died: the start that comes next.
AFTER_A_LOSS = [
    pytest.param(3, {"losses": 0}, [1, 1, 1], id="handed back: nothing was lost"),
    pytest.param(3, {"losses": 1}, [2, 2, 2], id="lost: any task may have been started once"),
    pytest.param(3, {"losses": 2}, [2, 2, 2], id="lost again before a mark: nothing was started"),
    pytest.param(
        3, {"losses": 2, "suspect": 1, "suspect_starts": 2}, [2, 3, 2], id="the marked one twice"
    ),
    pytest.param(
        4, {"losses": 3, "suspect": 1, "suspect_starts": 3}, [2, 4, 2], id="or as often as marked"
    ),
    pytest.param(1, {"losses": 1}, [1, 1, 1], id="single attempts are always marked first"),
]


@pytest.mark.parametrize(("max_attempts", "row", "expected"), AFTER_A_LOSS)
def test_starts_that_nobody_saw_are_counted(
    max_attempts: int, row: dict[str, int], expected: list[int]
) -> None:
    """After a loss, what may have been started counts as started."""
    assert attempts(resumed(None, max_attempts=max_attempts, **row)) == expected


@pytest.mark.parametrize(
    ("max_attempts", "row"),
    [
        pytest.param(1, {"losses": 1, "suspect": 1, "suspect_starts": 1}, id="the only attempt"),
        pytest.param(2, {"losses": 2, "suspect": 1, "suspect_starts": 2}, id="two attempts"),
        pytest.param(3, {"losses": 3, "suspect": 1, "suspect_starts": 3}, id="three attempts"),
        pytest.param(3, {"losses": 9, "suspect": 1, "suspect_starts": 9}, id="more than allowed"),
    ],
)
def test_the_task_that_kills_its_environment_is_buried(
    max_attempts: int, row: dict[str, int]
) -> None:
    """Started max_attempts times, it fails with WorkerLost; its neighbours stay open."""
    ledger = resumed(None, max_attempts=max_attempts, **row)
    ledger.bury_exhausted()
    assert ledger.open() == [0, 2]
    (outcome,) = read_outcomes(ledger.output())
    assert (outcome["i"], outcome["state"]) == (FIRST + 1, "failed")
    assert outcome["error"]["type"] == "WorkerLost"
    assert ledger.settled(None).failed == 1


def test_a_task_that_failed_at_every_attempt_keeps_its_own_error() -> None:
    """The environment died before the last failure was published: it is still the task's own."""
    before = make_ledger(1)
    fail(before, 0, 0)
    after = make_ledger(1)
    before.begin([0])
    after.resume(before.output(), Chunk(1, losses=1))
    after.bury_exhausted()
    (outcome,) = read_outcomes(after.output())
    assert (outcome["attempts"], outcome["error"]["type"]) == (3, "ValueError")


def test_nothing_is_buried_without_need() -> None:
    """A task with a start left is not failed for its neighbour's sake."""
    ledger = resumed(None, losses=1)
    ledger.bury_exhausted()
    assert ledger.open() == [0, 1, 2]
    assert ledger.output() == b""


def test_a_mark_on_a_settled_task_means_nothing() -> None:
    """It was published after its start, so it did not kill anything."""
    before = make_ledger()
    finish(before, 1)
    ledger = resumed(before, losses=5, suspect=1, suspect_starts=3)
    ledger.bury_exhausted()
    assert ledger.open() == [0, 2]
    assert outcomes(ledger) == [(1, "finished", 1)]


# --- environments that die ------------------------------------------------------------------------


class EnvironmentDied(Exception):
    pass


class Life:
    """One chunk's way through environments that die, in the steps that a worker takes.

    First all open tasks run, failures again after the others. After a loss one runs at a time,
    marked before its start, and each failure is published.
    """

    def __init__(self, behaviours: list[str], max_attempts: int) -> None:
        self.behaviours = behaviours
        self.max_attempts = max_attempts
        self.chunk = Chunk(len(behaviours))
        self.published = b""
        self.starts = [0] * len(behaviours)

    def live(self) -> None:
        """Until the chunk has ended."""
        while not self.chunk.terminal:
            claimed = claim(self.chunk, "token", "", 0.0, 1.0)
            assert claimed is not None
            self.chunk = claimed
            try:
                self.attempt()
            except EnvironmentDied:
                lost = lose(self.chunk, "token")
                assert lost is not None
                self.chunk = lost

    def attempt(self) -> None:
        ledger = make_ledger(len(self.behaviours), self.max_attempts)
        ledger.resume(self.published, self.chunk)
        if ledger.bury_exhausted():
            self.publish(ledger)
        careful = self.chunk.losses > 0 or self.max_attempts == 1
        while offsets := ledger.open():
            if careful:
                self.run_carefully(ledger, offsets)
            else:
                self.run_all(ledger, offsets)
        self.published = ledger.output()
        self.chunk = commit(self.chunk, ledger.settled(None))

    def run_all(self, ledger: TaskLedger, offsets: list[int]) -> None:
        ledger.begin(offsets)
        if ledger.retries_due:
            self.publish(ledger)
        for offset in offsets:
            self.start(ledger, offset)
            self.publish(ledger)  # a look at any moment may do so
        ledger.stop()

    def run_carefully(self, ledger: TaskLedger, offsets: list[int]) -> None:
        suspect = self.chunk.suspect
        offset = suspect if suspect in offsets else offsets[0]
        ledger.begin([offset])
        self.chunk = mark(self.chunk, offset, ledger.spans([offset])[0].attempt)
        if not self.start(ledger, offset):
            self.publish(ledger)

    def start(self, ledger: TaskLedger, offset: int) -> bool:
        """True if the task has a result."""
        self.starts[offset] += 1
        assert ledger.spans([offset])[0].attempt <= self.max_attempts
        if self.behaviours[offset] == "die":
            raise EnvironmentDied
        finished = self.behaviours[offset] == "finish"
        (finish if finished else fail)(ledger, offset)
        return finished

    def publish(self, ledger: TaskLedger) -> None:
        self.published = ledger.output()
        self.chunk = checkpoint(self.chunk, ledger.settled(None))


@given(
    st.lists(st.sampled_from(["finish", "fail", "die"]), min_size=1, max_size=6),
    st.integers(1, 4),
)
def test_no_task_is_started_too_often(behaviours: list[str], max_attempts: int) -> None:
    """Whatever dies: a task without a result was started max_attempts times, and no more.

    A task that had finished may run again if its environment died before it was published.
    """
    life = Life(behaviours, max_attempts)
    life.live()
    assert life.chunk.state is ChunkState.ENDED
    states = [outcome["state"] for outcome in read_outcomes(life.published)]
    expected = ["finished" if b == "finish" else "failed" for b in behaviours]
    assert states == expected
    for behaviour, starts in zip(behaviours, life.starts, strict=True):
        assert starts <= max_attempts or behaviour == "finish"
