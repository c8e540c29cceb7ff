"""Events in the SDK: streams, callbacks, the command; over a grid in memory."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from stepgrid import Grid, InvalidRequest, NotFound, QuotaExceeded, SessionEvent
from stepgrid.cli import cli
from stepgrid.cli.context import App
from stepgrid.events import Ledger
from stepgrid.testing import InMemoryGrid
from stepgrid_core.states import EventKind
from stepgrid_core.subscriptions import IDLE_SECONDS

OWNER = "ann"
UNKNOWN = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def memory() -> InMemoryGrid:
    def nap(task: object, context: object) -> None:
        made.clock.advance(3)

    made = InMemoryGrid({"nap": nap}, settings={"max_subscriptions": 2})
    return made


@pytest.fixture
def grid(memory: InMemoryGrid) -> Iterator[Grid]:
    with memory.client(OWNER) as client:
        yield client


def subscriptions(memory: InMemoryGrid) -> int:
    return memory.subscriptions.count(OWNER)


def told(events: list[SessionEvent]) -> list[str]:
    return [each.event_id.partition(":")[2] for each in events]


def test_a_stream_tells_a_session_from_its_start(memory: InMemoryGrid, grid: Grid) -> None:
    """Opened before the submit, it has every event of it, none of them made up."""
    with grid.events() as stream:
        grid.submit("nap", [0] * 10, chunk_size=1)
        events = []
        for event in stream:
            events.append(event)
            if event.kind is EventKind.FINISHED:
                break
    steps = [f"progressed:{percent}" for percent in range(10, 100, 10)]
    assert told(events) == ["accepted", "started", *steps, "finished"]
    assert not any(event.inferred for event in events)


def test_the_end_of_a_session_that_has_ended_is_told(memory: InMemoryGrid, grid: Grid) -> None:
    """Nobody waits for an event that was sent before the subscription."""
    session = grid.submit("nap", [0])
    session.wait()
    (event,) = grid.events([session])
    assert (event.kind, event.inferred) == ("finished", True)
    assert event.at == session.status().timings.closed_at


def test_kinds_are_what_was_asked_for(grid: Grid) -> None:
    """Other kinds are not told; the end of the iteration is known all the same."""
    session = grid.submit("nap", [0] * 10, chunk_size=1)
    assert told(list(grid.events([session], kinds=["failed"]))) == []
    assert told(list(grid.events([session.id], kinds=["finished"]))) == ["finished"]


def test_events_of_others_do_not_come(memory: InMemoryGrid, grid: Grid) -> None:
    """A stream over all sessions is one over all of one's own."""
    with memory.client("bob") as bob, grid.events() as stream:
        bob.submit("nap", [0])
        mine = grid.submit("nap", [0])
        for event in stream:
            assert event.session_id == mine.id
            if event.kind is EventKind.FINISHED:
                break


def test_a_session_that_is_not_yours_is_not_found(memory: InMemoryGrid, grid: Grid) -> None:
    """Like one that does not exist; and nothing is left behind."""
    with memory.client("bob") as bob:
        theirs = bob.submit("nap", [0]).id
    for name in (theirs, UNKNOWN):
        with pytest.raises(NotFound):
            list(grid.events([name]))
    assert subscriptions(memory) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        {"sessions": "x"},
        {"sessions": [None]},
        {"kinds": "finished"},
        {"kinds": ["x"]},
        {"kinds": []},
    ],
)
def test_what_can_not_be_is_refused_at_once(grid: Grid, arguments: dict[str, Any]) -> None:
    """Before any request."""
    with pytest.raises(InvalidRequest):
        grid.events(**arguments)


def test_a_subscription_lives_as_long_as_its_stream(memory: InMemoryGrid, grid: Grid) -> None:
    """Made on entry; gone after the block, and after a break."""
    session = grid.submit("nap", [0])
    with grid.events() as stream:
        assert subscriptions(memory) == 1
    assert (subscriptions(memory), list(stream)) == (0, [])
    for _ in grid.events([session]):
        break
    assert subscriptions(memory) == 0


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_no_subscription(
    memory: InMemoryGrid, grid: Grid, kind: type[BaseException]
) -> None:
    """Nor does Ctrl-C."""

    def fail() -> None:
        with grid.events():
            assert subscriptions(memory) == 1
            raise kind

    with pytest.raises(kind):
        fail()
    assert subscriptions(memory) == 0


