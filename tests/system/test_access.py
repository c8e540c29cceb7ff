"""Who gets in: unsigned, wrongly signed, foreign and malformed requests against the real API."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import requests
from requests_aws4auth import AWS4Auth

from stepgrid import Grid
from stepgrid.local import LocalCloud
from stepgrid_core.endpoints import ROUTES
from stepgrid_core.names import session_id
from tests.malformed_requests import make_cases

SIGNED = [route for route in ROUTES if route.signed]
BODIES: dict[str, Any] = {
    "/v1/uploads": {},
    "/v1/sessions": {
        "client_token": "x",
        "worker": "mock-compute",
        "tasks": [{}],
        "depends_on": ["{session_id}"],
    },
    "/v1/plans": {"worker": "mock-compute", "tasks": 1},
    "/v1/jobs": {"client_token": "x", "executable": "true", "depends_on": ["{session_id}"]},
    "/v1/sessions/cancel": {"session_ids": ["{session_id}"]},
    "/v1/sessions/{session_id}": {"priority": 9},
    "/v1/subscriptions": {"client_token": "x", "session_ids": ["{session_id}"]},
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


def body_text(route: Any) -> str:
    return json.dumps(BODIES[route.path]) if route.body else ""


def body_of(route: Any) -> bytes:
    return body_text(route).encode()


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


#: Every route that takes the id of a session, in its path or in its body.
OWNED = [route for route in SIGNED if "{session_id}" in route.path + body_text(route)]


def answer_to(caller: Caller, route: Any, session: str) -> tuple[int, dict[str, str], str]:
    """Status, headers and body, without what is new in every answer: its id and the time."""
    body = body_text(route).replace("{session_id}", session).encode()
    answer = caller.send(route.method, path_of(route, session), body)
    passing = {"date", "x-amz-request-id", "x-amzn-requestid", "x-amz-apigw-id", "x-amzn-trace-id"}
    kept = {name: value for name, value in answer.headers.items() if name.lower() not in passing}
    content = answer.json()
    return answer.status_code, kept, answer.text.replace(content.get("request_id") or "\0", "")


@pytest.mark.parametrize("route", OWNED, ids=lambda route: f"{route.method} {route.path}")
def test_foreign_and_unknown_sessions_answer_alike(
    route: Any, grid: Grid, cloud: LocalCloud, make_caller: Callable[..., Caller]
) -> None:
    """A rival asks for an id before and after its session exists: not one byte differs."""
    token = f"{route.method}-{route.path}".translate(str.maketrans("/{}", "..."))
    owner = cloud.client("iam").get_user(UserName="quant")["User"]["Arn"]
    session = session_id(owner, token)
    rival = make_caller("rival")
    before = answer_to(rival, route, session)
    assert grid.submit("mock-compute", [{}], client_token=token).id == session
    assert answer_to(rival, route, session) == before
    assert grid.session(session).id == session


def test_foreign_and_unknown_jobs_answer_alike(
    grid: Grid, cloud: LocalCloud, make_caller: Callable[..., Caller]
) -> None:
    """A rival asks for a job and for one of an array before and after it is there."""
    routes = [route for route in SIGNED if "{job_id}" in route.path]
    owner = cloud.client("iam").get_user(UserName="quant")["User"]["Arn"]
    job, rival = session_id(owner, "a-job-of-mine"), make_caller("rival")
    asked = [(route, name) for route in routes for name in (job, f"{job}_1")]
    before = [answer_to(rival, route, name) for route, name in asked]
    assert {status for status, _, _ in before} == {404}
    mine = grid.jobs.submit("true", array=2, client_token="a-job-of-mine")
    assert mine.id == job
    assert [answer_to(rival, route, name) for route, name in asked] == before
    mine.cancel()


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
