"""What the sweeper does for federated tasks, and when it looks at them at all."""

import pytest

from stepgrid.testing import InMemoryGrid
from stepgrid_core.federation.run_due import WAITING_LOOK_SECONDS
from stepgrid_core.federation.run_rows import (
    claim_of,
    claim_run,
    kill_run,
    read_result,
    read_run,
    renew_run,
)
from stepgrid_core.federation.sessions import LIFE_SECONDS
from stepgrid_core.metrics import Metric
from stepgrid_core.records import Session
from stepgrid_core.states import ChunkState, SessionState, TaskState
from stepgrid_core.wiring import Grid
from tests.federated import federate

LEASE_SECONDS = 60.0


@pytest.fixture
def memory() -> InMemoryGrid:
    return InMemoryGrid({}, autorun=False)


@pytest.fixture
def grid(memory: InMemoryGrid) -> Grid:
    return memory.wiring


def looks(memory: InMemoryGrid, seconds: float, step: float = 60.0) -> int:
    """How many of the sweeps in so much time looked at anything."""
    found = 0
    for _ in range(int(seconds // step)):
        memory.clock.advance(step)
        found += memory.sweep()
    return found


def verdict(grid: Grid, session: Session) -> SessionState | None:
    stored = grid.table.read_session(session.session_id)
    assert stored is not None
    return stored.verdict


def test_a_session_that_waits_is_hardly_looked_at(memory: InMemoryGrid, grid: Grid) -> None:
    """A minute after it was made, and once a day: not once a minute."""
    session = federate(grid)
    assert looks(memory, 3_600) == 1
    assert looks(memory, 10 * WAITING_LOOK_SECONDS, step=3_600) <= 10
    assert verdict(grid, session) is None
    assert memory.dispatcher.started == []


def test_a_run_at_work_is_looked_at_when_its_lease_would_end(
    memory: InMemoryGrid, grid: Grid
) -> None:
    """Its renewals write nothing about that."""
    session = federate(grid)
    looks(memory, 120)
    row = claim_run(grid, session, 0, "a" * 32, LEASE_SECONDS)
    assert row is not None
    found = 0
    for _ in range(90):
        memory.clock.advance(20)
        assert renew_run(grid, session, 0, claim_of(row), LEASE_SECONDS)
        found += memory.sweep()
    assert found <= 1800 / 40
    assert read_run(grid, session, 0).attempt == 1


def test_a_run_whose_node_is_gone_waits_again(memory: InMemoryGrid, grid: Grid) -> None:
    """And its task is looked at no more often than before."""
    session = federate(grid)
    assert claim_run(grid, session, 0, "a" * 32, LEASE_SECONDS) is not None
    looks(memory, 180)
    row = read_run(grid, session, 0)
    assert (row.state, row.losses) == (ChunkState.PENDING, 1)
    assert looks(memory, 7_200) == 0
    assert memory.metrics.total(Metric.WORKERS_LOST) == 1


def test_lost_once_too_often_it_is_over(memory: InMemoryGrid, grid: Grid) -> None:
    """That closes its task, if it was the last run."""
    session = federate(grid, 2, max_attempts=2)
    assert kill_run(grid, session, 1)
    for claimant in "ab":
        assert claim_run(grid, session, 0, claimant * 32, LEASE_SECONDS) is not None
        looks(memory, 180)
    outcome = read_result(grid, session, 0)
    assert outcome is not None
    assert outcome.state is TaskState.FAILED
    assert verdict(grid, session) is SessionState.CANCELLED


def test_at_its_deadline_what_is_open_fails(memory: InMemoryGrid, grid: Grid) -> None:
    """Also what a node holds."""
    session = federate(grid, timeout_seconds=7 * 86_400)
    looks(memory, 6 * 86_400, step=43_200)
    row = claim_run(grid, session, 0, "a" * 32, 30 * 86_400)
    assert row is not None
    looks(memory, 2 * 86_400, step=43_200)
    assert verdict(grid, session) is SessionState.FAILED
    assert not renew_run(grid, session, 0, claim_of(row), LEASE_SECONDS)
    outcome = read_result(grid, session, 0)
    assert outcome is not None
    assert outcome.fault is not None
    assert outcome.fault.type == "SessionTimeout"


def test_a_century_is_a_limit_after_all(memory: InMemoryGrid, grid: Grid) -> None:
    session = federate(grid)
    memory.clock.advance(LIFE_SECONDS)
    memory.sweep()
    assert verdict(grid, session) is SessionState.FAILED


def test_two_nodes_at_work_are_both_looked_after(memory: InMemoryGrid, grid: Grid) -> None:
    """A long lease does not hide that a short one has ended."""
    session = federate(grid)
    assert claim_run(grid, session, 0, "a" * 32, 60) is not None
    assert claim_run(grid, session, 1, "b" * 32, 900) is not None
    looks(memory, 180)
    assert read_run(grid, session, 0).state is ChunkState.PENDING
    assert read_run(grid, session, 1).state is ChunkState.RUNNING
