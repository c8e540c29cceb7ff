"""Every minute: heal whatever is past its time. See stepgrid_core.recovery."""

import os
from functools import cache
from typing import Any

from stepgrid_core.recovery import sweep
from stepgrid_core.subscriptions import remove_stale
from stepgrid_core.telemetry import logger
from stepgrid_core.wiring import Grid, aws_grid


def handle(grid: Grid) -> dict[str, int]:
    looked_at = sweep(grid)
    removed = remove_stale(grid)
    logger.info("sweep done", sessions=looked_at, subscriptions=removed)
    return {"sessions": looked_at, "subscriptions": removed}


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    grid = _aws_grid()
    with grid.tally.invocation(grid.clock, context.aws_request_id):
        return handle(grid)


@cache
def _aws_grid() -> Grid:
    return aws_grid(dict(os.environ))
