"""A worker reads ahead and writes behind while its tasks run; what fails there harms no task."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from stepgrid.testing import InMemoryGrid
from stepgrid_core.compute_plane.behind import THREAD_NAME
from stepgrid_core.contract import SubmitRequest
from stepgrid_core.description import describe
from stepgrid_core.errors import Unavailable
from stepgrid_core.invocation import Invocation, facts_of
from stepgrid_core.memory import MemoryPayloadStore
from stepgrid_core.outputs import list_tasks
from stepgrid_core.records import Session
from stepgrid_core.states import SessionState, TaskState
from stepgrid_core.submission import submit
from stepgrid_core.wiring import Grid
from tests.faults.agreement import agreed_counts

OWNER = "owner"


class Bench:
    """One session of ten tasks, each of a second; the first one fails once."""

    def __init__(self, padding: str = "") -> None:
        self.memory = InMemoryGrid({"work": self._work}, autorun=False)
        self.store = Store(self.memory.payloads)
        self.grid: Grid = replace(self.memory.wiring, payloads=self.store, threads=2)
        tasks = [{"number": number, "padding": padding} for number in range(10)]
        request = {
            "client_token": "token",
            "worker": "work",
            "tasks": tasks,
            "options": {"chunk_size": 10},
        }
        model = SubmitRequest.model_validate(request)
        self.session: Session = submit(self.memory.wiring, OWNER, model).session
        self.before: dict[int, Any] = {}  #: what happens in the first attempt of a task
        self.starts: list[int] = []

    def _work(self, task: dict[str, Any], context: Any) -> int:
        self.memory.clock.advance(1)
        number: int = task["number"]
        self.starts.append(number)
        if context.attempt == 1 and number in self.before:
            self.before[number]()
        if context.attempt == 1 and number == 0:
            raise ValueError
        return number

    def invoke(self) -> str:
        invocation = Invocation(facts_of(self.session), 0, "token")
        return self.memory.executions.invoke_on(self.grid, invocation)

    def retrying(self) -> int:
        return agreed_counts(self.memory, OWNER, self.session.session_id).retrying

    def finished(self) -> int:
        return agreed_counts(self.memory, OWNER, self.session.session_id).finished


class Store:
    """A payload store that is told when to take objects, and how its reads end."""

    def __init__(self, truth: MemoryPayloadStore) -> None:
        self._truth = truth
        self.may_put = threading.Semaphore(0)
        self.putting = threading.Event()
        self.put_error: Exception | None = None
        self.first_answer: threading.Event | None = None
        self.waits_for_first = False
        self.read_error: Exception | None = None
        self.reading = threading.Semaphore(0)

    def put(self, key: str, body: bytes) -> Any:
        first = not self.putting.is_set()
        self.putting.set()
        self.may_put.acquire()
        if first and self.first_answer:
            self.waits_for_first = True
            self.first_answer.wait(30)
            self.waits_for_first = False
        error, self.put_error = self.put_error, None
        if error:
            raise error
        return self._truth.put(key, body)

    def open_range(self, key: str, start: int, length: int, etag: str) -> Iterator[bytes]:
        blocks = self._truth.open_range(key, start, length, etag)
        return self._read(blocks)

    def _read(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        yield next(blocks)
        self.reading.acquire()
        if self.read_error:
            raise self.read_error
        yield from blocks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._truth, name)


def join_writer() -> None:
    for thread in threading.enumerate():
        if thread.name == THREAD_NAME:
            thread.join()


class TestWriteBehind:
    def test_tasks_run_while_a_failure_is_published(self) -> None:
        """The store may take its time; once it has the object, the row tells of the failure."""
        bench = Bench()
        seen: list[int] = []

        def let_it_through() -> None:
            assert bench.store.putting.wait(30)
            seen.append(bench.retrying())
            bench.store.may_put.release(99)
            join_writer()

        bench.before = {5: let_it_through, 7: lambda: seen.append(bench.retrying())}
        assert bench.invoke() == "ended"
        assert seen == [0, 1]
        assert bench.starts == [*range(10), 0]
        assert bench.finished() == 10

    def test_the_run_ends_before_the_store_answers(self) -> None:
        """Nobody waits for the object under way, which counts for nothing: the next holds more."""
        bench = Bench()
        bench.store.first_answer = threading.Event()
        bench.store.may_put.release(99)
        assert bench.invoke() == "ended"
        assert bench.store.waits_for_first
        bench.store.first_answer.set()
        join_writer()
        assert bench.starts == [*range(10), 0]
        assert bench.finished() == 10

    def test_the_store_is_out(self) -> None:
        """The worker goes on, and publishes the failure on a later occasion."""
        bench = Bench()
        bench.store.put_error = Unavailable("no answer")
        bench.store.may_put.release(99)
        seen: list[int] = []
        bench.before = {
            3: join_writer,
            6: join_writer,
            9: lambda: seen.append(bench.retrying()),
        }
        assert bench.invoke() == "ended"
        assert seen == [1]
        assert bench.finished() == 10


class TestReadAhead:
    #: Long enough for two blocks of the memory store.
    PADDING = "x" * 10_000

    def test_tasks_run_before_the_last_lines_are_there(self) -> None:
        """The first ones let the rest through."""
        bench = Bench(self.PADDING)
        bench.store.may_put.release(99)
        bench.before = {1: bench.store.reading.release}
        assert bench.invoke() == "ended"
        assert bench.finished() == 10

    def test_the_connection_is_lost_for_good(self) -> None:
        """The environment fails, and another attempt runs the chunk from its start."""
        bench = Bench(self.PADDING)
        bench.store.may_put.release(99)
        bench.store.read_error = Unavailable("no answer")
        bench.store.reading.release()
        with pytest.raises(Unavailable):
            bench.invoke()
        bench.store.read_error = None
        bench.store.reading.release(99)
        bench.memory.run()
        bench.memory.clock.advance(1_000)
        bench.memory.sweep()
        bench.memory.run()
        assert bench.finished() == 10

    def test_an_input_that_proves_too_long(self) -> None:
        """Its tasks fail as unreadable, all of them, however many have run."""
        bench = Bench(self.PADDING)
        bench.store.may_put.release(99)
        bench.store.reading.release(99)
        bench.grid = replace(bench.grid, payloads=Longer(bench.store))
        assert bench.invoke() == "ended"
        bench.memory.run()
        told = describe(bench.memory.wiring, OWNER, bench.session.session_id)
        assert told.state is SessionState.FAILED
        assert told.counts.failed == 10
        failed = list_tasks(
            bench.memory.wiring, OWNER, bench.session.session_id, TaskState.FAILED, None
        ).tasks
        assert {(task.error or {})["type"] for task in failed} == {"InputError"}


class Longer:
    """A store that gives a line more than there are tasks."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def open_range(self, key: str, start: int, length: int, etag: str) -> Iterator[bytes]:
        yield from self._store.open_range(key, start, length, etag)
        yield b"{}\n"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)
