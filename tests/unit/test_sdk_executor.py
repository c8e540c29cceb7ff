"""GridExecutor: the words of concurrent.futures, on the real planes in memory."""

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ALL_COMPLETED, CancelledError, Future, as_completed, wait
from typing import Any

import pytest

from stepgrid import (
    GridExecutor,
    InvalidRequest,
    NotFound,
    RequestTooLarge,
    TaskFailed,
    Unavailable,
)
from stepgrid.awaited import THREADS
from stepgrid.executor import BATCH_BYTES
from tests.unit.sdk_fakes import Sent, World

#: Long enough never to pass in a test: batches are then sent by their size or by shutdown.
NEVER_SECONDS = 600.0
#: For what must happen soon; reaching it is a failure.
PATIENCE_SECONDS = 30.0


def sizes(world: World) -> list[int]:
    """Tasks of each session that was submitted."""
    return [len(sent.body["tasks"]) for sent in world.transport.asked("POST", "/sessions")]


def test_futures_get_their_results() -> None:
    """submit answers a Future that is settled by the grid."""
    with GridExecutor(World().grid, "square") as executor:
        futures = [executor.submit(n) for n in range(50)]
        assert [future.result(PATIENCE_SECONDS) for future in futures] == [n * n for n in range(50)]


def test_futures_get_their_own_errors() -> None:
    """A task that fails raises in its future alone."""
    with GridExecutor(World().grid, "square", max_attempts=1) as executor:
        good, bad = executor.submit(2), executor.submit("fail")
        assert good.result(PATIENCE_SECONDS) == 4
        with pytest.raises(TaskFailed, match="no square of that"):
            bad.result(PATIENCE_SECONDS)


def test_wait_and_as_completed() -> None:
    """The functions of concurrent.futures work with these futures."""
    with GridExecutor(World().grid, "square") as executor:
        futures = {executor.submit(n) for n in range(20)}
        done, waiting = wait(futures, PATIENCE_SECONDS, ALL_COMPLETED)
        assert (done, waiting) == (futures, set())
        more = [executor.submit(n) for n in range(20)]
        found = sorted(future.result() for future in as_completed(more, PATIENCE_SECONDS))
        assert found == [n * n for n in range(20)]


def test_what_comes_together_is_one_session() -> None:
    """A batch is sent when it is full; what is left is sent by shutdown."""
    world = World()
    executor = GridExecutor(world.grid, "square", batch_seconds=NEVER_SECONDS, batch_tasks=10)
    futures = [executor.submit(n) for n in range(25)]
    executor.shutdown()
    assert [future.result(0) for future in futures] == [n * n for n in range(25)]
    assert sizes(world) == [10, 10, 5]


def test_a_lonely_task_is_sent_in_a_moment() -> None:
    """Nobody has to shut down or fill a batch to get a result."""
    with GridExecutor(World().grid, "square", batch_seconds=0.001) as executor:
        assert executor.submit(7).result(PATIENCE_SECONDS) == 49
        assert executor.submit(8).result(PATIENCE_SECONDS) == 64


def test_map_is_in_order() -> None:
    """Results of map come in the order of its tasks."""
    with GridExecutor(World().grid, "square") as executor:
        assert list(executor.map(range(100), timeout=PATIENCE_SECONDS)) == [
            n * n for n in range(100)
        ]


def test_callables_are_refused() -> None:
    """The error says that a grid runs workers, and what to do."""
    with GridExecutor(World().grid, "square") as executor:
        calls: list[Callable[[], Any]] = [
            lambda: executor.submit(abs, 1),
            lambda: executor.submit(abs),
            lambda: executor.submit(1, 2),
            lambda: executor.submit(1, key=2),
            lambda: executor.map(abs, [1]),
            lambda: executor.map([1], [2]),
        ]
        for call in calls:
            with pytest.raises(TypeError, match="deploy the function as a worker"):
                call()


def test_bad_tasks_are_refused_at_once() -> None:
    """A task that is not JSON raises in submit, and harms no neighbour."""
    with GridExecutor(World().grid, "square") as executor:
        good = executor.submit(3)
        for bad in ({1, 2}, {"half a pair": "\ud800"}):
            with pytest.raises(InvalidRequest, match="not JSON"):
                executor.submit(bad)
        assert good.result(PATIENCE_SECONDS) == 9


