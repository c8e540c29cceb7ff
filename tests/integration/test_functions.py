"""The functions as Lambda calls them, with the sample events, over the in-memory grid."""

import copy
import dataclasses
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import recorder
import relay
import routes
import sweeper
from stepgrid.testing import InMemoryGrid
from stepgrid.testing.runner import InlineRunner
from stepgrid_core import worker
from stepgrid_core.endpoints import ROUTES
from stepgrid_core.errors import AccessDenied
from stepgrid_core.federation.service import Federation
from stepgrid_core.identity import owner_of, subject_of
from stepgrid_core.memory import (
    MemoryFederationTable,
    MemoryFunctionCaller,
    MemoryTokenVerifier,
)
from stepgrid_core.names import session_id
from stepgrid_core.ports import Caller, FunctionReply, NoLogin, NoSigner
from stepgrid_core.request_tally import RequestTally
from stepgrid_core.states import ChunkState
from stepgrid_core.telemetry import logger
from tests.malformed_requests import Malformed, make_cases

EVENTS = Path(__file__).parents[2] / "events"
CASES = make_cases()


def load(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((EVENTS / name).read_text())
    return event


@pytest.fixture
def memory() -> InMemoryGrid:
    return InMemoryGrid(
        {"mock-compute": lambda task, context: task["worker_arguments"][0]},
        jobs=lambda spec, index, inputs: {},
    )


def request(method: str, path: str, body: bytes = b"", user: str = "quant", **query: list[str]):  # type: ignore[no-untyped-def]
    """The sample request, changed."""
    event = copy.deepcopy(load("api/post_session.json"))
    event |= {"httpMethod": method, "path": path, "body": body.decode("utf-8", "surrogateescape")}
    event["multiValueQueryStringParameters"] = query or None
    event["requestContext"]["identity"]["userArn"] = f"arn:aws:iam::123456789012:user/{user}"
    return event


def test_counted_requests_belong_to_their_session(memory: InMemoryGrid) -> None:
    """The api function, the worker, the relay and the recorder say whose session they are about."""
    grid = dataclasses.replace(memory.wiring, tally=RequestTally("function", 1024, enabled=True))
    answer = routes.handle(load("api/post_session.json"), grid)
    assert grid.tally.session_id == json.loads(answer["body"])["session_id"]
    runner = InlineRunner("mock-compute", lambda task, context: None, memory.clock)
    for name, call in (
        ("worker/burst_chunk", lambda e: worker.handle(e, LambdaContext(), grid, runner)),
        ("recorder/lost", lambda e: recorder.handle(e, grid)),
        ("recorder/settle", lambda e: recorder.handle(e, grid)),
    ):
        grid.tally.session_id = None
        event = load(f"{name}.json")
        call(event)
        assert grid.tally.session_id == event["session"]["session_id"]
    event = load("recorder/release.json")
    recorder.handle(event, grid)
    assert grid.tally.session_id == event["session_id"]


def test_kottas_paths_take_a_token(memory: InMemoryGrid) -> None:
    """Whoever signed: the token says who it is, in a header whose name has any case."""
    tokens = MemoryTokenVerifier({"good": Caller("cognito:ann", "ann")})
    grid = dataclasses.replace(memory.wiring, tokens=tokens)
    event = request("POST", "/rest/v1/upload_url", b"filepath=")
    for headers, reason in (
        (None, "access_token missing"),
        ({"AUTHORIZATION": "Bearer bad"}, "Failed to authenticate"),
        ({"AUTHORIZATION": "Bearer good"}, "filepath missing"),
    ):
        answer = routes.handle(event | {"headers": headers}, grid)
        assert answer["statusCode"] == 200
        assert json.loads(answer["body"]) == {"status": "Fail", "reason": reason}


def test_the_sample_submit_is_accepted_and_runs(memory: InMemoryGrid) -> None:
    """events/api/post_session.json is a request that works."""
    answer = routes.handle(load("api/post_session.json"), memory.wiring)
    assert answer["statusCode"] == 202
    session = json.loads(answer["body"])
    memory.run()
    results = routes.handle(
        request("GET", f"/v1/sessions/{session['session_id']}/results"), memory.wiring
    )
    lines = [json.loads(chunk["lines"]) for chunk in json.loads(results["body"])["chunks"]]
    assert [line["result"] for line in lines] == ["10", "20"]


class LambdaContext:
    """What Lambda passes beside the event."""

    aws_request_id = "request"

    def get_remaining_time_in_millis(self) -> int:
        return 890_000


def test_the_sample_worker_event_runs_a_chunk_of_the_sample_session(memory: InMemoryGrid) -> None:
    """events/worker/burst_chunk.json is what the burst machine sends for the sample submit."""
    routes.handle(load("api/post_session.json"), memory.wiring)
    event = load("worker/burst_chunk.json")
    runner = InlineRunner("mock-compute", lambda task, context: "slept", memory.clock)
    assert worker.handle(event, LambdaContext(), memory.wiring, runner) == {"outcome": "ended"}
    shard = memory.table.read_shard(event["session"]["session_id"], 0)
    assert shard is not None
    assert [chunk.state for chunk in shard.chunks] == [ChunkState.ENDED, ChunkState.PENDING]
    assert b'"result":"slept"' in shard.inline[0]


def test_the_sample_relay_event_calls_the_registered_function(memory: InMemoryGrid) -> None:
    """events/relay/burst_chunk.json is the same chunk of a session whose worker is a function."""
    routes.handle(load("api/post_session.json"), memory.wiring)
    event = load("relay/burst_chunk.json")
    target = event["session"]["target"]
    caller = MemoryFunctionCaller(memory.clock, {target: lambda _: (0.1, FunctionReply(b"1.5"))})
    assert relay.handle(event, LambdaContext(), memory.wiring, caller) == {"outcome": "ended"}
    assert caller.begun == [event["lines"].encode().rstrip()]
    shard = memory.table.read_shard(event["session"]["session_id"], 0)
    assert shard is not None
    assert b'"result":1.5' in shard.inline[0]


def test_a_worker_whose_session_is_gone_ends_quietly(memory: InMemoryGrid) -> None:
    """A deleted session is no reason to try again."""
    runner = InlineRunner("mock-compute", lambda task, context: None, memory.clock)
    answer = worker.handle(load("worker/burst_chunk.json"), LambdaContext(), memory.wiring, runner)
    assert answer == {"outcome": "ended"}


def test_there_are_at_least_200_malformed_requests() -> None:
    """The table below is as long as it is said to be, and names each case once."""
    assert len(CASES) >= 200
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name[:60])
def test_a_malformed_request_is_refused_without_effect(
    case: Malformed, memory: InMemoryGrid
) -> None:
    """Bad input gets a 4xx with a code and a message, and changes nothing."""
    event = request(case.method, case.path, case.body, **case.query)
    answer = routes.handle(event, memory.wiring)
    assert 400 <= answer["statusCode"] < 500
    error = json.loads(answer["body"])["error"]
    assert error["code"]
    assert error["message"]
    listed = json.loads(routes.handle(request("GET", "/v1/sessions"), memory.wiring)["body"])
    assert listed["sessions"] == []
    assert memory.dispatcher.started == []


