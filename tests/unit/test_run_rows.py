"""Moves of a run's row: whose it is, how it ends, and what everybody else is told."""

from dataclasses import replace

import pytest

from stepgrid.testing import InMemoryGrid
from stepgrid_core.budgets import Limits
from stepgrid_core.data_plane import TaskFault
from stepgrid_core.federation.run_rows import (
    RunOutcome,
    claim_of,
    claim_run,
    fail_untouched,
    finish_run,
    give_back_run,
    kill_run,
    kill_runs,
    read_result,
    read_run,
    read_runs,
    renew_run,
)
from stepgrid_core.names import runs_prefix
from stepgrid_core.records import Session
from stepgrid_core.states import ChunkState, SessionState, TaskState
from stepgrid_core.wiring import Grid
from tests.federated import federate

LEASE_SECONDS = 60.0
CRASHED = TaskFault("crashed", "last words")


@pytest.fixture
def memory() -> InMemoryGrid:
    return InMemoryGrid({}, autorun=False)


@pytest.fixture
def grid(memory: InMemoryGrid) -> Grid:
    return memory.wiring


@pytest.fixture
def session(grid: Grid) -> Session:
    return federate(grid)


def take(grid: Grid, session: Session, index: int = 0, claimant: str = "a" * 32) -> str:
    row = claim_run(grid, session, index, claimant, LEASE_SECONDS)
    assert row is not None
    return claim_of(row)


def finish(
    grid: Grid, session: Session, claim: str, result: str = "result", index: int = 0
) -> bool:
    return finish_run(grid, session, index, claim, result=result, fault=None, milliseconds=1500)


def state_of(grid: Grid, session: Session) -> SessionState | None:
    stored = grid.table.read_session(session.session_id)
    assert stored is not None
    return stored.verdict


def test_a_claim_is_given_to_one(grid: Grid, session: Session) -> None:
    """Who asks again gets the same claim; anybody else none."""
    claim = take(grid, session)
    assert take(grid, session) == claim
    assert claim_run(grid, session, 0, "b" * 32, LEASE_SECONDS) is None
    assert read_run(grid, session, 0).state is ChunkState.RUNNING


@pytest.mark.parametrize("claimant", ["node00000001", "a" * 32, "is|no|part of a row", "é"])
def test_any_text_can_be_a_claimant(grid: Grid, session: Session, claimant: str) -> None:
    claim = take(grid, session, claimant=claimant)
    assert "|" not in claim
    assert take(grid, session, claimant=claimant) == claim


def test_claimants_with_one_beginning_are_not_the_same(grid: Grid, session: Session) -> None:
    take(grid, session, claimant="0" * 31 + "1")
    assert claim_run(grid, session, 0, "0" * 31 + "2", LEASE_SECONDS) is None


def test_a_lease_is_renewed_while_its_claimant_is_heard_of(
    memory: InMemoryGrid, grid: Grid, session: Session
) -> None:
    """Not with every word, which would be a write each."""
    claim = take(grid, session)
    before = read_run(grid, session, 0)
    memory.clock.advance(10)
    assert renew_run(grid, session, 0, claim, LEASE_SECONDS)
    assert read_run(grid, session, 0) == before
    memory.clock.advance(20)
    assert renew_run(grid, session, 0, claim, LEASE_SECONDS)
    memory.clock.advance(50)
    assert claim_run(grid, session, 0, "b" * 32, LEASE_SECONDS) is None


def test_a_run_whose_claimant_is_gone_is_another_ones(
    memory: InMemoryGrid, grid: Grid, session: Session
) -> None:
    """The old claim is good for nothing from then on."""
    old = take(grid, session)
    memory.clock.advance(LEASE_SECONDS + 1)
    new = take(grid, session, claimant="b" * 32)
    assert read_run(grid, session, 0).losses == 1
    assert not renew_run(grid, session, 0, old, LEASE_SECONDS)
    assert not finish(grid, session, old, "late")
    assert not give_back_run(grid, session, 0, old)
    assert finish(grid, session, new)
    assert read_result(grid, session, 0) == RunOutcome(TaskState.FINISHED, "result")


def test_a_claimant_that_comes_back_first_goes_on(
    memory: InMemoryGrid, grid: Grid, session: Session
) -> None:
    """Its line was down for longer than its lease, but nobody else took the run."""
    claim = take(grid, session)
    memory.clock.advance(LEASE_SECONDS * 10)
    assert take(grid, session) == claim
    assert claim_run(grid, session, 0, "b" * 32, LEASE_SECONDS) is None
    memory.clock.advance(LEASE_SECONDS * 10)
    assert renew_run(grid, session, 0, claim, LEASE_SECONDS)
    assert finish(grid, session, claim)


def test_a_run_that_loses_every_claimant_is_lost(
    memory: InMemoryGrid, grid: Grid, session: Session
) -> None:
    for claimant in "abc":
        take(grid, session, claimant=claimant * 32)
        memory.clock.advance(LEASE_SECONDS + 1)
    assert claim_run(grid, session, 0, "d" * 32, LEASE_SECONDS) is None
    outcome = read_result(grid, session, 0)
    assert outcome is not None
    assert outcome.state is TaskState.FAILED
    assert outcome.fault is not None
    assert "node" in outcome.fault.message


def test_what_is_given_back_waits_again(grid: Grid, session: Session) -> None:
    """As often as it takes: nobody was lost."""
    for claimant in "abcdef":
        claim = take(grid, session, claimant=claimant * 32)
        assert give_back_run(grid, session, 0, claim)
        assert not give_back_run(grid, session, 0, claim)
    assert read_run(grid, session, 0).losses == 0


