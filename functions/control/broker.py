"""Called by containers: all that they may ask of the grid. See stepgrid_core.broker.

A container's role may call this function and little else; which session it speaks for, it shows by
that session's ticket.
"""

import os
from functools import cache
from typing import Any

from stepgrid_core.broker import answer
from stepgrid_core.ports import CredentialLender
from stepgrid_core.telemetry import logger
from stepgrid_core.wiring import Grid, aws_grid, aws_lender


def handle(event: Any, grid: Grid, lender: CredentialLender) -> dict[str, Any]:
    """{"action", session_id, ticket, container, ...}; neither ticket nor answer is logged."""
    asked = event if isinstance(event, dict) else {}
    session_id = str(asked.get("session_id", ""))[:64]
    grid.tally.session_id = session_id
    answered = answer(grid, lender, asked)
    code = answered["error"]["code"] if "error" in answered else "ok"
    action = str(asked.get("action", ""))[:32]
    logger.info("container answered", session_id=session_id, action=action, outcome=code)
    return answered


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    grid = _aws_grid()
    with grid.tally.invocation(grid.clock, context.aws_request_id):
        return handle(event, grid, _aws_lender())


@cache
def _aws_grid() -> Grid:
    return aws_grid(dict(os.environ))


@cache
def _aws_lender() -> CredentialLender:
    return aws_lender(_aws_grid().settings)