def test_binary_bodies_are_decoded(memory: InMemoryGrid) -> None:
    """API Gateway hands over binary media types in base64."""
    event = load("api/post_session.json")
    event |= {"isBase64Encoded": True, "body": "eyJjbGllbnRfdG9rZW4i"}
    assert routes.handle(event, memory.wiring)["statusCode"] == 400
    event["body"] = "not base64!"
    assert routes.handle(event, memory.wiring)["statusCode"] == 400


def test_the_sweeper_takes_its_schedule(memory: InMemoryGrid) -> None:
    """events/sweeper/schedule.json: nothing is due on an empty grid."""
    assert load("sweeper/schedule.json")["detail-type"] == "Scheduled Event"
    federation = Federation(memory.wiring, MemoryFederationTable(), NoSigner(), NoLogin())
    counts = ("sessions", "subscriptions", "mended", "cloud_runs")
    assert sweeper.handle(federation) == dict.fromkeys(counts, 0)


def test_the_recorder_takes_all_its_events(memory: InMemoryGrid) -> None:
    """A loss of a session that is gone ends its child; a Map of one leaves nothing to run, and
    nobody depends on one."""
    assert recorder.handle(load("recorder/lost.json"), memory.wiring) == {"outcome": "ended"}
    assert recorder.handle(load("recorder/settle.json"), memory.wiring) == {"chunks": []}
    assert recorder.handle(load("recorder/admit.json"), memory.wiring) == {"started": 0}
    assert recorder.handle(load("recorder/release.json"), memory.wiring) == {"dependents": 0}


