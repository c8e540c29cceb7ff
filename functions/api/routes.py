"""The api function: an API Gateway proxy event in, a proxy answer out.

Everything between is stepgrid_core.endpoints, and for Cloud Kotta's clients
stepgrid_core.kotta_routes; only the event's form is known here.
"""

import base64
import binascii
import os
from functools import cache
from typing import Any

from identity import owner_of
from stepgrid_core import kotta_routes
from stepgrid_core.endpoints import HttpAnswer, HttpRequest, answer
from stepgrid_core.telemetry import logger
from stepgrid_core.wiring import Grid, aws_grid


def handle(event: dict[str, Any], grid: Grid) -> dict[str, Any]:
    """One request in API Gateway's proxy form (REST API, payload 1.0), answered by this grid."""
    context = event["requestContext"]
    request = HttpRequest(
        method=event["httpMethod"],
        path=event["path"],
        query=event.get("multiValueQueryStringParameters") or {},
        body=_body(event),
        request_id=context.get("requestId", ""),
        headers={name.lower(): value for name, value in (event.get("headers") or {}).items()},
    )
    answered = _answer(grid, request, context.get("identity", {}))
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


def _body(event: dict[str, Any]) -> bytes:
    """Bytes that can't be decoded are passed on: the contract refuses them as no JSON."""
    body = event.get("body") or ""
    raw = body.encode("utf-8", "surrogatepass")
    if not event.get("isBase64Encoded"):
        return raw
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return raw


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    grid = _aws_grid()
    with grid.tally.invocation(grid.clock, context.aws_request_id):
        return handle(event, grid)


@cache
def _aws_grid() -> Grid:
    return aws_grid(dict(os.environ))