@pytest.mark.parametrize("size", [5, 100_000], ids=["in the row's item", "as an object"])
def test_a_result_is_read_as_it_was_sent(memory: InMemoryGrid, grid: Grid, size: int) -> None:
    """Also by who asks a second time, whose first answer was lost."""
    session = federate(grid)
    claim, result = take(grid, session), 'b64"\n\ud800é' + "x" * size
    assert finish(grid, session, claim, result)
    memory.clock.advance(5)
    again = finish_run(grid, session, 0, claim, result=result, fault=None, milliseconds=9)
    assert again
    assert read_result(grid, session, 0) == RunOutcome(TaskState.FINISHED, result)
    keys = memory.payloads.list_keys()
    assert len(keys) == (size > 10_000)
    assert all(key.startswith(runs_prefix(session.session_id)) for key in keys)


def test_what_was_committed_never_changes(memory: InMemoryGrid, grid: Grid) -> None:
    """Not by the same claim with another result, and no object of it is written."""
    session = federate(grid)
    claim = take(grid, session)
    assert finish(grid, session, claim)
    assert not finish(grid, session, claim, "x" * 100_000)
    assert not finish_run(grid, session, 0, claim, result=None, fault=CRASHED, milliseconds=1)
    assert read_result(grid, session, 0) == RunOutcome(TaskState.FINISHED, "result")
    assert memory.payloads.list_keys() == []


def test_a_failed_run_says_why(grid: Grid, session: Session) -> None:
    claim = take(grid, session)
    for _ in range(2):
        assert finish_run(grid, session, 0, claim, result=None, fault=CRASHED, milliseconds=1)
    assert read_result(grid, session, 0) == RunOutcome(TaskState.FAILED, None, CRASHED)


def test_only_a_claim_can_end_a_run(grid: Grid, session: Session) -> None:
    assert not finish(grid, session, "0.")
    assert not finish(grid, session, "1.aaaaaaaaaaaa")
    assert not finish(grid, session, "1.aaaaaaaaaaaa", index=99)
    assert read_result(grid, session, 0) is None


@pytest.mark.parametrize("organizations", [1, 3, 40])
def test_the_last_run_closes_the_session(memory: InMemoryGrid, organizations: int) -> None:
    """At once, told, and counted; nobody has to look at it any more."""
    grid = memory.wiring
    session = federate(grid, organizations)
    for index in range(organizations):
        assert state_of(grid, session) is None
        claim = take(grid, session, index)
        assert finish(grid, session, claim, index=index)
    stored = grid.table.read_session(session.session_id)
    assert stored is not None
    assert stored.verdict is SessionState.FINISHED
    assert stored.counts is not None
    assert stored.counts[TaskState.FINISHED] == organizations
    assert stored.task_seconds == 1.5 * organizations
    assert memory.events.published[-1].kind == "finished"
    assert memory.table.due_sessions(memory.clock.now() + 1e12, 10) == []


def test_runs_that_nobody_began_fail_with_their_sibling(grid: Grid, session: Session) -> None:
    """Those that are under way go on."""
    claim = take(grid, session, 0)
    assert fail_untouched(grid, session, "run 7000 crashed") == [1, 2]
    assert fail_untouched(grid, session, "run 7000 crashed") == []
    assert claim_run(grid, session, 1, "b" * 32, LEASE_SECONDS) is None
    outcome = read_result(grid, session, 1)
    assert outcome == RunOutcome(TaskState.FAILED, None, TaskFault("failed", "run 7000 crashed"))
    assert finish(grid, session, claim)
    assert state_of(grid, session) is SessionState.FINISHED


def test_runs_whose_rows_are_yet_to_be_written_fail_too(memory: InMemoryGrid) -> None:
    """A creation that was cut off leaves some to whoever comes next."""
    session = federate(memory.wiring, 100)
    unwritten = replace(session, session_id="f" + session.session_id[1:])
    blob = memory.table.read_blob(session.session_id, session.blob_id)
    memory.table.create_session(unwritten, blob, Limits())
    assert fail_untouched(memory.wiring, unwritten, "crashed") == list(range(100))
    assert state_of(memory.wiring, unwritten) is SessionState.FINISHED


def test_a_run_can_be_killed(grid: Grid, session: Session) -> None:
    """Its node's claim is good for nothing then."""
    claim = take(grid, session)
    assert kill_run(grid, session, 0)
    assert not kill_run(grid, session, 0)
    assert not renew_run(grid, session, 0, claim, LEASE_SECONDS)
    assert not finish(grid, session, claim)
    assert read_result(grid, session, 0) == RunOutcome(TaskState.CANCELLED)
    assert state_of(grid, session) is None


def test_all_runs_can_be_killed(grid: Grid, session: Session) -> None:
    """What has ended stays; nothing can be claimed once this has answered."""
    assert finish(grid, session, take(grid, session))
    assert kill_runs(grid, session).total_cancelled_tasks == 2
    assert kill_runs(grid, session).total_cancelled_tasks == 0
    assert claim_run(grid, session, 1, "b" * 32, LEASE_SECONDS) is None
    assert state_of(grid, session) is SessionState.CANCELLED
    assert read_result(grid, session, 0) == RunOutcome(TaskState.FINISHED, "result")


def test_a_session_that_was_deleted_has_no_runs(grid: Grid, session: Session) -> None:
    claim = take(grid, session)
    grid.table.delete_session(session)
    assert claim_run(grid, session, 0, "b" * 32, LEASE_SECONDS) is None
    assert not renew_run(grid, session, 0, claim, LEASE_SECONDS)
    assert not finish(grid, session, claim)
    assert read_runs(grid, session) == []
