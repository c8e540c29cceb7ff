"""How many requests of the API a client makes, on the real planes in memory."""

from typing import Any

import pytest

from stepgrid import GridExecutor
from stepgrid.patience import Patience
from stepgrid.retry import Deadline
from tests.unit.sdk_fakes import FakeClock, World, run_at_each_look, running_session


def asked(world: World) -> list[str]:
    """Method and end of the path of each request."""
    return [f"{sent.method} {sent.path.rpartition('/')[2]}" for sent in world.transport.sent]


def in_short(world: World, session_id: str) -> list[str]:
    return [text.replace(session_id, "ID") for text in asked(world)]


@pytest.mark.parametrize("tasks", [1, 16])
def test_a_short_session_costs_two_requests(tasks: int) -> None:
    """The answer that tells its end has the results."""
    world = World()
    session = world.grid.submit("square", range(tasks))
    assert session.results() == [n * n for n in range(tasks)]
    assert in_short(world, session.id) == ["POST sessions", "GET ID"]


def test_map_costs_two_requests() -> None:
    """The answer with the results is held back until they are there."""
    world = World(autorun=False)
    results = world.grid.map("square", [3])
    run_at_each_look(world, (run() for run in [world.memory.run]))
    assert list(results) == [9]
    assert asked(world) == ["POST sessions", "GET results"]


def test_waiting_and_then_reading_costs_no_more() -> None:
    """The results of a short session are there when it has ended."""
    world = World()
    session = world.grid.submit("square", [1, 2, 3])
    session.wait()
    assert session.results() == [1, 4, 9]
    assert list(session) == [1, 4, 9]
    assert in_short(world, session.id) == ["POST sessions", "GET ID"]


def test_as_completed_asks_once_for_what_is_there() -> None:
    """As a session that has ended has no more news."""
    world = World()
    session = world.grid.submit("square", [1, 2, 3])
    assert sorted(task.result() for task in session.as_completed()) == [1, 4, 9]
    assert in_short(world, session.id) == ["POST sessions", "GET results"]


def test_an_executor_asks_once_for_what_is_there() -> None:
    """Two requests for a batch."""
    world = World()
    with GridExecutor(world.grid, "square") as executor:
        assert executor.submit(4).result() == 16
    assert asked(world) == ["POST sessions", "GET results"]


def test_each_page_is_asked_once_when_the_session_has_ended() -> None:
    """600 chunks are three pages, of which the first comes with the end."""
    world = World()
    session = world.grid.submit("square", range(600), chunk_size=1)
    assert len(session.results()) == 600
    assert in_short(world, session.id) == ["POST sessions", "GET ID", "GET results", "GET results"]


def test_nothing_is_told_twice_while_a_session_runs() -> None:
    """Each answer has the chunks that are new, in whatever order they end."""
    world, session, run_chunk = running_session(40, chunk_size=1)
    told: list[int] = []
    answer = world.transport.request

    def request(*arguments: Any, **options: Any) -> dict[str, Any]:
        page = answer(*arguments, **options)
        told.extend(chunk["chunk"] for chunk in page.get("chunks", ()))
        return page

    world.transport.request = request  # type: ignore[method-assign]
    run_at_each_look(world, (run_chunk(chunk) for chunk in reversed(range(40))))
    assert list(session) == [n * n for n in range(40)]
    assert sorted(told) == list(range(40))


@pytest.mark.parametrize(("waited", "pause"), [(0.2, 0.01), (4, 0.2), (3_600, 0.5)])
def test_news_are_gathered(waited: float, pause: float) -> None:
    """The next question waits for a twentieth of the time so far, half a second at most."""
    clock = FakeClock()
    patience = Patience(clock, "session", Deadline.after(clock, None))
    assert patience.wait_seconds(20) == 20
    clock.now += waited
    patience.go_on(news=True, closed=False)
    patience.wait_seconds(20)
    assert clock.slept == [pytest.approx(pause)]


def test_time_spent_on_news_counts() -> None:
    """Who has worked on the last answer for long enough asks at once."""
    clock = FakeClock()
    patience = Patience(clock, "session", Deadline.after(clock, None))
    clock.now += 4
    patience.go_on(news=True, closed=False)
    clock.now += 0.3
    patience.wait_seconds(20)
    assert clock.slept == []


@pytest.mark.parametrize(("missing", "pause"), [(5, 0.5), (4, 0.0), (1, 0.0)])
def test_the_last_chunks_are_not_gathered(missing: int, pause: float) -> None:
    """Nobody waits for half a second more than the last task takes."""
    clock = FakeClock()
    patience = Patience(clock, "session", Deadline.after(clock, None))
    clock.now += 3_600
    patience.go_on(news=True, closed=False)
    patience.wait_seconds(20, missing)
    assert sum(clock.slept) == pytest.approx(pause)


def test_nothing_is_gathered_once_all_is_there() -> None:
    """The pages of a session that has ended are read one after the other."""
    clock = FakeClock()
    patience = Patience(clock, "session", Deadline.after(clock, None))
    clock.now += 60
    patience.go_on(news=True, closed=True)
    patience.wait_seconds(20)
    assert clock.slept == []
