"""Admission, pause and resume are cut off at every call that they make; then only others go on."""

from collections.abc import Callable
from typing import Any

import pytest

from stepgrid.testing import EnvironmentDied, InMemoryGrid
from stepgrid_core.admission import admit_waiting
from stepgrid_core.contract import SessionUpdate, SubmitRequest
from stepgrid_core.records import Session
from stepgrid_core.states import ChunkState, SessionState
from stepgrid_core.steering import update_session
from stepgrid_core.wiring import Grid
from tests.faults.fuse import POINTS, Fuse, fused
from tests.submitting import submit

OWNER = "owner"
SLOTS = 2


def make_memory() -> InMemoryGrid:
    return InMemoryGrid(
        {"echo": lambda task, context: task},
        autorun=False,
        settings={"worker_concurrency": SLOTS},
    )


def submit_to(grid: Grid, token: str, tasks: int = 4) -> Session:
    request = {
        "client_token": token,
        "worker": "echo",
        "tasks": list(range(tasks)),
        "options": {"chunk_size": 1},
    }
    return submit(grid, OWNER, SubmitRequest.model_validate(request))


def update(grid: Grid, session: Session, **changes: Any) -> None:
    update_session(grid, OWNER, session.session_id, SessionUpdate.model_validate(changes))


def heal(memory: InMemoryGrid) -> None:
    """Only the sweeper and the state machines go on."""
    for _ in range(6):
        memory.run()
        memory.clock.advance(400)
        memory.sweep()
    memory.run()


def read(memory: InMemoryGrid, session: Session) -> Session:
    stored = memory.table.read_session(session.session_id)
    assert stored is not None
    return stored


def cut_off_everywhere(act: Callable[[InMemoryGrid, Grid], object]) -> int:
    """How many of the points `act` came to; afterwards all that was submitted has finished."""
    cut = 0
    for call, moment in POINTS:
        memory = make_memory()
        try:
            act(memory, fused(memory.wiring, Fuse(call, moment)))
        except EnvironmentDied:
            cut += 1
        heal(memory)
        for session in memory.table.list_sessions(OWNER, None, None, 10).items:
            assert session.verdict is SessionState.FINISHED, (call, moment)
        assert memory.table.read_lane("echo").used == 0
    return cut


def test_an_admission_cut_off_anywhere() -> None:
    """Whoever was admitted runs, and those behind it as well."""

    def act(memory: InMemoryGrid, grid: Grid) -> None:
        for token in ("a", "b", "c"):
            submit_to(memory.wiring, token)
        memory.table.concurrency["echo"] = 2 * SLOTS  # room for one more
        admit_waiting(grid, "echo")

    assert cut_off_everywhere(act) >= 20


def test_a_submit_that_has_to_wait_cut_off_anywhere() -> None:
    """It is in the queue, or was never accepted."""

    def act(memory: InMemoryGrid, grid: Grid) -> None:
        submit_to(memory.wiring, "first")
        submit_to(grid, "second")

    assert cut_off_everywhere(act) >= 10


@pytest.mark.parametrize("waits", [False, True], ids=["running", "waiting"])
def test_a_resume_cut_off_anywhere(waits: bool) -> None:
    """Repeated, the session goes on from wherever it was left."""
    cut = 0
    for call, moment in POINTS:
        memory = make_memory()
        if waits:
            submit_to(memory.wiring, "first")
        session = submit_to(memory.wiring, "session")
        update(memory.wiring, session, paused=True)
        try:
            update(fused(memory.wiring, Fuse(call, moment)), session, paused=False)
        except EnvironmentDied:
            cut += 1
        if read(memory, session).paused:
            update(memory.wiring, session, paused=False)
        heal(memory)
        assert read(memory, session).verdict is SessionState.FINISHED, (call, moment)
    assert cut >= 8


def test_a_pause_cut_off_anywhere() -> None:
    """Once it is written down nothing more starts, by the sweeper's hand if need be."""
    cut = 0
    for call, moment in POINTS:
        memory = make_memory()
        session = submit_to(memory.wiring, "session")
        try:
            update(fused(memory.wiring, Fuse(call, moment)), session, paused=True)
        except EnvironmentDied:
            cut += 1
        memory.clock.advance(61)
        memory.sweep()
        memory.run()
        if read(memory, session).paused:
            (shard,) = memory.table.read_shards(session.session_id)
            assert {chunk.state for chunk in shard.chunks} == {ChunkState.HELD}
            update(memory.wiring, session, paused=False)
        heal(memory)
        assert read(memory, session).verdict is SessionState.FINISHED, (call, moment)
    assert cut >= 8
