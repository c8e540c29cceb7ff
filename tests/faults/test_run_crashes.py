"""A function dies just before or just after any one of its calls, while it serves nodes.

Whoever asked asks again, or nobody does: then the sweeper and a node that comes later go on. Either
way each run has one end, all of them are counted, and the end of the task is told.
"""

from collections.abc import Callable

import pytest

from stepgrid.testing import EnvironmentDied, InMemoryGrid
from stepgrid_core.cancellation import cancel
from stepgrid_core.federation.run_rows import (
    claim_of,
    claim_run,
    fail_untouched,
    finish_run,
    give_back_run,
    kill_run,
    read_result,
    read_runs,
    renew_run,
)
from stepgrid_core.federation.sessions import read_input
from stepgrid_core.records import Session
from stepgrid_core.session_events import ended
from stepgrid_core.states import TaskState
from stepgrid_core.wiring import Grid
from tests.faults.agreement import agreed_counts
from tests.faults.fuse import POINTS, Fuse, Interruption, fused
from tests.federated import OWNER, SESSION_ID, federate, federated_grid

LEASE_SECONDS = 60.0
#: Of organizations: one shard; a few, stored with the session; and many, stored after it.
SIZES = (2, 17, 70)
NODE, LATER = "a" * 32, "b" * 32


def take(grid: Grid, session: Session, index: int, claimant: str = NODE) -> str | None:
    row = claim_run(grid, session, index, claimant, LEASE_SECONDS)
    return None if row is None else claim_of(row)


def finish(grid: Grid, session: Session, index: int, claim: str, result: str = "result") -> bool:
    return finish_run(grid, session, index, claim, result=result, fault=None, milliseconds=5)


def all_but(grid: Grid, session: Session, left: int) -> None:
    """Nodes end all runs but the first `left` ones."""
    for index in range(left, session.chunks):
        claim = take(grid, session, index)
        assert claim is not None
        assert finish(grid, session, index, claim)


def heal(memory: InMemoryGrid) -> None:
    """The sweeper comes, and a day later a node that takes whatever is left."""
    for _ in range(3):
        memory.clock.advance(90_000)
        memory.sweep()
        session = memory.table.read_session(SESSION_ID)
        if session is None:
            return
        for index, row in enumerate(read_runs(memory.wiring, session)):
            claim = None if row.terminal else take(memory.wiring, session, index, LATER)
            if claim is not None:
                assert read_input(memory.wiring, session, index)
                assert finish(memory.wiring, session, index, claim)
    memory.sweep()


def check(memory: InMemoryGrid) -> Session:
    """Everything has one end, which is counted and told."""
    session = memory.table.read_session(SESSION_ID)
    assert session is not None
    assert session.verdict is not None
    assert session.counts is not None
    assert sum(session.counts.values()) == session.tasks
    agreed_counts(memory, OWNER, SESSION_ID)
    assert ended(session).event_id in {event.event_id for event in memory.events.published}
    assert memory.table.due_sessions(memory.clock.now() + 1e12, 10) == []
    for index in range(session.chunks):
        assert read_result(memory.wiring, session, index) is not None
    return session


