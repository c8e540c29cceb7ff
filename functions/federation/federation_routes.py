"""The federation function: an API Gateway proxy event in, a proxy answer out.

Everything between is stepgrid_core.federation.routing; only the event's form is known here. API
Gateway lets most requests in unsigned: who asks is looked at there. Those to /v1/federation are
signed, and verified by API Gateway.
"""

import base64
import json
import os
from functools import cache
from http import HTTPStatus
from typing import Any

from stepgrid_core.endpoints import HttpRequest
from stepgrid_core.errors import RequestError, Unavailable
from stepgrid_core.federation.authentication import authenticate_signed
from stepgrid_core.federation.http import Answer
from stepgrid_core.federation.routing import SIGNED, answer, answer_signed, refuse_signed
from stepgrid_core.federation.service import Federation
from stepgrid_core.identity import owner_of, subject_of
from stepgrid_core.proxy_event import read_request, stage_prefix
from stepgrid_core.telemetry import logger
from stepgrid_core.wiring import aws_federation

#: Of a function's answer (Lambda quotas); a client would be told of an error of the server.
MOST_ANSWER_BYTES = 6_000_000


def handle(event: dict[str, Any], federation: Federation) -> dict[str, Any]:
    """One request in API Gateway's proxy form (REST API, payload 1.0)."""
    request = read_request(event)
    if request.path.startswith(f"{SIGNED}/"):
        answered = _answer_signed(event, request, federation)
    else:
        answered = answer(federation, request, stage_prefix(event))
    shaped = shape(answered)
    if is_too_large(shaped):
        answered = Answer(
            {"msg": "this is more than one answer can carry; ask for less: fewer a page, or one"},
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        )
        shaped = shape(answered)
    logger.info(
        "request answered", method=request.method, path=request.path, status=int(answered.status)
    )
    return shaped


def is_too_large(shaped: dict[str, Any]) -> bool:
    """The answer is text within JSON, where its quotes take two characters."""
    body: str = shaped["body"]
    half = MOST_ANSWER_BYTES // 2
    return len(body) > half and len(json.dumps(body)) > MOST_ANSWER_BYTES


def _answer_signed(event: dict[str, Any], request: HttpRequest, federation: Federation) -> Answer:
    identity = event["requestContext"].get("identity", {})
    try:
        principal = authenticate_signed(federation, owner_of(identity), subject_of(identity))
        return answer_signed(federation, request, principal, stage_prefix(event))
    except RequestError as error:
        return refuse_signed(error, request)
    except Unavailable as error:
        logger.warning("service unavailable", reason=str(error))
        shown = {"code": "unavailable", "message": "send the same request again", "details": {}}
        body = {"error": shown, "request_id": request.request_id}
        return Answer(body, HTTPStatus.SERVICE_UNAVAILABLE)


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