IDENTITIES = {
    "an IAM user": (
        {"userArn": "arn:aws:iam::1:user/team/quant"},
        "arn:aws:iam::1:user/team/quant",
    ),
    "a role, whatever its session name": (
        {"userArn": "arn:aws:sts::1:assumed-role/batch/i-0abc"},
        "arn:aws:sts::1:assumed-role/batch",
    ),
    "a person behind a permission set": (
        {"userArn": "arn:aws:sts::1:assumed-role/AWSReservedSSO_Quant_1f/ann@example.org"},
        "arn:aws:sts::1:assumed-role/AWSReservedSSO_Quant_1f/ann@example.org",
    ),
    "a Cognito identity": (
        {"userArn": "arn:aws:sts::1:assumed-role/c/s", "cognitoIdentityId": "eu-1:abc"},
        "cognito:eu-1:abc",
    ),
}


@pytest.mark.parametrize(("identity", "owner"), IDENTITIES.values(), ids=IDENTITIES)
def test_the_owner_is_the_verified_identity(identity: dict[str, str], owner: str) -> None:
    """Nothing that the caller can choose takes part."""
    assert owner_of(identity) == owner


def test_no_identity_is_refused() -> None:
    """A request that API Gateway did not verify has no owner."""
    with pytest.raises(AccessDenied):
        owner_of({"userArn": None})


def test_users_of_an_identity_pool_are_never_one_owner() -> None:
    """Their common role counts for nothing: without its Cognito identity a request is refused."""
    role = "arn:aws:sts::123456789012:assumed-role/stepgrid-UserRole/CognitoIdentityCredentials"
    assert owner_of({"userArn": role, "cognitoIdentityId": "eu-central-1:a"}) == (
        "cognito:eu-central-1:a"
    )
    with pytest.raises(AccessDenied, match="stepgrid login"):
        owner_of({"userArn": role, "cognitoIdentityId": None})


POOL = "cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Pool"
SUBJECT = "33d4c8a2-70c1-7011-3b5e-0a6b3d1f2c4e"


@pytest.mark.parametrize(
    ("provider", "subject"),
    [
        (f"{POOL},{POOL}:CognitoSignIn:{SUBJECT}", SUBJECT),
        (f"{POOL}:CognitoSignIn:{SUBJECT}", SUBJECT),
        (f"{POOL}:CognitoSignIn:", "cognito:eu-1:abc"),
        (POOL, "cognito:eu-1:abc"),
        (None, "cognito:eu-1:abc"),
    ],
)
def test_the_subject_is_the_users_own(provider: str | None, subject: str) -> None:
    """As its token says it too; where Cognito does not tell it, the owner has to do."""
    role = "arn:aws:sts::1:assumed-role/c/CognitoIdentityCredentials"
    identity = {
        "userArn": role,
        "cognitoIdentityId": "eu-1:abc",
        "cognitoAuthenticationProvider": provider,
    }
    assert subject_of(identity) == subject