def blow(memory: InMemoryGrid, fuse: Fuse, act: Callable[[Grid], object]) -> bool:
    """True if the function died of it."""
    try:
        act(fused(memory.wiring, fuse))
    except EnvironmentDied:
        return True
    return False


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("large", [True, False], ids=["inputs as an object", "in the table"])
@pytest.mark.parametrize("repeated", [True, False], ids=["asked again", "nobody asks"])
def test_creation_cut_off_anywhere(size: int, large: bool, repeated: bool) -> None:
    """There is one session, or none; never one that no node could take runs of."""
    inputs = ["x" * (40_000 // size if large else 1)] * size
    cut = 0
    for call, moment in POINTS:
        memory, _ = federated_grid()
        cut += blow(memory, Fuse(call, moment), lambda grid: federate(grid, size, inputs=inputs))
        if repeated:
            federate(memory.wiring, size, inputs=inputs)
        heal(memory)
        if repeated or memory.table.read_session(SESSION_ID) is not None:
            session = check(memory)
            assert session.counts is not None
            assert session.counts[TaskState.FINISHED] == size
    assert cut >= 6


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("repeated", [True, False], ids=["asked again", "nobody asks"])
def test_a_claim_cut_off_anywhere(size: int, repeated: bool) -> None:
    """The node that asks again has one claim; otherwise another one takes the run in time."""
    cut = 0
    for call, moment in POINTS:
        memory, _ = federated_grid()
        session = federate(memory.wiring, size)
        memory.clock.advance(100)
        memory.sweep()
        cut += blow(memory, Fuse(call, moment), lambda grid, s=session: take(grid, s, 0))
        if repeated:
            claim = take(memory.wiring, session, 0)
            assert claim is not None
            assert claim.startswith("1.")
        heal(memory)
        check(memory)
    assert cut >= 5


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("result", ["small", "x" * 20_000], ids=["small", "large"])
@pytest.mark.parametrize("repeated", [True, False], ids=["asked again", "nobody asks"])
def test_the_last_end_cut_off_anywhere(size: int, result: str, repeated: bool) -> None:
    """Nothing that a node was told is lost, and nothing ends twice."""
    cut = 0
    for call, moment in POINTS:
        memory, _ = federated_grid()
        session = federate(memory.wiring, size)
        all_but(memory.wiring, session, 1)
        claim = take(memory.wiring, session, 0)
        assert claim is not None

        def act(grid: Grid, s: Session = session, c: str = claim) -> bool:
            return finish(grid, s, 0, c, result)

        cut += blow(memory, Fuse(call, moment), act)
        if repeated:
            assert act(memory.wiring)
            stored = memory.table.read_session(SESSION_ID)
            assert stored is not None
            assert stored.verdict is not None, "only the sweeper would close it"
            outcome = read_result(memory.wiring, session, 0)
            assert outcome is not None
            assert outcome.result == result
        heal(memory)
        check(memory)
    assert cut >= 6


ENDS: dict[str, Callable[[Grid, Session], object]] = {
    "kill one": lambda grid, session: kill_run(grid, session, 0),
    "fail those that wait": lambda grid, session: fail_untouched(grid, session, "crashed"),
    "cancel": lambda grid, session: cancel(grid, OWNER, [session.session_id]),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("repeated", [True, False], ids=["asked again", "nobody asks"])
def test_ends_from_outside_cut_off_anywhere(size: int, end: str, repeated: bool) -> None:
    """Of all that is left: what had ended before stays as it was."""
    cut = 0
    for call, moment in POINTS:
        memory, _ = federated_grid()
        session = federate(memory.wiring, size)
        all_but(memory.wiring, session, 1)
        cut += blow(memory, Fuse(call, moment), lambda grid, s=session: ENDS[end](grid, s))
        if repeated:
            ENDS[end](memory.wiring, session)
        heal(memory)
        closed = check(memory)
        assert closed.counts is not None
        assert closed.counts[TaskState.FINISHED] >= size - 1
        if repeated:
            assert closed.counts[TaskState.FINISHED] == size - 1
    assert cut >= 5


def test_the_sweeper_cut_off_anywhere() -> None:
    """The next one goes on: also where it dies before it has put off its next look."""
    cut = 0
    for call, moment in POINTS:
        memory, _ = federated_grid()
        session = federate(memory.wiring, 17)
        assert take(memory.wiring, session, 0) is not None
        memory.clock.advance(200)
        memory.wiring, sound = fused(memory.wiring, Fuse(call, moment)), memory.wiring
        try:
            memory.sweep()
        except EnvironmentDied:
            cut += 1
        memory.wiring = sound
        heal(memory)
        check(memory)
    assert cut >= 2


@pytest.mark.parametrize("call", range(12))
def test_a_claim_while_the_sweeper_looks_is_not_forgotten(call: int) -> None:
    """Before any call of the sweeper a node claims a run; when it dies, that is noticed soon."""
    memory, _ = federated_grid()
    session, sound = federate(memory.wiring, 3), memory.wiring
    memory.clock.advance(100)
    fuse = Interruption(call, lambda: take(sound, session, 0))
    memory.wiring = fused(sound, fuse)
    memory.sweep()
    memory.wiring = sound
    if fuse.calls <= call:
        take(sound, session, 0)
    for _ in range(5):
        memory.clock.advance(60)
        memory.sweep()
    assert read_runs(sound, session)[0].losses == 1


def test_a_node_that_is_cut_off_by_another_changes_nothing() -> None:
    """A lost node and its successor, each with all of its moves after the other's claim."""
    memory, _ = federated_grid()
    session = federate(memory.wiring, 1)
    old = take(memory.wiring, session, 0)
    assert old is not None
    memory.clock.advance(LEASE_SECONDS + 1)
    new = take(memory.wiring, session, 0, LATER)
    assert new is not None
    assert not renew_run(memory.wiring, session, 0, old, LEASE_SECONDS)
    assert not give_back_run(memory.wiring, session, 0, old)
    assert not finish(memory.wiring, session, 0, old, "late")
    assert finish(memory.wiring, session, 0, new, "good")
    assert not finish(memory.wiring, session, 0, old, "late")
    outcome = read_result(memory.wiring, session, 0)
    assert outcome is not None
    assert outcome.result == "good"
