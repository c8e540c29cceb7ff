"""Who sees which lines of the workers' log."""

import json
from dataclasses import replace
from typing import Any

import pytest

from stepgrid import Session
from stepgrid.testing import InMemoryGrid
from stepgrid_core.contract import LogsQuery
from stepgrid_core.errors import InvalidRequest, NotFound
from stepgrid_core.logs import SEARCH_SECONDS, read_logs
from stepgrid_core.ports import LogEvent, LogSearch, Page
from tests.unit.sdk_fakes import World

OWNER = "arn:aws:iam::000000000000:user/tester"
OTHER = "arn:aws:iam::000000000000:user/other"


@pytest.fixture
def memory() -> InMemoryGrid:
    return InMemoryGrid({"echo": lambda event, context: event})


@pytest.fixture
def session(memory: InMemoryGrid) -> Session:
    return memory.client().submit("echo", [1, 2, 3])


def write(
    memory: InMemoryGrid, session_id: str, task: int | None, message: str, **more: Any
) -> None:
    """A line of a worker; with a task, one that the task printed."""
    fields = {"session_id": session_id, "chunk": 0, "level": "INFO", "message": message, **more}
    if task is not None:
        fields |= {"task": task, "attempt": 1, "printed": "stdout", "line": 0}
    memory.logs.add(memory.clock.now(), json.dumps(fields))


def test_prints_are_found_by_session(memory: InMemoryGrid, session: Session) -> None:
    """Only what tasks printed; with `every` what the grid wrote as well."""
    write(memory, session.id, 1, "half way")
    write(memory, session.id, None, "chunk run", outcome="ended")
    (line,) = session.logs()
    assert (line.task, line.attempt, line.chunk, line.printed) == (1, 1, 0, "stdout")
    assert (line.message, line.at, line.level) == ("half way", memory.clock.now(), "INFO")
    lines = list(session.logs(every=True))
    assert [line.message for line in lines] == ["half way", "chunk run"]
    assert lines[1].fields == {"outcome": "ended"}


def test_metrics_are_no_lines(memory: InMemoryGrid, session: Session) -> None:
    """What the grid writes for CloudWatch's metrics says nothing to a reader."""
    metrics = {"session_id": session.id, "_aws": {"Timestamp": 1}, "TaskTime": [3.0]}
    memory.logs.add(memory.clock.now(), json.dumps(metrics))
    assert list(session.logs(every=True)) == []


def test_prints_are_found_by_task(memory: InMemoryGrid, session: Session) -> None:
    """Those of the one task, none of its neighbours."""
    for task in range(3):
        write(memory, session.id, task, f"from {task}")
    assert [line.message for line in session.logs(1)] == ["from 1"]


def test_a_task_that_is_none_is_refused(session: Session) -> None:
    """The message says which there are."""
    with pytest.raises(InvalidRequest, match="tasks 0 to 2, no 3"):
        list(session.logs(3))


def test_other_sessions_are_never_shown(memory: InMemoryGrid, session: Session) -> None:
    """Neither another session's lines nor lines that only look like ours."""
    foreign = memory.client(OTHER).submit("echo", [1])
    write(memory, foreign.id, 0, "secret")
    memory.logs.add(memory.clock.now(), f"session_id {session.id} task 0 printed")
    memory.logs.add(memory.clock.now(), json.dumps([session.id]))
    forged = json.dumps({"session_id": session.id, "task": 0, "printed": "stdout"})
    write(memory, foreign.id, 0, forged)
    memory.logs.add(memory.clock.now(), json.dumps({"session_id": session.id, "chunk": "x"}))
    assert list(session.logs(every=True)) == []


def test_a_foreign_session_looks_like_none(memory: InMemoryGrid, session: Session) -> None:
    """The same words for another owner's session and for one that never was."""
    write(memory, session.id, 0, "secret")
    words = set()
    for session_id in (session.id, "00000000-0000-5000-8000-000000000000"):
        with pytest.raises(NotFound) as refused:
            read_logs(memory.wiring, OTHER, session_id, LogsQuery())
        words.add(refused.value.message.replace(session_id, "ID"))
    assert len(words) == 1


def test_nothing_was_written_after_the_end(memory: InMemoryGrid, session: Session) -> None:
    """Who asks from a later time on is answered without a search, which the log would refuse."""
    session.cancel()

    class Refusing:
        def search(self, search: LogSearch, cursor: str | None, limit: int) -> Page[LogEvent]:
            raise AssertionError("was searched")

    grid = replace(memory.wiring, logs=Refusing())
    page = read_logs(grid, OWNER, session.id, LogsQuery(since=1e11))
    assert (page.lines, page.cursor) == ([], None)


class EmptyPages:
    """A log that is searched for ever; each page takes a while."""

    def __init__(self, memory: InMemoryGrid) -> None:
        self._memory = memory
        self.asked = 0

    def search(self, search: LogSearch, cursor: str | None, limit: int) -> Page[LogEvent]:
        self.asked += 1
        self._memory.clock.advance(1.0)
        return Page((), str(self.asked))


def test_a_long_search_answers_in_time() -> None:
    """API Gateway waits 29 s: after some an empty page says where to go on."""
    memory = InMemoryGrid({"echo": lambda event, context: event})
    session = memory.client().submit("echo", [1])
    pages = EmptyPages(memory)
    grid = replace(memory.wiring, logs=pages)
    page = read_logs(grid, OWNER, session.id, LogsQuery())
    assert (page.lines, page.cursor) == ([], str(int(SEARCH_SECONDS)))


class TestFollow:
    def test_each_line_comes_once(self) -> None:
        """Lines that arrive late are passed on, those that were are not, and the end is noticed."""
        world = World(autorun=False)
        memory = world.memory
        session = world.grid.submit("square", [1, 2])
        write(memory, session.id, 0, "first")
        lines = session.logs(follow=True)
        assert next(lines).message == "first"
        write(memory, session.id, 1, "second")
        assert next(lines).message == "second"
        memory.run()
        write(memory, session.id, 1, "last words")
        assert [line.message for line in lines] == ["last words"]