def test_a_huge_task_is_refused_at_once() -> None:
    """One that no chunk can hold raises in submit: in a batch it would fail its neighbours."""
    with GridExecutor(World().grid, "square") as executor:
        good = executor.submit(3)
        with pytest.raises(RequestTooLarge):
            executor.submit("x" * BATCH_BYTES)
        assert good.result(PATIENCE_SECONDS) == 9


def test_a_task_is_what_it_was_when_submitted() -> None:
    """What the caller does with it afterwards changes nothing."""
    executor = GridExecutor(World().grid, "square", batch_seconds=NEVER_SECONDS)
    task = {"n": 1}
    future = executor.submit(task)
    task["n"] = 2
    executor.shutdown()
    assert future.result(0) == {"n": 1}


def test_bad_options_are_refused_at_once() -> None:
    """Before any task is submitted."""
    with pytest.raises(InvalidRequest, match="did you mean 'max_attempts'"):
        GridExecutor(World().grid, "square", max_attempt=1)


def test_what_was_not_sent_can_be_cancelled() -> None:
    """A cancelled future's task never reaches the grid."""
    world = World()
    executor = GridExecutor(world.grid, "square", batch_seconds=NEVER_SECONDS)
    one, two = executor.submit(1), executor.submit(2)
    assert one.cancel()
    executor.shutdown()
    assert two.result(0) == 4
    assert [sent.body["tasks"] for sent in world.transport.asked("POST", "/sessions")] == [[2]]
    with pytest.raises(CancelledError):
        one.result(0)


def test_what_was_sent_runs() -> None:
    """As in concurrent.futures, a future whose task runs can't be cancelled."""
    world = World(autorun=False)
    sent, finish = threading.Event(), threading.Event()

    def before(request: Sent) -> None:
        if request.path.endswith("/results"):
            sent.set()
            if finish.is_set():
                world.memory.run()

    world.transport.before = before
    with GridExecutor(world.grid, "square") as executor:
        future = executor.submit(5)
        assert sent.wait(PATIENCE_SECONDS)
        assert future.running()
        assert not future.cancel()
        finish.set()
        assert future.result(PATIENCE_SECONDS) == 25


def test_shutdown_cancels_what_was_not_sent() -> None:
    """With cancel_futures nothing is sent, and whoever waits is told."""
    world = World()
    executor = GridExecutor(world.grid, "square", batch_seconds=NEVER_SECONDS)
    futures = [executor.submit(n) for n in range(3)]
    executor.shutdown(cancel_futures=True)
    assert wait(futures, PATIENCE_SECONDS).not_done == set()
    assert all(future.cancelled() for future in futures)
    assert world.transport.sent == []


def test_no_tasks_after_shutdown() -> None:
    """As in concurrent.futures; shutting down twice is no error."""
    executor = GridExecutor(World().grid, "square")
    executor.shutdown()
    executor.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(1)


def test_shutdown_without_waiting() -> None:
    """Futures are settled all the same."""
    executor = GridExecutor(World().grid, "square", batch_seconds=NEVER_SECONDS)
    future = executor.submit(3)
    executor.shutdown(wait=False)
    assert future.result(PATIENCE_SECONDS) == 9


def test_more_sessions_than_threads() -> None:
    """Each is asked in its turn, whichever ends first."""
    world = World()
    with GridExecutor(world.grid, "square", batch_tasks=1) as executor:
        futures = [executor.submit(n) for n in range(5 * THREADS)]
        answers = [future.result(PATIENCE_SECONDS) for future in futures]
    assert answers == [n * n for n in range(5 * THREADS)]


def test_a_refused_session_fails_its_futures() -> None:
    """An unknown worker is found when the first batch is sent; no future is left hanging."""
    with (
        GridExecutor(World().grid, "cube") as executor,
        pytest.raises(NotFound, match="no worker 'cube'"),
    ):
        executor.submit(1).result(PATIENCE_SECONDS)


def test_an_unreachable_grid_fails_the_futures() -> None:
    """So it is when results can't be asked for any more."""
    world = World()

    def before(request: Sent) -> None:
        if request.path.endswith("/results"):
            raise Unavailable("the grid is gone")

    world.transport.before = before
    with GridExecutor(world.grid, "square") as executor:
        futures = [executor.submit(n) for n in range(3)]
        for future in futures:
            with pytest.raises(Unavailable):
                future.result(PATIENCE_SECONDS)


