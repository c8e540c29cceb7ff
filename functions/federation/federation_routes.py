"""The federation function: an API Gateway proxy event in, a proxy answer out.

Everything between is stepgrid_core.federation.routing; only the event's form is known here. API
Gateway lets these requests in unsigned: who asks is looked at there.
"""

import base64
import os
from functools import cache
from typing import Any

from stepgrid_core.federation.http import Answer
from stepgrid_core.federation.routing import answer
from stepgrid_core.federation.service import Federation
from stepgrid_core.proxy_event import read_request, stage_prefix
from stepgrid_core.telemetry import logger
from stepgrid_core.wiring import aws_federation


def handle(event: dict[str, Any], federation: Federation) -> dict[str, Any]:
    """One request in API Gateway's proxy form (REST API, payload 1.0)."""
    request = read_request(event)
    answered = answer(federation, request, stage_prefix(event))
    logger.info(
        "request answered", method=request.method, path=request.path, status=int(answered.status)
    )
    return shape(answered)


def shape(answered: Answer) -> dict[str, Any]:
    """As API Gateway wants it: bytes in base64."""
    headers = {"Content-Type": answered.content_type, "Cache-Control": "no-store"}
    is_bytes = isinstance(answered.body, bytes)
    body = base64.b64encode(answered.data) if is_bytes else answered.data
    return {
        "statusCode": int(answered.status),
        "headers": headers | dict(answered.headers),
        "body": body.decode(),
        "isBase64Encoded": is_bytes,
    }


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    federation = _aws_federation()
    grid = federation.grid
    with grid.tally.invocation(grid.clock, context.aws_request_id):
        return handle(event, federation)


@cache
def _aws_federation() -> Federation:
    return aws_federation(dict(os.environ))
