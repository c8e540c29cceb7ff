"""What control has to do between the sweeps.

state machines: a worker was lost, or a Map is over      see stepgrid_core.loss
whoever freed slots of a worker that others wait for     see stepgrid_core.admission
whoever closed a session that others depend on           see stepgrid_core.dependencies
"""

import os
from functools import cache
from typing import Any

from stepgrid_core.admission import admit_waiting
from stepgrid_core.container_loss import ContainerEnd, container_ended
from stepgrid_core.dependencies import release_dependents
from stepgrid_core.invocation import Invocation, capacity_of
from stepgrid_core.loss import lose, settle
from stepgrid_core.metrics import Metric
from stepgrid_core.telemetry import logger
from stepgrid_core.wiring import Grid, aws_grid


def handle(event: dict[str, Any], grid: Grid) -> dict[str, Any]:
    """{"action": "lost", session, chunk, token, error}, {"action": "settle", session},
    {"action": "container", session, token, error}, {"action": "admit", worker} or
    {"action": "release", session_id}.
    """
    if event["action"] == "admit":
        started = admit_waiting(grid, event["worker"])
        logger.info("queue looked at", worker=event["worker"], started=started)
        return {"started": started}
    if event["action"] == "release":
        grid.tally.session_id = event["session_id"]
        dependents = release_dependents(grid, event["session_id"])
        logger.info("dependents looked at", session_id=event["session_id"], dependents=dependents)
        return {"dependents": dependents}
    if event["action"] == "lost":
        invocation = Invocation.read(event)
        grid.tally.session_id = invocation.facts.session_id
        error = str(event.get("error", {}).get("Error", ""))
        outcome = lose(grid, invocation, error)
        logger.warning(
            "worker lost",
            session_id=invocation.facts.session_id,
            chunk=invocation.chunk,
            error=error,
            outcome=outcome,
        )
        lost = {Metric.WORKERS_LOST: [1]}
        session_id = invocation.facts.session_id
        grid.metrics.emit(invocation.facts.worker, lost, session_id=session_id)
        return {"outcome": outcome}
    if event["action"] == "container":
        return _container_ended(event, grid)
    facts = Invocation.read_facts(event["session"])
    grid.tally.session_id = facts.session_id
    chunks = settle(grid, facts)
    logger.info("map settled", session_id=facts.session_id, chunks_left=len(chunks))
    return {"chunks": chunks}


def _container_ended(event: dict[str, Any], grid: Grid) -> dict[str, Any]:
    facts = Invocation.read_facts(event["session"])
    grid.tally.session_id = facts.session_id
    error = event["error"]
    end = ContainerEnd(event["token"], str(error.get("Error", "")), str(error.get("Cause", "")))
    replacement = container_ended(grid, facts, end)
    outcome = "again" if replacement.wanted else "ended"
    logger.info("container ended", session_id=facts.session_id, error=end.error, outcome=outcome)
    if end.error:
        lost = {Metric.WORKERS_LOST: [1]}
        grid.metrics.emit(facts.worker, lost, session_id=facts.session_id)
    return {"outcome": outcome, "capacity": list(capacity_of(replacement.spot))}


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    grid = _aws_grid()
    with grid.tally.invocation(grid.clock, context.aws_request_id):
        return handle(event, grid)


@cache
def _aws_grid() -> Grid:
    return aws_grid(dict(os.environ))
