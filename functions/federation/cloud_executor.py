"""Does what comes next of runs of nodes in the cloud: an event of the bus in, sessions out.

A task was created or killed, a session that did a run has ended, or the sweeper asks for what is
open. A repeat does no harm; see stepgrid_core.federation.cloud_runs.
"""

import os
from functools import cache
from typing import Any

from stepgrid_core.federation.cloud_events import run_of_session, runs_about
from stepgrid_core.federation.cloud_runs import advance
from stepgrid_core.federation.events import DETAIL_TYPE, FederationEvent
from stepgrid_core.federation.service import Federation
from stepgrid_core.telemetry import logger
from stepgrid_core.wiring import aws_federation


def handle(event: dict[str, Any], federation: Federation) -> dict[str, int]:
    """Answers how many runs were looked at."""
    runs = _runs_of(event, federation)
    federation.grid.each(lambda run: advance(federation, run), runs)
    logger.info("runs in the cloud looked at", about=event["detail-type"], runs=len(runs))
    return {"runs": len(runs)}


def _runs_of(event: dict[str, Any], federation: Federation) -> list[int]:
    if event["detail-type"].startswith(f"{DETAIL_TYPE} "):
        return runs_about(federation, FederationEvent.read(event["detail"]))
    run = run_of_session(federation, event["detail"]["session_id"])
    return [] if run is None else [run]


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    federation = _aws_federation()
    grid = federation.grid
    with grid.tally.invocation(grid.clock, context.aws_request_id):
        return handle(event, federation)


@cache
def _aws_federation() -> Federation:
    return aws_federation(dict(os.environ))
