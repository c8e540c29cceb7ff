"""What every refusal looks like."""

from pydantic import JsonValue

from .model import Response


class ErrorBody(Response):
    code: str
    message: str
    details: JsonValue = None


class ErrorResponse(Response):
    error: ErrorBody
    request_id: str
