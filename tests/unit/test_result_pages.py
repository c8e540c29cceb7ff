"""Pages of results that tell only what is new, and wait for it, on the real planes in memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from stepgrid.testing import InMemoryGrid
from stepgrid_core.contract import ResultPage, SubmitRequest
from stepgrid_core.description import describe, list_sessions
from stepgrid_core.errors import NotFound
from stepgrid_core.invocation import Invocation, facts_of
from stepgrid_core.memory import MemoryStateTable
from stepgrid_core.ports import Dispatch, StateTable
from stepgrid_core.records import ContainerSize, ContainerUse, Shard
from stepgrid_core.result_pages import describe_to_end, read_results
from stepgrid_core.states import SessionState
from tests.submitting import submit

OWNER = "owner"


def square(event: Any, context: Any) -> Any:
    return event * event


@dataclass
class Sleeper:
    """The clock of a grid; does one step of the work whenever somebody sleeps."""

    memory: InMemoryGrid
    steps: Iterator[Any]
    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.memory.clock.now()

    def monotonic(self) -> float:
        return self.memory.clock.monotonic()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.memory.clock.sleep(seconds)
        next(self.steps, None)


class CountingTable:
    """A table that counts the requests which a client's question takes."""

    def __init__(self, table: MemoryStateTable) -> None:
        self._table = table
        self.reads: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.reads.append(name)
        return getattr(self._table, name)


class World:
    """A session of chunks of one task; a chunk runs when it is told to."""

    def __init__(self, chunks: int, **options: Any) -> None:
        self.memory = InMemoryGrid({"square": square})
        request = {
            "client_token": "t",
            "worker": "square",
            "tasks": list(range(chunks)),
            "options": {"chunk_size": 1, **options},
        }
        session = submit(self.memory.wiring, OWNER, SubmitRequest.model_validate(request))
        self.id = session.session_id
        self.dispatch: Dispatch = self.memory.dispatcher.started[0]

    def run(self, chunk: int) -> None:
        lines = self.dispatch.lines[chunk] if self.dispatch.lines else None
        facts = facts_of(self.dispatch.session)
        self.memory.executions.invoke(Invocation(facts, chunk, f"token-{chunk}", lines))

    def ask(self, *steps: Callable[[], Any], **query: Any) -> tuple[ResultPage, list[float]]:
        """A page, and how the grid slept until it was told; one step is done in each sleep."""
        clock = Sleeper(self.memory, (step() for step in steps))
        wiring = replace(self.memory.wiring, clock=clock)
        return read_results(wiring, OWNER, self.id, **query), clock.slept


def numbers(page: ResultPage) -> list[int]:
    return [chunk.chunk for chunk in page.chunks]


def test_a_page_tells_all_to_who_has_seen_nothing() -> None:
    """Without `seen` every chunk of the page is told, whatever its state."""
    world = World(20)
    world.run(3)
    page, _ = world.ask()
    assert (numbers(page), page.first_chunk, page.chunk_count) == (list(range(20)), 0, 20)
    assert [chunk.chunk for chunk in page.chunks if chunk.final] == [3]


def test_only_news_is_told_to_who_says_what_it_has() -> None:
    """With `seen` only final chunks that are not in it; bit k is the page's chunk k."""
    world = World(20)
    for chunk in (3, 17):
        world.run(chunk)
    assert numbers(world.ask(seen="0")[0]) == [3, 17]
    assert numbers(world.ask(seen=f"{1 << 3:x}")[0]) == [17]
    page, _ = world.ask(seen=f"{1 << 3 | 1 << 17:x}")
    assert (numbers(page), page.chunk_count) == ([], 20)


def test_bits_are_counted_from_the_first_chunk_of_the_page() -> None:
    """The second page begins with chunk 256."""
    world = World(300)
    for chunk in (256, 299):
        world.run(chunk)
    page, _ = world.ask(cursor="16", seen="1")
    assert (numbers(page), page.first_chunk, page.chunk_count) == ([299], 256, 44)
    assert page.cursor is None


@pytest.mark.parametrize("cursor", [None, "16"])
def test_an_answer_waits_for_news(cursor: str | None) -> None:
    """It comes as soon as a chunk of the page is final that was not seen."""
    world = World(300)
    first = 256 if cursor else 0
    world.run(first)
    steps = (lambda: None, lambda: world.run(first + 2), lambda: world.run(first + 3))
    page, slept = world.ask(*steps, cursor=cursor, seen="1", wait_seconds=20)
    assert numbers(page) == [first + 2]
    assert len(slept) == 2


def test_an_answer_waits_no_longer_than_it_may() -> None:
    """Without news it is empty, and says that the session goes on."""
    page, slept = World(2).ask(seen="0", wait_seconds=7)
    assert (numbers(page), page.state) == ([], SessionState.RUNNING)
    assert sum(slept) == pytest.approx(7)


