"""How a federation's route is found, and what every refusal looks like."""

import json
from dataclasses import replace
from typing import Any

import pytest

from stepgrid_core.endpoints import HttpRequest
from stepgrid_core.errors import Unavailable
from stepgrid_core.federation.http import Answer, Call, Route
from stepgrid_core.federation.open_routes import VERSION
from stepgrid_core.federation.routing import ROUTES, answer
from stepgrid_core.memory import MemoryTokenSigner

from .login_world import API_KEY, LoginWorld


@pytest.fixture
def world() -> LoginWorld:
    return LoginWorld()


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_everything_is_there_twice(world: LoginWorld, prefix: str) -> None:
    """At the root and at "/api": clients have one or the other."""
    assert world.ask("GET", f"{prefix}/version") == (200, {"version": VERSION})
    assert world.ask("GET", f"{prefix}/health") == (200, {"database": True})


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/", "/api/api/version", "/version/", "/v1/sessions", "/versions", ""]
)
def test_an_unknown_route(world: LoginWorld, path: str) -> None:
    """Is told as clients read it, without asking who it is."""
    status, answered = world.ask("GET", path)
    assert status == 404
    assert answered.keys() == {"msg"}


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS"])
def test_a_wrong_method(world: LoginWorld, method: str) -> None:
    status, answered = world.ask(method, "/api/version")
    assert status == 405
    assert method in answered["msg"]


@pytest.mark.parametrize("headers", [{}, {"authorization": ""}, {"authorization": "Basic YTpi"}])
def test_a_token_is_asked_for(world: LoginWorld, headers: dict[str, str]) -> None:
    request = HttpRequest("GET", "/api/blobstream/status", headers=headers)
    answered = answer(world.federation, request)
    assert answered.status == 401
    assert answered.body == {"msg": "Missing Authorization Header"}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_has_any_case(world: LoginWorld, scheme: str) -> None:
    """As HTTP has it."""
    token = world.ask("POST", "/token/node", {"api_key": API_KEY})[1]["access_token"]
    headers = {"authorization": f"{scheme} {token}"}
    answered = answer(world.federation, HttpRequest("GET", "/blobstream/status", headers=headers))
    assert (answered.status, answered.body) == (200, {"blob_store_enabled": False})


class LostSigner(MemoryTokenSigner):
    """A key that does not answer."""

    def public_key(self) -> bytes:
        raise Unavailable("the signing key: no answer from the service")


def test_an_outage_says_to_ask_again(world: LoginWorld) -> None:
    """And nothing of what is behind it."""
    token = world.ask("POST", "/token/node", {"api_key": API_KEY})[1]["access_token"]
    lost = replace(world.federation, signer=LostSigner())
    headers = {"authorization": f"Bearer {token}"}
    answered = answer(lost, HttpRequest("GET", "/blobstream/status", headers=headers))
    assert answered.status == 503
    assert "send the same request again" in answered.body["msg"]
    assert "key" not in answered.body["msg"]


def test_an_open_route_needs_no_key(world: LoginWorld) -> None:
    """A grid whose key is away still says which version it is, whatever token comes along."""
    lost = replace(world.federation, signer=LostSigner())
    headers = {"authorization": "Bearer token"}
    assert answer(lost, HttpRequest("GET", "/version", headers=headers)).status == 200


@pytest.mark.parametrize("body", [b"{", b"[]", b'"a"', b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_object(world: LoginWorld, body: bytes) -> None:
    request = HttpRequest("POST", "/token/node", body=body)
    answered = answer(world.federation, request)
    assert answered.status == 400
    assert answered.body == {"msg": "Request body is incorrect", "errors": {}}


def test_no_two_routes_are_the_same() -> None:
    """The second would never be used."""
    names = [(route.method, route.path) for route in ROUTES]
    assert len(set(names)) == len(names)


def _nothing(_: Call) -> Answer:
    return Answer(None)


@pytest.mark.parametrize(
    ("route", "path", "ids"),
    [
        ("/task/{id}", "/task/12", {"id": "12"}),
        ("/task/{id}", "/task/x", None),
        ("/task/{id}", "/task/", None),
        ("/task/{id}", "/task/1/result", None),
        ("/task/{id}", "/task/1234567890123456", None),
        ("/task/{id}/result", "/task/1/result", {"id": "1"}),
        ("/user/{id:[0-9a-f-]+}", "/user/0-ab", {"id": "0-ab"}),
        ("/user/{id:[0-9a-f-]+}", "/user/12", {"id": "12"}),
        ("/user/{id:[0-9a-f-]+}", "/user/x", None),
        ("/a/{id}/b/{name:[a-z]+}", "/a/1/b/c", {"id": "1", "name": "c"}),
        ("/socket.io/", "/socket.io/", {}),
        ("/socket.io/", "/socketxio/", None),
    ],
)
def test_ids_of_a_path(route: str, path: str, ids: Any) -> None:
    """A number, unless the route says another pattern; all else is as it is written."""
    match = Route("GET", route, _nothing).match(path)
    assert (None if match is None else match.groupdict()) == ids


def test_links_begin_with_the_stage(world: LoginWorld) -> None:
    """And with what the client asked at."""
    body = json.dumps({"api_key": API_KEY}).encode()
    for path, base in (("/token/node", "/dev"), ("/api/token/node", "/dev/api")):
        answered = answer(world.federation, HttpRequest("POST", path, body=body), "/dev")
        assert answered.body["node_url"] == f"{base}/node/5"
