"""Sessions of federated tasks, made in a grid as the routes of a federation make them."""

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