def test_one_too_many_is_a_quota(grid: Grid) -> None:
    """It is told on entry."""
    with grid.events(), grid.events(), pytest.raises(QuotaExceeded), grid.events():
        pass


def test_a_subscription_that_was_removed_is_made_again(memory: InMemoryGrid, grid: Grid) -> None:
    """A program that did something else for hours misses no end."""
    with grid.events() as stream:
        events = iter(stream)
        grid.submit("nap", [0])
        assert next(events).kind == "accepted"
        memory.clock.advance(IDLE_SECONDS + 1)
        memory.sweep()
        assert subscriptions(memory) == 0
        found = {event.kind for event in (next(events) for _ in range(2))}
        assert EventKind.FINISHED in found
        later = grid.submit("nap", [0])
        assert next(event for event in events if event.kind == "finished").session_id == later.id
        assert subscriptions(memory) == 1


def test_a_callback_is_told_until_the_end(memory: InMemoryGrid, grid: Grid) -> None:
    """From a thread of its own, which ends with the session and leaves nothing behind."""
    session = grid.submit("nap", [0] * 3, chunk_size=1)
    events: list[SessionEvent] = []
    threads: set[str] = set()

    def note(event: SessionEvent) -> None:
        events.append(event)
        threads.add(threading.current_thread().name)

    assert session.subscribe(note).join(timeout=30)
    assert events[-1].kind == session.wait().state
    assert str(events[-1]) == f"session {session.id} finished: 3 of 3 tasks ended"
    assert threads == {"stepgrid-events"}
    assert subscriptions(memory) == 0


def test_a_callback_that_raises_ends_its_subscription(memory: InMemoryGrid, grid: Grid) -> None:
    """Its error is not lost: join raises it."""

    def fail(event: SessionEvent) -> None:
        raise ValueError("as asked")

    subscription = grid.submit("nap", [0]).subscribe(fail)
    with pytest.raises(ValueError, match="as asked"):
        subscription.join(timeout=30)
    assert subscriptions(memory) == 0


def test_closing_ends_a_callback(memory: InMemoryGrid, grid: Grid) -> None:
    """Also twice, and after the end."""
    session = grid.submit("nap", [0])
    with session.subscribe(lambda event: None) as subscription:
        subscription.close()
        assert subscription.join(timeout=30)
    assert subscriptions(memory) == 0


def test_the_ledger_lets_each_event_through_once() -> None:
    """Repeats, and what others have overtaken, are dropped; sessions don't mix."""
    ledger = Ledger()
    assert [ledger.admit("a", n) for n in (0, 1, 1, 30, 20, 0, 100, 100, 40)] == [
        True, True, False, True, False, False, True, False, False,
    ]  # fmt: skip
    assert ledger.admit("b", 0)
    assert (ledger.has_ended("a"), ledger.has_ended("b")) == (True, False)


# --- stepgrid events ------------------------------------------------------------------------------


def run(grid: Grid, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["events", *arguments], obj=App(open_grid=lambda: grid))


def test_the_command_shows_what_has_happened(memory: InMemoryGrid, grid: Grid) -> None:
    """When a session was accepted, started and ended, in the order of time."""
    first = grid.submit("nap", [0], name="first")
    first.wait()
    memory.clock.advance(1)
    grid.submit("nap", [0], name="second").wait()
    shown = run(grid).stdout.splitlines()
    assert [line.split()[4] for line in shown] == ["accepted", "started", "finished"] * 2
    assert [line.split()[-1] for line in shown] == ["first"] * 3 + ["second"] * 3
    only = run(grid, "--session", first.id, "--kind", "finished").stdout
    assert only.count("\n") == 1
    assert "1 finished  first" in only


def test_the_command_follows_sessions_to_their_end(memory: InMemoryGrid, grid: Grid) -> None:
    """It ends with them, and its JSON is that of the contract."""
    session = grid.submit("nap", [0])
    result = run(grid, "--follow", "--session", session.id, "--json")
    assert result.exit_code == 0
    event = SessionEvent.model_validate_json(result.stdout.splitlines()[-1])
    assert (event.session_id, event.kind) == (session.id, "finished")
    assert subscriptions(memory) == 0