def test_an_answer_does_not_wait_for_what_will_not_come() -> None:
    """A session that has ended has no more news."""
    world = World(2)
    world.memory.run()
    page, slept = world.ask(seen="3", wait_seconds=20)
    assert (numbers(page), page.state, slept) == ([], SessionState.FINISHED, [])


@pytest.mark.parametrize("cursor", [None, "16"])
def test_who_waits_beyond_the_deadline_ends_the_session(cursor: str | None) -> None:
    """As with a description: nobody waits for the sweeper."""
    world = World(257, timeout_seconds=5)
    page, slept = world.ask(cursor=cursor, seen="0", wait_seconds=20)
    assert page.state is SessionState.FAILED
    assert all(chunk.final and chunk.others == "failed" for chunk in page.chunks)
    assert 5 < sum(slept) < 8


def test_a_mere_question_changes_nothing() -> None:
    """Who does not wait gets what is there, also beyond the deadline."""
    world = World(2, timeout_seconds=5)
    world.memory.clock.advance(60)
    page, _ = world.ask(seen="0")
    assert (numbers(page), page.state) == ([], SessionState.RUNNING)


@pytest.mark.parametrize("chunks", [1, 16, 17, 300])
def test_the_end_comes_with_the_first_page(chunks: int) -> None:
    """One answer has state, counts and results; before the end it is a mere description."""
    world = World(chunks)
    grid = world.memory.wiring
    assert describe_to_end(grid, OWNER, world.id).results is None
    world.memory.run()
    report = describe_to_end(grid, OWNER, world.id, 20)
    assert (report.state, report.counts.finished) == (SessionState.FINISHED, chunks)
    assert report.results == read_results(grid, OWNER, world.id)


@pytest.mark.parametrize("ask", [describe_to_end, read_results])
def test_a_short_session_ends_with_one_read(ask: Callable[..., Any]) -> None:
    """Session and shards are read together."""
    world = World(1)
    world.memory.run()
    table = CountingTable(world.memory.table)
    wiring = replace(world.memory.wiring, table=cast(StateTable, table))
    ask(wiring, OWNER, world.id)
    assert table.reads == ["read_session_and_shards"]


@pytest.mark.parametrize("ask", [describe, describe_to_end])
def test_a_session_with_containers_tells_them(ask: Callable[..., Any]) -> None:
    """Which takes one read more; the list of sessions tells none."""
    world = World(1)
    made = world.memory.table.read_session(world.id)
    assert made is not None
    size = ContainerSize(4, 8192, 21, spot=True, architecture="arm64")
    session = replace(made, backend="fargate", backend_reason="it asked", container=size)
    world.memory.table._sessions[world.id] = session
    for token, started_at in (("b", 10.0), ("a", 20.0)):
        world.memory.table.note_container(session, ContainerUse(token, size, started_at, 99.0))
    table = CountingTable(world.memory.table)
    wiring = replace(world.memory.wiring, table=cast(StateTable, table))
    described = ask(wiring, OWNER, world.id)
    assert [one.started_at for one in described.containers] == [10.0, 20.0]
    assert (described.containers[0].vcpu, described.containers[0].seen_at) == (4, 99.0)
    assert described.backend_reason == "it asked"
    assert table.reads.count("read_containers") == 1
    table.reads.clear()
    assert list_sessions(wiring, OWNER, None, None).sessions
    assert "read_containers" not in table.reads


class TornTable:
    """A Query that meets a transaction under way: it sees the session's new state, old shards."""

    def __init__(self, table: MemoryStateTable, before: list[Shard]) -> None:
        self._table = table
        self._before = before

    def read_session_and_shards(self, session_id: str, limit: int) -> Any:
        return self._table.read_session_and_shards(session_id, limit)[0], self._before

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)


@pytest.mark.parametrize("ask", [describe_to_end, read_results])
def test_a_session_that_has_ended_has_its_results(ask: Callable[..., Any]) -> None:
    """Whatever a read sees of the one write that commits and closes."""
    world = World(1)
    table = world.memory.table
    before = table.read_shards(world.id)
    world.memory.run()
    torn = replace(world.memory.wiring, table=cast(StateTable, TornTable(table, before)))
    assert ask(torn, OWNER, world.id) == ask(world.memory.wiring, OWNER, world.id)


@pytest.mark.parametrize("ask", [describe_to_end, read_results])
@pytest.mark.parametrize("other", [None, "x", "00000000-0000-5000-8000-000000000000"])
def test_other_sessions_are_not_there(ask: Callable[..., Any], other: str | None) -> None:
    """A foreign id, an unknown one and what is no id get the same answer."""
    world = World(1)
    with pytest.raises(NotFound, match=r"there is no session '.*' of yours; it may have expired"):
        ask(world.memory.wiring, "somebody else", other or world.id)
