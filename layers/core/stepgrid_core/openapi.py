"""The OpenAPI 3.1 document of the `/v1` API, made from the contract and its routes.

`python -m stepgrid_core.openapi` prints it; docs/openapi.json is checked against it.
"""

import json
import re
import sys
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from . import contract
from .endpoints import ROUTES, Route

REFERENCE = "#/components/schemas/{model}"


def make_document() -> dict[str, Any]:
    models = {contract.ErrorResponse} | {route.answer for route in ROUTES}
    models |= {route.body for route in ROUTES if route.body is not None}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, schemas = models_json_schema(
        [(model, "validation") for model in ordered], ref_template=REFERENCE
    )
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "stepgrid", "version": contract.CONTRACT_VERSION},
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {
                "sigv4": {"type": "apiKey", "name": "Authorization", "in": "header",
                          "x-amazon-apigateway-authtype": "awsSigv4"}
            },
        },
    }  # fmt: skip


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "parameters": _path_parameters(route) + _query_parameters(route),
        "responses": {
            str(route.status.value): _content("Success", route.answer),
            "4XX": _content("The request can't be carried out", contract.ErrorResponse),
            "503": _content("Send the same request again", contract.ErrorResponse),
        },
        "security": [{"sigv4": []}] if route.signed else [],
    }
    if route.body is not None:
        operation["requestBody"] = {"required": True, **_content("", route.body)}
        del operation["requestBody"]["description"]
    return operation


def _content(description: str, model: type[BaseModel]) -> dict[str, Any]:
    schema = {"$ref": REFERENCE.format(model=model.__name__)}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    schema = route.query.model_json_schema(ref_template=REFERENCE)
    return [
        {"name": name, "in": "query", "required": False, "schema": field}
        for name, field in schema.get("properties", {}).items()
    ]


def render() -> str:
    return json.dumps(make_document(), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
