"""What sessions teach about how long a task of their worker takes."""

import pytest

from stepgrid_core.planning import Workload
from stepgrid_core.records import Chunk, Shard, work
from stepgrid_core.states import ChunkState
from stepgrid_core.task_time import Measurement, TaskTime, learn, slow_seconds


@pytest.mark.parametrize(
    ("chunks", "seconds"),
    [
        pytest.param([(1.0, 10)], 0.1, id="one chunk"),
        pytest.param([(0.5, 50), (5.0, 50)], 0.1, id="a slow half"),
        pytest.param([(0.95, 95), (50.0, 5)], 0.01, id="a few slow"),
        pytest.param([(0.89, 89), (1.1, 11)], 0.1, id="more than a tenth"),
        pytest.param([(0.0, 100)], 0.0, id="no time at all"),
        pytest.param([(0.05, 5), (0.0, 0)], 0.01, id="a chunk without an outcome"),
        pytest.param([(0.0, 0)], 0.0, id="nothing else"),
    ],
)
def test_slow_tasks_are_in_slow_chunks(chunks: list[tuple[float, int]], seconds: float) -> None:
    """Nine of ten tasks are in chunks that were as fast or faster."""
    assert slow_seconds(chunks) == pytest.approx(seconds)


def of_chunks(*chunks: Chunk) -> Measurement | None:
    return work([Shard("session", 0, chunks)]).measurement


def ended(tasks: int, milliseconds: int, failed: int = 0) -> Chunk:
    finished = tasks - failed
    return Chunk(tasks, ChunkState.ENDED, 1, "", 0, finished, failed, milliseconds=milliseconds)


def test_a_session_measures_its_tasks() -> None:
    """The mean of all of them, and what slow ones take."""
    measured = of_chunks(ended(50, 500), ended(50, 5_000))
    assert measured == Measurement(TaskTime(0.055, 0.1), 100)


def test_failures_are_no_measure() -> None:
    """A task that failed took no time that another will: its chunk tells nothing, others do."""
    assert of_chunks(ended(10, 100), ended(5, 0, failed=1)) == of_chunks(ended(10, 100))
    assert of_chunks(ended(5, 0, failed=1)) is None


def taught(*sessions: tuple[float, int]) -> TaskTime:
    """After sessions of so many seconds for each of so many tasks."""
    time: TaskTime | None = None
    for seconds, tasks in sessions:
        time = learn(time, Measurement(TaskTime(seconds, seconds), tasks)) or time
    assert time is not None
    return time


def test_the_first_session_is_believed() -> None:
    """There is nothing else."""
    assert taught((0.5, 1)) == TaskTime(0.5, 0.5)


def test_later_ones_move_the_mean() -> None:
    """By a part of the ratio: small ones by four tenths, large ones by more."""
    assert taught((1.0, 1), (16.0, 1)).mean == pytest.approx(16**0.4, 0.01)
    assert taught((1.0, 1), (16.0, 100)).mean == pytest.approx(4.0, 0.01)
    assert taught((1.0, 1), (16.0, 9_900)).mean == pytest.approx(16**0.99, 0.01)


def test_slow_tasks_are_seen_at_once_and_forgotten_slowly() -> None:
    """Who met one session of long tasks does not put the next ones in a row."""
    assert taught((0.001, 1), (10.0, 1)).slow == 10.0
    assert taught((0.1, 1), (10.0, 1), (0.1, 1)).slow == pytest.approx(10 * 0.01**0.4, 0.02)
    assert taught((10.0, 1), *[(0.001, 100_000)] * 3).slow > 0.01
    assert taught((10.0, 1), *[(0.001, 1)] * 15).slow < 0.002


@pytest.mark.parametrize(
    "sessions",
    [
        pytest.param([*[(0.001, 10_000)] * 3, (60.0, 1)], id="one minute among milliseconds"),
        pytest.param([(60.0, 100), (0.001, 10_000), (0.001, 10_000)], id="then milliseconds again"),
    ],
)
def test_two_kinds_of_tasks_are_not_known_well(sessions: list[tuple[float, int]]) -> None:
    """Neither puts those of the other in a row, nor each into a chunk of its own."""
    work = Workload(tasks=1, size=1, task_time=taught(*sessions), task_timeout_seconds=300.0)
    assert work.sure_seconds is None


def test_a_worker_that_changed_for_good_is_soon_known_well() -> None:
    """To shorter or longer tasks."""
    for before, after, sessions in ((0.001, 1.0, 6), (1.0, 0.01, 9)):
        time = taught((before, 100), *[(after, 1)] * sessions)
        work = Workload(tasks=1, size=1, task_time=time, task_timeout_seconds=300.0)
        assert work.sure_seconds == pytest.approx(after, rel=0.8)


def test_the_times_settle() -> None:
    """A worker that changed for good is known after some sessions, about: see TOLERANCE."""
    assert taught((10.0, 1), *[(1.0, 1)] * 30) == TaskTime(
        pytest.approx(1.0, 0.5), pytest.approx(1.0, 0.5)
    )


def test_what_is_known_is_not_written_again() -> None:
    """A session as those before costs no write, and one that failed tells nothing."""
    known = TaskTime(1.0, 1.0)
    assert learn(known, Measurement(TaskTime(1.05, 1.05), 10)) is None
    assert learn(known, None) is None
    assert learn(TaskTime(0.0, 0.0), Measurement(TaskTime(0.0, 0.0), 10)) is None
    assert learn(known, Measurement(TaskTime(1.0, 1.2), 10)) is not None
