"""The api function: an API Gateway proxy event in, a proxy answer out.

Everything between is stepgrid_core.endpoints, and for Cloud Kotta's clients
stepgrid_core.kotta_routes; only the event's form is known here.
"""

import os
from functools import cache
from typing import Any

from stepgrid_core import kotta_routes
from stepgrid_core.endpoints import HttpAnswer, HttpRequest, answer
from stepgrid_core.identity import owner_of
from stepgrid_core.proxy_event import read_request
from stepgrid_core.telemetry import logger
from stepgrid_core.wiring import Grid, aws_grid


def handle(event: dict[str, Any], grid: Grid) -> dict[str, Any]:
    """One request in API Gateway's proxy form (REST API, payload 1.0), answered by this grid."""
    request = read_request(event)
    answered = _answer(grid, request, event["requestContext"].get("identity", {}))
    grid.tally.session_id = answered.session_id
    about: dict[str, Any] = {"session_id": answered.session_id} if answered.session_id else {}
    logger.info(
        "request answered",
        method=request.method,
        path=request.path,
        status=answered.status,
        **about,
    )
    return {
        "statusCode": int(answered.status),
        "headers": {"Content-Type": "application/json", "Cache-Control": "no-store"},
        "body": answered.body,
        "isBase64Encoded": False,
    }


def _answer(grid: Grid, request: HttpRequest, identity: dict[str, Any]) -> HttpAnswer:
    """Cloud Kotta's clients sign nothing: their token is looked at where the form is read."""
    if request.path.startswith(kotta_routes.PREFIX):
        return kotta_routes.answer(grid, request)
    return answer(grid, request, lambda: owner_of(identity))


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    grid = _aws_grid()
    with grid.tally.invocation(grid.clock, context.aws_request_id):
        return handle(event, grid)


@cache
def _aws_grid() -> Grid:
    return aws_grid(dict(os.environ))
