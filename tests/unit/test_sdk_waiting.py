"""Waiting for sessions, and reading them while they run, on the real planes in memory."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from stepgrid import (
    DeadlineExceeded,
    Grid,
    Session,
    SessionState,
    TaskError,
    TaskFailed,
    TaskState,
    Unavailable,
)
from stepgrid.retry import LEAST_CALL_SECONDS
from stepgrid_core.contract import SessionDescription
from stepgrid_core.memory import VirtualClock
from tests.unit.sdk_fakes import World, run_at_each_look, running_session

UNKNOWN = "00000000-0000-5000-8000-000000000000"


# --- waiting


def test_wait_answers_how_it_ended() -> None:
    """The description has the terminal state and counts that add up."""
    description = World().grid.submit("square", [1, "fail", 3], max_attempts=1).wait()
    assert description.state is SessionState.FINISHED
    assert (description.counts.finished, description.counts.failed) == (2, 1)


def test_wait_gives_up_in_time() -> None:
    """After its timeout wait raises DeadlineExceeded; the session is still open."""
    world, session, _ = running_session(3)
    with pytest.raises(DeadlineExceeded, match=r"did not end within 45 s; it goes on"):
        session.wait(timeout=45)
    waits = [sent.query["wait"] for sent in world.transport.sent if "wait" in sent.query]
    assert sum(waits) == pytest.approx(45)
    assert max(waits) == 20
    assert session.status().state is SessionState.PENDING


@pytest.mark.parametrize("read", [Session.wait, Session.stream, Session.as_completed])
@pytest.mark.parametrize("timeout", [0.5, 6, 19, 45])
def test_no_request_is_given_up_while_its_answer_is_held(timeout: float, read: Any) -> None:
    """The grid may hold it for all that is left: then the error is that of the deadline."""
    world, session, _ = running_session(3)
    with pytest.raises(DeadlineExceeded, match="did not end"):
        list(read(session, timeout=timeout))
    held = [sent for sent in world.transport.sent if "wait" in sent.query]
    assert held
    for sent in held:
        assert sent.timeout_seconds is not None
        assert sent.timeout_seconds > sent.query["wait"] + LEAST_CALL_SECONDS - 0.1


def test_the_transport_is_told_what_is_held() -> None:
    """So that a Grid with a short timeout of its own can wait for a session."""
    world, session, run_chunk = running_session(2, chunk_size=1)
    run_at_each_look(world, (run_chunk(chunk) for chunk in range(2)))
    session.wait()
    held = [
        (sent.held_seconds, sent.query["wait"]) for sent in world.transport.asked("GET", session.id)
    ]
    assert held
    assert all(told == wait for told, wait in held)


def test_wait_without_time_finds_what_has_ended() -> None:
    """A timeout of zero is a question, not an error, where the session is over."""
    session = World().grid.submit("square", [1])
    assert session.wait(timeout=0).state is SessionState.FINISHED
    assert session.results(timeout=0) == [1]


def test_progress_may_be_a_function() -> None:
    """It gets a description about once a second, the last one when the session has ended."""
    world, session, run_chunk = running_session(4, chunk_size=2)
    seen: list[SessionDescription] = []
    run_at_each_look(world, (run_chunk(chunk) for chunk in range(2)))
    session.wait(progress=seen.append)
    assert [item.counts.finished for item in seen] == [2, 4]
    assert {sent.query["wait"] for sent in world.transport.sent if "wait" in sent.query} == {1.0}


def test_progress_bar_shows_the_counts(capsys: pytest.CaptureFixture[str]) -> None:
    """The bar counts ended tasks on stderr, and says how many failed."""
    session = World().grid.submit("square", [1, "fail", 3], max_attempts=1)
    session.wait(progress=True)
    captured = capsys.readouterr()
    assert "finished: 100%" in captured.err
    assert "3/3" in captured.err
    assert "failed=1" in captured.err
    assert captured.out == ""


def test_no_bar_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither False nor, where stderr is no terminal, None shows anything."""
    session = World().grid.submit("square", [1])
    session.wait()
    session.wait(progress=False)
    assert capsys.readouterr().err == ""


# --- while it runs


def test_streaming_follows_the_order() -> None:
    """A result comes as soon as all before it are there, while later chunks still run."""
    world, session, run_chunk = running_session(6, chunk_size=2)
    run_chunk(1)
    run_chunk(0)
    results = iter(session)
    assert [next(results) for _ in range(4)] == [0, 1, 4, 9]
    assert session.status().state is SessionState.RUNNING
    run_at_each_look(world, (run_chunk(chunk) for chunk in (2,)))
    assert list(results) == [16, 25]


def held_requests(world: World) -> int:
    return sum("wait" in sent.query for sent in world.transport.sent)


def test_a_chunk_that_is_known_is_not_waited_for() -> None:
    """Another reader learned of it, so it is no news: the grid would hold its answer in vain."""
    world, session, run_chunk = running_session(6, chunk_size=2)
    run_chunk(0)
    results = session.stream()
    assert next(results) == 0
    run_chunk(1)
    assert session.task(2).result() == 4
    held = held_requests(world)
    assert [next(results) for _ in range(3)] == [1, 4, 9]
    assert held_requests(world) == held


