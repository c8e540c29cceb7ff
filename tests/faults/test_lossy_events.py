"""Events that are dropped, repeated and shuffled: whoever waits still learns each end, once."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepgrid import Grid, SessionEvent, Unavailable
from stepgrid.testing import InMemoryGrid
from stepgrid.testing.transport import MemoryObjects, MemoryTransport
from stepgrid_core.session_events import SessionEvent as Published
from stepgrid_core.states import TERMINAL_EVENTS

Fault = Callable[[list[Any]], list[Any]]
FAULTS: dict[str, Fault] = {
    "none": lambda events: events,
    "all dropped": lambda events: [],
    "five times each": lambda events: [each for each in events for _ in range(5)],
    "reversed": lambda events: events[::-1],
    "five times and reversed": lambda events: [each for each in events[::-1] for _ in range(5)],
    "only terminal ones dropped": lambda events: [
        each for each in events if each.kind not in TERMINAL_EVENTS
    ],
}


class LossyGrid(InMemoryGrid):
    """Its bus holds events back until `flush`, which lets a fault loose on them."""

    def __init__(self, fault: Fault, **options: Any) -> None:
        super().__init__({"work": self._work}, **options)
        self._fault = fault
        self._held: list[Published] = []
        self.events.listeners[:] = [self._held.append]

    def _work(self, task: str, context: object) -> None:
        self.clock.advance(3)
        if task == "bad":
            raise ValueError(task)

    def flush(self) -> None:
        held, self._held[:] = self._fault(list(self._held)), []
        for event in held:
            self.subscriptions.offer(event)


class FlushingTransport(MemoryTransport):
    """Before each request something happens on the grid, and its events go out."""

    def __init__(self, memory: LossyGrid) -> None:
        super().__init__(memory, "owner")
        self._lossy = memory

    def request(self, method: str, path: str, *rest: Any, **more: Any) -> dict[str, Any]:
        with self._lossy.lock:
            if path.endswith("/events"):
                self._lossy.run()
                self._lossy.flush()
            return super().request(method, path, *rest, **more)


def connect(memory: LossyGrid) -> Grid:
    return Grid(
        transport=FlushingTransport(memory), objects=MemoryObjects(memory), clock=memory.clock
    )


def check(events: Sequence[SessionEvent], ids: Sequence[str]) -> None:
    """Each end once; each event once; a session's events rise, and stop at its end."""
    assert Counter(each.session_id for each in events if each.kind in TERMINAL_EVENTS) == Counter(
        ids
    )
    for name in ids:
        sequences = [each.sequence for each in events if each.session_id == name]
        assert sequences == sorted(set(sequences))
        assert sequences[-1] == 100


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_stream_tells_each_end_once(fault: Fault) -> None:
    """Whatever becomes of the events, and whichever way a session ends."""
    memory = LossyGrid(fault, autorun=False)
    with connect(memory) as grid:
        sessions = [grid.submit("work", ["good", "bad"] * 5, chunk_size=1) for _ in range(3)]
        sessions[1].cancel()
        with grid.events(sessions) as stream:
            events = list(stream)
    check(events, [session.id for session in sessions])
    ends = {each.session_id: each.kind for each in events if each.kind in TERMINAL_EVENTS}
    assert [ends[session.id] for session in sessions] == ["finished", "cancelled", "finished"]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_callback_and_a_wait_agree(fault: Fault) -> None:
    """subscribe() and wait() give the same end, with the same counts."""
    memory = LossyGrid(fault, autorun=False)
    with connect(memory) as grid:
        session = grid.submit("work", ["good", "bad"] * 5, chunk_size=1)
        events: list[SessionEvent] = []
        subscription = session.subscribe(events.append)
        assert subscription.join(timeout=30)
        description = session.wait()
    check(events, [session.id])
    assert (events[-1].kind, events[-1].counts) == (description.state, description.counts)
    assert memory.subscriptions.count("owner") == 0


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_stream_over_all_sessions_misses_no_end(fault: Fault) -> None:
    """Sessions that were there before, and those that come later; old ends are no news."""
    memory = LossyGrid(fault, autorun=False)
    with connect(memory) as grid:
        grid.submit("work", ["good"])
        memory.run()
        open_session = grid.submit("work", ["good"] * 3, chunk_size=1)
        ids, events = [open_session.id], []
        with grid.events() as stream:
            for event in stream:
                events.append(event)
                if event.kind not in TERMINAL_EVENTS:
                    continue
                if len(ids) == 4:
                    break
                ids.append(grid.submit("work", ["good"] * 3, chunk_size=1).id)
    check(events, ids)
    assert memory.subscriptions.count("owner") == 0


@given(seed=st.integers(0, 2**32), loss=st.floats(0, 1), repeats=st.integers(1, 5))
@settings(max_examples=60)
def test_any_mixture_of_faults(seed: int, loss: float, repeats: int) -> None:
    """Lost, repeated and shuffled at once, at random."""
    dice = random.Random(seed)

    def fault(events: list[Any]) -> list[Any]:
        kept = [each for each in events * repeats if dice.random() >= loss]
        dice.shuffle(kept)
        return kept

    memory = LossyGrid(fault, autorun=False)
    with connect(memory) as grid:
        sessions = [grid.submit("work", ["good"] * 4, chunk_size=1) for _ in range(12)]
        with grid.events(sessions) as stream:
            events = list(stream)
    check(events, [session.id for session in sessions])


class DeafTransport(MemoryTransport):
    """The grid answers everything but a receive."""

    def request(self, method: str, path: str, *rest: Any, **more: Any) -> dict[str, Any]:
        if path.endswith("/events"):
            raise Unavailable("no answer")
        return super().request(method, path, *rest, **more)


def test_a_queue_that_does_not_answer_hides_no_end() -> None:
    """The sessions themselves are asked at once."""
    memory = LossyGrid(FAULTS["none"])
    grid = Grid(
        transport=DeafTransport(memory, "owner"), objects=MemoryObjects(memory), clock=memory.clock
    )
    with grid:
        sessions = [grid.submit("work", ["good"]) for _ in range(3)]
        events = list(grid.events(sessions))
    check(events, [session.id for session in sessions])
    assert all(event.inferred for event in events)
