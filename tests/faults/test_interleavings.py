"""Two who steer the same session at once: the second acts whole between any two calls of the first.

Whoever waits is in the queue, whoever is paused or waits starts nothing, and nothing is held for
ever.
"""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from stepgrid.testing import InMemoryGrid
from stepgrid_core.admission import admit_waiting
from stepgrid_core.cancellation import cancel
from stepgrid_core.contract import SessionUpdate, SubmitRequest
from stepgrid_core.errors import Conflict
from stepgrid_core.invocation import Invocation, facts_of
from stepgrid_core.names import session_id
from stepgrid_core.recovery import revive, sweep
from stepgrid_core.states import ChunkState, SessionState
from stepgrid_core.steering import update_session
from stepgrid_core.wiring import Grid
from tests.faults.fuse import fused
from tests.submitting import submit

OWNER, SLOTS = "owner", 2
SESSION = session_id(OWNER, "session")


class Interruption:
    """Counts calls to the world, and lets another act just before one of them."""

    def __init__(self, call: int, act: Callable[[], object]) -> None:
        self._left = call
        self._act = act
        self.happened = False

    def through(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self._left -= 1
        if self._left == -1:
            self.happened = True
            self._act()
        return function(*args, **kwargs)


def submit_to(grid: Grid, token: str) -> None:
    request = {"client_token": token, "worker": "echo", "tasks": list(range(4))}
    submit(grid, OWNER, SubmitRequest.model_validate({**request, "options": {"chunk_size": 1}}))


def update(grid: Grid, **changes: Any) -> None:
    try:
        update_session(grid, OWNER, SESSION, SessionUpdate.model_validate(changes))
    except Conflict:
        return  # it is over


def move(grid: Grid) -> None:
    update(grid, paused=True)
    update(grid, paused=False)


def look_after(grid: Grid) -> None:
    """As the sweeper does when its minute is over."""
    session = grid.table.read_session(SESSION)
    assert session is not None
    revive(grid, session)


ACTS: dict[str, Callable[[Grid], object]] = {
    "submit": lambda grid: submit_to(grid, "session"),
    "admit": lambda grid: admit_waiting(grid, "echo"),
    "pause": lambda grid: update(grid, paused=True),
    "resume": lambda grid: update(grid, paused=False),
    "pause and resume": move,
    "priority": lambda grid: update(grid, priority=9),
    "look after": look_after,
    "cancel": lambda grid: cancel(grid, OWNER, [SESSION]),
}
STATES = ("running", "waiting", "paused", "paused while waiting", "admissible", "half run")


def make_memory(state: str) -> InMemoryGrid:
    memory = InMemoryGrid(
        {"echo": lambda task, context: task}, autorun=False, settings={"worker_concurrency": SLOTS}
    )
    grid = memory.wiring
    if state in ("waiting", "paused while waiting", "admissible"):
        submit_to(grid, "other")
    submit_to(grid, "session")
    if state.startswith("paused"):
        update(grid, paused=True)
    if state == "admissible":
        cancel(grid, OWNER, [session_id(OWNER, "other")])
    if state == "half run":
        session = memory.table.read_session(SESSION)
        assert session is not None
        memory.executions.invoke(Invocation(facts_of(session), 0, "token-free"))
        update(grid, paused=True)
    return memory


def check(memory: InMemoryGrid) -> None:
    """Nobody was cut off, so all of this holds at once, without the sweeper's help."""
    session = memory.table.read_session(SESSION)
    assert session is not None
    queued = [entry.session_id for entry in memory.table.list_waiting("echo", None, 10)]
    if session.verdict is None:
        assert queued.count(SESSION) == session.waiting
    shards = memory.table.read_shards(SESSION)
    states = {chunk.state for shard in shards for chunk in shard.chunks}
    if session.dispatches and (session.paused or session.waiting) and session.verdict is None:
        assert ChunkState.PENDING not in states
    assert memory.table.read_lane("echo").used <= SLOTS


def heal(memory: InMemoryGrid) -> None:
    update(memory.wiring, paused=False)
    for _ in range(6):
        memory.run()
        memory.clock.advance(400)
        sweep(memory.wiring)
    memory.run()


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("second", ACTS)
@pytest.mark.parametrize("first", ACTS)
def test_two_at_once(first: str, second: str, state: str) -> None:
    """Whichever way they meet, the session comes to its end and no slot is lost."""
    for call in itertools.count():
        memory = make_memory(state)
        interruption = Interruption(call, lambda memory=memory: ACTS[second](memory.wiring))
        ACTS[first](fused(memory.wiring, interruption))  # type: ignore[arg-type]
        if not interruption.happened:
            return
        check(memory)
        heal(memory)
        check(memory)
        session = memory.table.read_session(SESSION)
        assert session is not None
        assert session.verdict in (SessionState.FINISHED, SessionState.CANCELLED)
        assert memory.table.read_lane("echo").used == 0
        assert memory.table.list_waiting("echo", None, 10) == []
