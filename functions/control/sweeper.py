"""Every minute: heal whatever is past its time. See recovery, upkeep and cloud_events."""

import os
from functools import cache, partial
from typing import Any

from stepgrid_core.federation.cloud_events import ask_for_open
from stepgrid_core.federation.service import Federation
from stepgrid_core.federation.upkeep import look_after, take_over
from stepgrid_core.recovery import sweep
from stepgrid_core.subscriptions import remove_stale
from stepgrid_core.telemetry import logger
from stepgrid_core.wiring import aws_upkeep


def handle(federation: Federation) -> dict[str, int]:
    grid = federation.grid
    looked_at = sweep(grid, partial(take_over, federation))
    removed, mended = remove_stale(grid), look_after(federation)
    counts = {"sessions": looked_at, "subscriptions": removed, "mended": mended}
    counts["cloud_runs"] = ask_for_open(federation)
    logger.info("sweep done", extra=counts)
    return counts


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    federation = _aws_federation()
    grid = federation.grid
    with grid.tally.invocation(grid.clock, context.aws_request_id):
        return handle(federation)


@cache
def _aws_federation() -> Federation:
    return aws_upkeep(dict(os.environ))
