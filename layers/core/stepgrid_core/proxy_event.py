"""API Gateway's proxy form (REST API, payload 1.0), read into a request. Knows no route.

With binary media types every body comes in base64; without, as the text that was sent.
"""

import base64
import binascii
from typing import Any

from .endpoints import HttpRequest


def read_request(event: dict[str, Any]) -> HttpRequest:
    return HttpRequest(
        method=event["httpMethod"],
        path=event["path"],
        query=event.get("multiValueQueryStringParameters") or {},
        body=_body(event),
        request_id=event["requestContext"].get("requestId", ""),
        headers={name.lower(): value for name, value in (event.get("headers") or {}).items()},
    )


def stage_prefix(event: dict[str, Any]) -> str:
    """What stands before the path where clients ask: "/dev"; empty where the path is all."""
    asked = str(event["requestContext"].get("path") or "")
    return asked.removesuffix(event["path"]) if asked.endswith(event["path"]) else ""


def _body(event: dict[str, Any]) -> bytes:
    """Bytes that can't be decoded are passed on: who reads them refuses them as no JSON."""
    body = event.get("body") or ""
    raw = bytes(body.encode("utf-8", "surrogatepass"))
    if not event.get("isBase64Encoded"):
        return raw
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return raw