def test_a_subject_takes_a_cognito_identity() -> None:
    """Of nobody else it is looked for; and without any identity there is none."""
    arn = "arn:aws:iam::1:user/quant"
    provider = f"{POOL}:CognitoSignIn:{SUBJECT}"
    assert subject_of({"userArn": arn, "cognitoAuthenticationProvider": provider}) == arn
    with pytest.raises(AccessDenied):
        subject_of({"userArn": None})


def test_a_grid_tells_where_its_users_log_in(memory: InMemoryGrid) -> None:
    """Unsigned: only public identifiers are in the answer, the region from the pool's id."""
    settings = memory.wiring.settings.model_copy(
        update={
            "user_pool_id": "eu-central-1_AbCdEfGhI",
            "user_pool_client_id": "client",
            "identity_pool_id": "eu-central-1:pool",
        }
    )
    event = request("GET", "/v1/login")
    event["requestContext"]["identity"]["userArn"] = None
    answer = routes.handle(event, dataclasses.replace(memory.wiring, settings=settings))
    assert json.loads(answer["body"]) == {
        "region": "eu-central-1",
        "user_pool_id": "eu-central-1_AbCdEfGhI",
        "user_pool_client_id": "client",
        "identity_pool_id": "eu-central-1:pool",
        "aws_endpoint_url": None,
    }


def test_a_grid_without_users_says_so(memory: InMemoryGrid) -> None:
    """404, with what to do instead."""
    answer = routes.handle(request("GET", "/v1/login"), memory.wiring)
    assert answer["statusCode"] == 404
    assert "AWS credentials" in json.loads(answer["body"])["error"]["message"]


#: Every route that takes a session's id, in its path or in its body, with a request that is good.
FOREIGN = {
    **{
        f"{route.method} {route.path}": (route.method, route.path, b'{"priority": 1}')
        for route in ROUTES
        if "{session_id}" in route.path
    },
    "cancel": ("POST", "/v1/sessions/cancel", b'{"session_ids": ["{session_id}"]}'),
    "subscribe": (
        "POST",
        "/v1/subscriptions",
        b'{"client_token": "t", "session_ids": ["{session_id}"]}',
    ),
}


@pytest.mark.parametrize(("method", "path", "body"), FOREIGN.values(), ids=FOREIGN)
def test_foreign_and_unknown_sessions_answer_alike(
    memory: InMemoryGrid, method: str, path: str, body: bytes
) -> None:
    """A rival asks for an id before and after its session exists: not one byte differs."""
    submit = load("api/post_session.json")
    owner = owner_of(submit["requestContext"]["identity"])
    session = session_id(owner, json.loads(submit["body"])["client_token"])
    asked = request(
        method,
        path.replace("{session_id}", session),
        (body if method in ("POST", "PATCH") else b"").replace(b"{session_id}", session.encode()),
        user="rival",
    )
    before = routes.handle(asked, memory.wiring)
    submitted = routes.handle(submit, memory.wiring)
    assert json.loads(submitted["body"])["session_id"] == session
    assert routes.handle(asked, memory.wiring) == before


class Records(logging.Handler):
    """The structured lines, as their keys."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append({"message": record.getMessage(), **vars(record)})


@pytest.fixture
def records() -> Iterator[Records]:
    handler = Records()
    level = logger.log_level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.setLevel(level)
    logger.removeHandler(handler)


def test_lines_about_a_session_name_it(memory: InMemoryGrid, records: Records) -> None:
    """Submit, answers, close, cancel and loss: Logs Insights joins them by session_id."""
    answer = routes.handle(load("api/post_session.json"), memory.wiring)
    session_id = json.loads(answer["body"])["session_id"]
    body = json.dumps({"session_ids": [session_id]}).encode()
    routes.handle(request("POST", "/v1/sessions/cancel", body), memory.wiring)
    routes.handle(request("GET", f"/v1/sessions/{session_id}"), memory.wiring)
    named = [line["msg"] for line in records.lines if line.get("session_id") == session_id]
    assert named == [
        "session accepted",
        "request answered",
        "session closed",
        "session cancelled",
        "request answered",
    ]
