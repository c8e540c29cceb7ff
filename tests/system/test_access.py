"""Who gets in: unsigned, wrongly signed, foreign and malformed requests against the real API."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import requests
from requests_aws4auth import AWS4Auth

from stepgrid import Grid
from stepgrid_core.endpoints import ROUTES
from tests.malformed_requests import make_cases

SIGNED = [route for route in ROUTES if route.signed]
BODIES: dict[str, Any] = {
    "/v1/uploads": {},
    "/v1/sessions": {"client_token": "x", "worker": "mock-compute", "tasks": [{}]},
    "/v1/sessions/cancel": {"session_ids": ["0"]},
    "/v1/sessions/{session_id}": {"priority": 9},
    "/v1/subscriptions": {"client_token": "x"},
    "/v1/subscriptions/{subscription_id}/events": {},
}


class Caller:
    """Plain HTTP with one user's keys, or none: what no SDK would send."""

    def __init__(self, endpoint: str, auth: AWS4Auth | None) -> None:
        self._base = endpoint.removesuffix("/v1")
        self._http = requests.Session()
        self._http.trust_env = False
        self._auth = auth

    def send(self, method: str, path: str, body: bytes = b"", query: Any = None):  # type: ignore[no-untyped-def]
        return self._http.request(
            method, self._base + path, params=query, data=body or None, auth=self._auth, timeout=60
        )


@pytest.fixture
def make_caller(make_grid: Callable[[str], Grid]) -> Callable[..., Caller]:
    def make(user: str | None, secret: str | None = None) -> Caller:
        config = make_grid(user or "quant").config
        assert config is not None
        if user is None:
            return Caller(config.endpoint, None)
        keys = (config.access_key_id, secret or config.secret_access_key)
        return Caller(config.endpoint, AWS4Auth(*keys, config.region, "execute-api"))

    return make


def path_of(route: Any, session_id: str) -> str:
    """Also of other things that have an id in their path."""
    return re.sub(r"\{\w+\}", session_id, str(route.path))


def body_of(route: Any) -> bytes:
    return json.dumps(BODIES[route.path]).encode() if route.body else b""


@pytest.mark.parametrize("route", SIGNED, ids=lambda route: f"{route.method} {route.path}")
def test_unsigned_and_wrongly_signed_requests_are_refused(
    route: Any, make_caller: Callable[..., Caller]
) -> None:
    """Without a valid signature no route answers, whatever is asked."""
    path = path_of(route, "00000000-0000-0000-0000-000000000000")
    for caller in (make_caller(None), make_caller("quant", "0" * 40)):
        assert caller.send(route.method, path, body_of(route)).status_code == 403


def test_health_needs_no_signature(make_caller: Callable[..., Caller]) -> None:
    """A load balancer may ask whether the grid is there."""
    assert make_caller(None).send("GET", "/v1/health").json()["status"] == "ok"


def test_where_to_log_in_needs_no_signature(make_caller: Callable[..., Caller]) -> None:
    """A client that knows only the API's address finds the pools, and nothing secret."""
    found = make_caller(None).send("GET", "/v1/login").json()
    assert set(found) == {
        "region",
        "user_pool_id",
        "user_pool_client_id",
        "identity_pool_id",
        "aws_endpoint_url",
    }
    assert found["user_pool_id"].startswith(found["region"] + "_")


OWNED = [route for route in SIGNED if "{session_id}" in route.path]


@pytest.mark.parametrize("route", OWNED, ids=lambda route: f"{route.method} {route.path}")
def test_foreign_and_unknown_sessions_answer_alike(
    route: Any, grid: Grid, make_caller: Callable[..., Caller]
) -> None:
    """Another owner's id gives the answer that an invented one gives."""
    real = grid.submit("mock-compute", [{}], client_token="mine").id
    invented = ("0" if real[0] != "0" else "1") + real[1:]
    rival = make_caller("rival")
    answers = [
        rival.send(route.method, path_of(route, session), body_of(route))
        for session in (real, invented)
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    errors = [answer.json()["error"] for answer in answers]
    assert errors[0]["message"].replace(real, invented) == errors[1]["message"]
    assert grid.session(real).id == real


def test_foreign_sessions_are_neither_cancelled_nor_listed(
    grid: Grid, make_grid: Callable[[str], Grid]
) -> None:
    """Cancel answers zeros for another's session and leaves it running; lists show own ones."""
    session = grid.submit("mock-compute", [{"worker_arguments": ["200", "1", "1"]}] * 4)
    rival = make_grid("rival")
    assert rival.cancel([session.id])[session.id].total_cancelled_tasks == 0
    assert all(found.session_id != session.id for found in rival.sessions())
    assert session.results() == [200] * 4


def test_the_same_token_of_two_owners_makes_two_sessions(
    grid: Grid, make_grid: Callable[[str], Grid]
) -> None:
    """A token belongs to its owner; nobody can run into another's session by guessing it."""
    mine = grid.submit("mock-compute", [{}], client_token="shared")
    theirs = make_grid("rival").submit("mock-compute", [{}, {}], client_token="shared")
    assert mine.id != theirs.id
    assert theirs.results() == [0, 0]


def test_malformed_requests_get_4xx_and_have_no_effect(
    make_grid: Callable[[str], Grid], make_caller: Callable[..., Caller]
) -> None:
    """Everything of the table, over the wire: a 4xx with a code and a message, no session."""
    caller = make_caller("clumsy")
    wrong = {}
    for case in make_cases():
        answer = caller.send(case.method, case.path, case.body, case.query)
        error = answer.json().get("error", {})
        refused = answer.status_code in (400, 404, 405, 413)  # by the grid itself, so no 403
        if not (refused and error.get("code") and error.get("message")):
            wrong[case.name] = answer.status_code
    assert wrong == {}
    assert list(make_grid("clumsy").sessions()) == []
