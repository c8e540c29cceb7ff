"""Named faults of the emulator's API Gateway, and what restores AWS's behaviour.

Made inside the emulator's process, as those of `corrected_ministack`. One function per fault.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from ministack import app
from ministack.services import apigateway_v1

#: What stands before the stage in the address of the request that is answered: empty on AWS.
_before_stage: ContextVar[str] = ContextVar("before_stage", default="")


def read_escaped_media_types() -> None:
    """Let a template's binary media types count.

    AWS: CloudFormation takes them with their slashes escaped, as in "image~1png" (resource
    reference of AWS::ApiGateway::RestApi).
    ministack 1.5.33: keeps them as they are written, and no type is ever one of them.
    """
    matches = apigateway_v1._media_type_matches

    def match_unescaped(media_type: Any, binary_media_types: Any) -> bool:
        types = [each.replace("~1", "/") for each in binary_media_types or []]
        return bool(matches(media_type, types))

    apigateway_v1._media_type_matches = match_unescaped


def tell_where_clients_asked() -> None:
    """Let an event say under which path its client asked.

    AWS: requestContext.path is the path of the request, with the stage ($context.path, API Gateway
    developer guide); from it a function makes links that lead back to itself.
    ministack 1.5.33: has APIs at paths as well as at hosts of their own, and tells the part from
    the stage on: such a link leads nowhere.
    """
    parse, build = app._parse_execute_api_url, apigateway_v1._build_lambda_event_v1

    def parse_and_note(host: str, path: str) -> Any:
        parsed = parse(host, path)
        if parsed is not None:
            _, stage, execute_path = parsed
            _before_stage.set(path.removesuffix(execute_path).removesuffix(f"/{stage}"))
        return parsed

    def build_with_path(*given: Any, **named: Any) -> Any:
        event = build(*given, **named)
        context = event["requestContext"]
        context["path"] = f"{_before_stage.get()}{context['path']}"
        return event

    app._parse_execute_api_url = parse_and_note
    apigateway_v1._build_lambda_event_v1 = build_with_path
