"""Sessions of federated tasks, made in a grid as the routes of a federation make them."""

from collections.abc import Mapping
from dataclasses import replace

from stepgrid.testing import InMemoryGrid
from stepgrid_core.data_plane import TaskFault
from stepgrid_core.federation.run_rows import claim_of, claim_run, finish_run
from stepgrid_core.federation.sessions import create_session
from stepgrid_core.records import FederationFacts, Session
from stepgrid_core.wiring import Grid

OWNER = "arn:aws:iam::000000000000:user/researcher"
SESSION_ID = "0f0e0d0c-0b0a-0908-0706-050403020100"


def federate(
    grid: Grid,
    organizations: int = 3,
    *,
    session_id: str = SESSION_ID,
    task_id: int = 7,
    inputs: list[str] | None = None,
    timeout_seconds: float | None = None,
    max_attempts: int = 3,
) -> Session:
    """A task for organizations 1, 2, 3 ..., each with an input of its own."""
    ids = tuple(range(1, organizations + 1))
    return create_session(
        grid,
        OWNER,
        session_id=session_id,
        facts=FederationFacts(task_id, 1, ids),
        inputs=inputs or [f"input of {id}" for id in ids],
        name="average",
        tags={"federated_task": str(task_id)},
        timeout_seconds=timeout_seconds,
        max_attempts=max_attempts,
    )


class Members:
    """Whoever is in the collaboration, until `left` says otherwise."""

    def __init__(self) -> None:
        self.left: set[str] = set()

    def may_read(self, session: Session) -> bool:
        return session.owner not in self.left


def federated_grid(settings: Mapping[str, object] | None = None) -> tuple[InMemoryGrid, Members]:
    """A grid in memory that has a federation."""
    memory, members = InMemoryGrid({}, autorun=False, settings=settings), Members()
    memory.wiring = replace(memory.wiring, members=members)
    return memory, members


def end_run(grid: Grid, session: Session, index: int, result: str | None) -> None:
    """A node takes a run and ends it; without a result it has crashed."""
    row = claim_run(grid, session, index, f"node {index}", 60)
    assert row is not None
    fault = TaskFault("crashed", "last words") if result is None else None
    claim = claim_of(row)
    assert finish_run(grid, session, index, claim, result=result, fault=fault, milliseconds=1500)