def test_callbacks_may_submit_more() -> None:
    """A callback runs in the executor's thread, which holds no lock then."""
    done: Future[int] = Future()
    with GridExecutor(World().grid, "square") as executor:

        def go_on(future: Future[Any]) -> None:
            executor.submit(future.result()).add_done_callback(
                lambda second: done.set_result(second.result())
            )

        executor.submit(3).add_done_callback(go_on)
        assert done.result(PATIENCE_SECONDS) == 81


def test_a_callback_that_exits_harms_nobody() -> None:
    """sys.exit in it ends no thread: the other futures are settled, and shutdown returns."""
    for task in (5, "fail"):
        executor = GridExecutor(World().grid, "square", batch_seconds=NEVER_SECONDS, max_attempts=1)
        first, second = executor.submit(task), executor.submit(6)
        first.add_done_callback(lambda _: sys.exit(1))
        shut_down = threading.Thread(target=executor.shutdown, daemon=True)
        shut_down.start()
        shut_down.join(PATIENCE_SECONDS)
        assert not shut_down.is_alive()
        assert first.done()
        assert second.result(0) == 36


def test_callbacks_that_exit_leave_no_future_hanging() -> None:
    """Nor do they where the session as a whole could not be sent."""
    executor = GridExecutor(World().grid, "cube", batch_seconds=NEVER_SECONDS)
    futures = [executor.submit(n) for n in range(3)]
    for future in futures:
        future.add_done_callback(lambda _: sys.exit(1))
    executor.shutdown(wait=False)
    assert wait(futures, PATIENCE_SECONDS).not_done == set()


def refuse_threads(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """As an operating system does that has no more of them."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == name:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)


def test_without_a_thread_to_wait_the_futures_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are told so, and the executor goes on when there are threads again."""
    with GridExecutor(World().grid, "square") as executor:
        with monkeypatch.context() as context:
            refuse_threads(context, "stepgrid-awaiting")
            with pytest.raises(RuntimeError, match="can't start new thread"):
                executor.submit(3).result(PATIENCE_SECONDS)
        assert executor.submit(4).result(PATIENCE_SECONDS) == 16


def test_without_a_thread_to_send_nothing_is_queued(monkeypatch: pytest.MonkeyPatch) -> None:
    """submit raises, and the next one begins anew."""
    with GridExecutor(World().grid, "square") as executor:
        with monkeypatch.context() as context:
            refuse_threads(context, "stepgrid-executor")
            with pytest.raises(RuntimeError, match="can't start new thread"):
                executor.submit(3)
        assert executor.submit(4).result(PATIENCE_SECONDS) == 16


def test_fewer_threads_do_the_work_of_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session whose thread was refused is asked by those that there are."""
    world = World(autorun=False)
    waiting = threading.Event()
    asked: set[str] = set()

    def before(request: Sent) -> None:
        if request.path.endswith("/results"):
            waiting.set()
            asked.add(request.path)
            if len(asked) == 2:
                world.memory.run()

    world.transport.before = before
    with GridExecutor(world.grid, "square", batch_tasks=1) as executor:
        first = executor.submit(3)
        assert waiting.wait(PATIENCE_SECONDS)
        refuse_threads(monkeypatch, "stepgrid-awaiting")
        second = executor.submit(4)
        assert [first.result(PATIENCE_SECONDS), second.result(PATIENCE_SECONDS)] == [9, 16]


def test_no_thread_is_left() -> None:
    """The thread ends when there is nothing to do, and comes back for the next task."""
    executor = GridExecutor(World().grid, "square")
    for n in (2, 3):
        assert executor.submit(n).result(PATIENCE_SECONDS) == n * n
        for thread in threading.enumerate():
            if thread.name in ("stepgrid-executor", "stepgrid-awaiting"):
                thread.join(PATIENCE_SECONDS)
                assert not thread.is_alive()
    executor.shutdown()


def test_futures_are_done_before_the_interpreter_ends() -> None:
    """As in concurrent.futures, a program that ends without `shutdown` still gets its results."""
    code = """
from stepgrid import GridExecutor
from stepgrid.testing import InMemoryGrid
import threading
main_ended = threading.main_thread().join
memory = InMemoryGrid({"late": lambda event, context: (main_ended(), event)[1]})
executor = GridExecutor(memory.client(), "late", batch_seconds=0)
executor.submit(7).add_done_callback(lambda future: print("result", future.result()))
"""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    assert done.stdout.splitlines()[-1:] == ["result 7"], done.stderr