def test_a_chunk_that_became_known_in_a_pause_is_not_waited_for() -> None:
    """So it is while a reader gathers news before the next request."""
    world, session, run_chunk = running_session(14, chunk_size=2)
    steps: list[Callable[[], Any]] = [lambda: run_chunk(1), lambda: shared.task(2)]

    class Pausing(VirtualClock):
        def sleep(self, seconds: float) -> None:
            while steps:
                steps.pop(0)()

    clock = Pausing()
    grid = Grid(transport=world.transport, objects=world.objects, clock=clock)
    shared = grid.session(session.id)
    run_at_each_look(world, (run_chunk(0) or clock.advance(10) for _ in range(1)))
    results = shared.stream()
    assert [next(results) for _ in range(4)] == [0, 1, 4, 9]
    assert held_requests(world) == 1


def test_streaming_gives_up_in_time() -> None:
    """The timeout is for all of it; what was there before has been handed out."""
    _, session, run_chunk = running_session(4, chunk_size=2)
    run_chunk(0)
    results = session.stream(timeout=60)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(DeadlineExceeded, match=session.id):
        next(results)


def test_as_completed_takes_what_is_there() -> None:
    """Tasks come as their chunks become final, whatever their order; each once."""
    world, session, run_chunk = running_session(6, chunk_size=2)
    run_chunk(2)
    tasks = session.as_completed()
    assert [next(tasks).index, next(tasks).index] == [4, 5]
    run_at_each_look(world, (run_chunk(chunk) for chunk in (1, 0)))
    assert [(task.index, task.result()) for task in tasks] == [(2, 4), (3, 9), (0, 0), (1, 1)]


def test_as_completed_over_many_pages() -> None:
    """Chunks of all pages are found, those of the last one first."""
    world, session, run_chunk = running_session(600, chunk_size=1)
    for chunk in (599, 300):
        run_chunk(chunk)
    tasks = session.as_completed()
    assert {next(tasks).index, next(tasks).index} == {300, 599}
    run_at_each_look(world, iter([world.memory.run()]))
    assert {task.index for task in tasks} == set(range(600)) - {300, 599}


def test_as_completed_raises_nothing_for_failed_tasks() -> None:
    """The task itself tells: state, attempts, error, and result() raises."""
    session = World().grid.submit("square", [1, "fail"], max_attempts=2)
    good, bad = sorted(session.as_completed(), key=lambda task: task.index)
    assert (good.state, good.attempts, good.error) == (TaskState.FINISHED, 1, None)
    assert (bad.id, bad.state, bad.attempts) == (f"{session.id}_1", TaskState.FAILED, 2)
    assert isinstance(bad.error, TaskFailed)
    assert bad.milliseconds is not None
    with pytest.raises(TaskError):
        bad.result()


def test_as_completed_gives_up_in_time() -> None:
    """DeadlineExceeded is a TimeoutError, as in concurrent.futures."""
    _, session, _ = running_session(4, chunk_size=2)
    with pytest.raises(TimeoutError):
        list(session.as_completed(timeout=10))


def slow_downloads(seconds: float) -> tuple[World, Session]:
    """A session that has ended, of 40 chunks each of whose outputs takes so long to arrive."""
    world = World()
    session = world.grid.submit("square", [{"text": "x" * 5_000}] * 40, chunk_size=1)
    get, lock = world.objects.get, threading.Lock()

    class Slow:
        def get(self, url: str, byte_range: Any = None) -> bytes:
            with lock:
                world.memory.clock.sleep(seconds)
            return get(url, byte_range)

    grid = Grid(transport=world.transport, objects=Slow(), clock=world.memory.clock)  # type: ignore[arg-type]
    return world, grid.session(session.id)


@pytest.mark.parametrize("read", [Session.stream, Session.as_completed])
def test_downloads_count_as_well(read: Any) -> None:
    """Where the time runs out while outputs arrive, that is said, and no more of them are read."""
    world, session = slow_downloads(10)
    assert len(list(read(session, timeout=401))) == 40
    begun = len(world.objects.gets)
    with pytest.raises(DeadlineExceeded, match="did not arrive in the time given; ask again"):
        list(read(session, timeout=5))
    assert len(world.objects.gets) < begun + 40


@pytest.mark.parametrize("read", [Session.stream, Session.as_completed])
def test_who_takes_the_time_himself_gets_what_there_is(read: Any) -> None:
    """A reader that works on each result for longer than the timeout loses none."""
    world, session = slow_downloads(0)
    results = read(session, timeout=5)
    for _ in range(40):
        next(results)
        world.memory.clock.advance(10)
    assert next(results, None) is None


def test_a_closed_session_that_lacks_results_is_an_error() -> None:
    """Were the grid to close a session whose chunks are not final, nobody waits for ever."""
    world, session, _ = running_session(4, chunk_size=2)

    class Lying:
        def request(self, method: str, path: str, *rest: Any, **more: Any) -> dict[str, Any]:
            answer = world.transport.request(method, path, *rest, **more)
            return {**answer, "state": "finished"}

    grid = Grid(transport=Lying(), objects=world.objects, clock=world.memory.clock)
    for read in (Session.stream, Session.as_completed):
        with pytest.raises(Unavailable, match="not all there"):
            list(read(grid.session(session.id)))
