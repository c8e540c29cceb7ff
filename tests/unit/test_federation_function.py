"""The federation function as Lambda calls it, with the sample events, over memory."""

import base64
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import federation_routes
from federation_routes import handle, shape
from stepgrid_core.federation.authentication import authenticate
from stepgrid_core.federation.http import Answer
from stepgrid_core.proxy_event import read_request, stage_prefix
from stepgrid_core.telemetry import logger

from .hospitals import World
from .login_world import API_KEY, PASSWORD, LoginWorld

PROJECT = Path(__file__).parents[2]
EVENTS = PROJECT / "events" / "federation"


def load(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return event


@pytest.fixture
def world() -> LoginWorld:
    return LoginWorld()


def test_the_sample_question_is_answered(world: LoginWorld) -> None:
    """events/federation/get_version.json is a request that works."""
    answer = handle(load("get_version"), world.federation)
    assert answer == {
        "statusCode": 200,
        "headers": {"Content-Type": "application/json", "Cache-Control": "no-store"},
        "body": '{"version": "4.15.2"}',
        "isBase64Encoded": False,
    }


def test_what_no_answer_can_carry_is_told() -> None:
    """Lambda would make an error of the server of it, which clients repeat for ever."""
    world = World()
    world.create_task("ann", 1, 2)
    for organization in (1, 2):
        [run] = world.sync(organization)["runs"]
        assert world.finish(organization, run, "x" * 3_000_000).status == 200
    event = load("get_version") | {
        "path": "/api/task/1",
        "headers": {"authorization": "Bearer ann"},
    }
    assert handle(event, world.federation)["statusCode"] == 200
    event["multiValueQueryStringParameters"] = {"include": ["results"]}
    answer = handle(event, world.federation)
    assert answer["statusCode"] == 413
    assert "more than one answer can carry" in answer["body"]


@pytest.mark.parametrize("identity", [{}, {"sourceIp": "203.0.113.7"}])
def test_a_signed_route_needs_a_signature(world: LoginWorld, identity: dict[str, str]) -> None:
    """Also if its path came in by the route that nobody signs: a token counts for nothing there."""
    event = load("get_version") | {"path": "/v1/federation/whoami"}
    event["headers"] = {"authorization": "Bearer token of 1"}
    event["requestContext"]["identity"] = identity
    assert handle(event, world.federation)["statusCode"] == 403


def test_the_sample_login_works(world: LoginWorld) -> None:
    """events/federation/post_token_node.json: the body is in base64, the URLs have the stage."""
    answer = handle(load("post_token_node"), world.federation)
    assert answer["statusCode"] == 200
    answered = json.loads(answer["body"])
    assert answered["refresh_url"] == "/dev/api/token/refresh"
    assert authenticate(world.federation, answered["access_token"]).kind == "node"


def test_a_body_may_come_as_text(world: LoginWorld) -> None:
    """Where API Gateway takes no type for bytes."""
    event = load("post_token_node")
    text = base64.b64decode(event["body"]).decode()
    event |= {"body": text, "isBase64Encoded": False}
    assert handle(event, world.federation)["statusCode"] == 200


@pytest.mark.parametrize("body", ["", None, "%%%", "e30=", "\ud800"])
def test_a_spoiled_body_is_refused(world: LoginWorld, body: str | None) -> None:
    """As a request that is wrong, whatever is in it."""
    answer = handle(load("post_token_node") | {"body": body}, world.federation)
    assert answer["statusCode"] == 400


def test_headers_have_any_case(world: LoginWorld) -> None:
    """The token is found."""
    tokens = json.loads(handle(load("post_token_node"), world.federation)["body"])
    bearer = f"Bearer {tokens['access_token']}"
    event = load("get_version") | {"path": "/api/blobstream/status"}
    for headers, status in (
        (None, 401),
        ({"AUTHORIZATION": bearer}, 200),
        ({"authorization": bearer}, 200),
    ):
        assert handle(event | {"headers": headers}, world.federation)["statusCode"] == status


def test_bytes_go_back_in_base64() -> None:
    """With the headers of the route: API Gateway makes bytes of it again."""
    headers = {"Set-Cookie": "io=1"}
    answer = shape(Answer(b"\xff\x00", content_type="application/octet-stream", headers=headers))
    assert answer["isBase64Encoded"] is True
    assert base64.b64decode(answer["body"]) == b"\xff\x00"
    assert answer["headers"]["Content-Type"] == "application/octet-stream"
    assert answer["headers"]["Set-Cookie"] == "io=1"


@pytest.mark.parametrize(
    ("asked", "prefix"),
    [("/dev/api/version", "/dev"), ("/api/version", ""), ("/other", ""), (None, "")],
)
def test_the_stage_is_what_stands_before_the_path(asked: str | None, prefix: str) -> None:
    """Nothing, where a domain of one's own hides it."""
    event = load("get_version")
    event["requestContext"]["path"] = asked
    assert stage_prefix(event) == prefix


def test_a_query_keeps_all_values() -> None:
    event = load("get_version")
    event["multiValueQueryStringParameters"] = {"include": ["a", "b"]}
    assert read_request(event).query == {"include": ["a", "b"]}


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(f"{record.getMessage()} {vars(record)}")


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler, level = Lines(), logger.log_level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.setLevel(level)
    logger.removeHandler(handler)


def test_no_secret_is_logged(world: LoginWorld, lines: Lines) -> None:
    """No key, no password, no token: only what was asked and how it went."""
    secrets = [API_KEY, PASSWORD]
    for path, body in (
        ("/api/token/node", {"api_key": API_KEY}),
        ("/api/token/user", {"username": "ann", "password": PASSWORD}),
    ):
        data = base64.b64encode(json.dumps(body).encode()).decode()
        event = load("post_token_node") | {"path": path, "body": data}
        tokens = json.loads(handle(event, world.federation)["body"])
        secrets += [tokens["access_token"], tokens["refresh_token"]]
        headers = {"Authorization": f"Bearer {tokens['refresh_token']}"}
        handle(event | {"path": "/api/token/refresh", "headers": headers}, world.federation)
    assert len(lines.texts) == 4
    assert not [secret for secret in secrets for text in lines.texts if secret in text]


def test_the_handler_is_there() -> None:
    """As the template names it."""
    assert callable(federation_routes.handler)


def test_other_functions_do_without_its_libraries() -> None:
    """Their cold starts do not pay for signatures that they never look at."""
    modules = "broker, recorder, relay, routes, stepgrid_core.worker, sweeper"
    assert loaded_by(modules, {"cryptography", "jwt"}) == "set()\n"


def test_a_worker_does_without_routes() -> None:
    """Its grid asks for members, and its cold start does not pay for what only requests need."""
    modules = "stepgrid_core.worker, stepgrid_core.federation.membership"
    assert loaded_by(modules, {"stepgrid_core.endpoints"}) == "set()\n"


def loaded_by(modules: str, looked_for: set[str]) -> str:
    """Which of these an import of the modules brings along, as Python prints a set."""
    program = f"import sys, {modules}; print({looked_for!r} & sys.modules.keys())"
    paths = [str(PROJECT / "functions" / name) for name in ("api", "control")]
    found = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": os.pathsep.join([*paths, str(PROJECT / "layers" / "core")])},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return found.stdout
