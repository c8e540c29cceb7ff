"""The wire of the SDK, against a real HTTP server on loopback."""

import json
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import CredentialRetrievalError

from stepgrid import (
    AccessDenied,
    ConfigurationError,
    Conflict,
    DeadlineExceeded,
    InvalidRequest,
    NotFound,
    QuotaExceeded,
    RequestTooLarge,
    Unavailable,
)
from stepgrid.objects import DELETE_TIMEOUT_SECONDS, HttpObjects, LinkRefused
from stepgrid.request_counts import RequestCounts
from stepgrid.retry import SystemClock
from stepgrid.transport import HttpTransport
from tests.unit.sdk_fakes import FakeClock, Received, Reply, ScriptedServer, serving

CREDENTIALS = Credentials("AKIDEXAMPLE", "secret", "session-token")
OK = Reply(body=b'{"status": "ok"}')


def transport_to(url: str, clock: Any = None, **options: Any) -> HttpTransport:
    options = {"timeout_seconds": 60.0, "jitter": lambda: 1.0} | options
    return HttpTransport(
        f"{url}/stage/v1", "eu-west-1", CREDENTIALS, clock=clock or FakeClock(), **options
    )


def refusal(code: str, message: str = "no", **more: Any) -> bytes:
    error = {"code": code, "message": message, "details": None} | more
    return json.dumps({"error": error, "request_id": "request-7"}).encode()


def test_requests_reach_their_route() -> None:
    """Method, path, query and body arrive below the endpoint's stage."""
    with serving(OK) as server:
        answer = transport_to(server.url).request(
            "POST", "/v1/sessions", {"cursor": "1#2", "wait": 1.5}, b'{"a": 1}'
        )
    assert answer == {"status": "ok"}
    received = server.received[0]
    assert received.method == "POST"
    assert received.target == "/stage/v1/sessions?cursor=1%232&wait=1.5"
    assert received.body == b'{"a": 1}'
    assert received.headers["content-type"] == "application/json"


@pytest.mark.parametrize("body", [None, b'{"name": "\xc3\xa9"}'])
def test_requests_are_signed(body: bytes | None) -> None:
    """The signature is the one that AWS's own implementation computes, session token included."""
    with serving(OK) as server:
        transport_to(server.url).request("POST", "/v1/a/b%2Fc", {"cursor": "9.1#a/b"}, body)
    received = server.received[0]
    assert received.headers["x-amz-security-token"] == "session-token"
    assert expected_signature(server, received) in received.headers["authorization"]


def expected_signature(server: ScriptedServer, received: Received) -> str:
    authorization = received.headers["authorization"]
    signed = authorization.split("SignedHeaders=")[1].split(",")[0].split(";")
    request = AWSRequest(
        received.method,
        server.url + received.target,
        data=received.body,
        headers={name: received.headers[name] for name in signed if name != "host"},
    )
    request.context["timestamp"] = received.headers["x-amz-date"]
    auth = SigV4Auth(CREDENTIALS, "execute-api", "eu-west-1")
    canonical = auth.canonical_request(request)
    return str(auth.signature(auth.string_to_sign(request, canonical), request))


@pytest.mark.parametrize("passing", [Reply(503), Reply(502), Reply(429), Reply(breaks=True)])
def test_what_may_pass_is_tried_again(passing: Reply) -> None:
    """5xx, throttling and broken connections are repeated, with pauses that grow."""
    clock = FakeClock()
    with serving(passing, passing, passing, OK) as server:
        assert transport_to(server.url, clock).request("GET", "/v1/health") == {"status": "ok"}
    assert clock.slept == [0.1, 0.2, 0.4]
    assert len(server.received) == 4


def test_pauses_have_full_jitter() -> None:
    """A pause is drawn from zero to its full length."""
    clock = FakeClock()
    draws = iter([0.0, 0.5, 0.25])
    with serving(Reply(503), Reply(503), Reply(503), OK) as server:
        transport_to(server.url, clock, jitter=lambda: next(draws)).request("GET", "/v1/health")
    assert clock.slept == [0.0, 0.1, 0.1]


def test_retry_after_is_honoured() -> None:
    """The pause is at least what the answer asks for."""
    clock = FakeClock()
    with serving(Reply(429, headers={"Retry-After": "7"}), OK) as server:
        transport_to(server.url, clock).request("GET", "/v1/health")
    assert clock.slept == [7.1]


def test_all_tries_share_one_deadline() -> None:
    """After timeout_seconds the last answer is raised, and no pause goes beyond them."""
    clock = FakeClock()
    with serving(Reply(503, b'{"message": "busy"}')) as server:
        transport = transport_to(server.url, clock, timeout_seconds=10.0)
        with pytest.raises(Unavailable, match="GET /v1/workers: HTTP 503, busy"):
            transport.request("GET", "/v1/workers")
        assert sum(clock.slept) <= 10.0
        before = len(server.received)
        with pytest.raises(Unavailable):
            transport.request("GET", "/v1/workers", timeout_seconds=0.5)
        assert len(server.received) - before == 3
        with pytest.raises(Unavailable):
            transport.request("GET", "/v1/workers", timeout_seconds=3600)
        assert sum(clock.slept) <= 20.5


def test_what_the_grid_was_asked_to_hold_comes_on_top() -> None:
    """An answer that is held for 20 s does not use up the 10 s that the grid may be silent."""
    clock = FakeClock()
    with serving(Reply(503)) as server:
        transport = transport_to(server.url, clock, timeout_seconds=10.0)
        with pytest.raises(Unavailable):
            transport.request("GET", "/v1/workers", held_seconds=20.0)
    assert 10.0 < sum(clock.slept) <= 30.0


def test_a_longer_retry_after_than_the_deadline_ends_at_once() -> None:
    """There is no use in waiting for an answer that would come too late."""
    clock = FakeClock()
    with (
        serving(Reply(503, headers={"Retry-After": "3600"})) as server,
        pytest.raises(Unavailable),
    ):
        transport_to(server.url, clock).request("GET", "/v1/workers")
    assert clock.slept == []


def test_silence_is_deadline_exceeded() -> None:
    """A server that takes the request and says nothing costs the caller's time and no more."""
    with serving(Reply(hangs=True)) as server:
        transport = transport_to(server.url, SystemClock(), timeout_seconds=0.2)
        with pytest.raises(DeadlineExceeded, match="no answer in time"):
            transport.request("GET", "/v1/workers")


def test_nobody_listens() -> None:
    """A refused connection is given up after seconds, with the question that helps."""
    clock = FakeClock()
    with serving(OK) as server:
        transport = transport_to(server.url, clock)
    with pytest.raises(Unavailable, match=r"can't connect .*is it up"):
        transport.request("GET", "/v1/health")
    assert sum(clock.slept) <= 5.0


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "invalid_request", InvalidRequest),
        (403, "access_denied", AccessDenied),
        (404, "not_found", NotFound),
        (409, "conflict", Conflict),
        (413, "request_too_large", RequestTooLarge),
        (409, "a code of next year", Conflict),
        (422, "another one", InvalidRequest),
    ],
)
def test_refusals_are_raised_as_what_they_are(
    status: int, code: str, kind: type[Exception]
) -> None:
    """The error's code chooses the class; message, details and request id are kept. No retry."""
    with (
        serving(Reply(status, refusal(code, "tasks: no", details=[{"where": "x"}]))) as server,
        pytest.raises(kind, match=r"^tasks: no \(request_id request-7\)$") as raised,
    ):
        transport_to(server.url).request("POST", "/v1/sessions", body=b"{}")
    assert raised.type is kind
    assert getattr(raised.value, "details", None) == [{"where": "x"}]
    assert len(server.received) == 1


def test_over_the_quota_is_raised_at_once() -> None:
    """How long to wait for room is the caller's choice; the message says which quota it was."""
    clock = FakeClock()
    with (
        serving(Reply(429, refusal("quota_exceeded", "too many open sessions"))) as server,
        pytest.raises(QuotaExceeded, match="too many open sessions"),
    ):
        transport_to(server.url, clock).request("POST", "/v1/sessions", body=b"{}")
    assert len(server.received) == 1


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (403, b'{"message": "Missing Authentication Token"}', AccessDenied, "execute-api:Invoke"),
        (403, b'{"Message": "not authorized to perform"}', AccessDenied, "not authorized"),
        (404, b"<html>", NotFound, "HTTP 404"),
        (413, b'{"message": "Request Too Long"}', RequestTooLarge, "Request Too Long"),
        (200, b"<html>Log in to the hotel's network", Unavailable, "not the JSON of a grid"),
        (200, b"[]", Unavailable, "not the JSON of a grid"),
        (302, b"", Unavailable, "HTTP 302"),
    ],
)
def test_answers_of_what_is_in_front_of_the_grid(
    status: int, body: bytes, kind: type[Exception], words: str
) -> None:
    """API Gateway, proxies and wrong addresses answer in their own ways: still our errors."""
    headers = {"Location": "/elsewhere"} if status == 302 else {}
    with serving(Reply(status, body, headers)) as server, pytest.raises(kind, match=words):
        transport_to(server.url).request("GET", "/v1/workers")
    assert len(server.received) == 1


def test_credentials_that_do_not_refresh() -> None:
    """An expired single sign-on is a matter of configuration, and is not tried again."""

    class Expired:
        def get_frozen_credentials(self) -> Any:
            raise CredentialRetrievalError(provider="sso", error_msg="token has expired")

    with serving(OK) as server:
        transport = HttpTransport(server.url, "eu-west-1", Expired(), clock=FakeClock())
        with pytest.raises(ConfigurationError, match="token has expired"):
            transport.request("GET", "/v1/workers")
    assert server.received == []


def test_loopback_is_not_reached_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's proxy can't reach this machine's loopback; it is not asked."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with serving(OK) as server:
        assert transport_to(server.url).request("GET", "/v1/health") == {"status": "ok"}
        assert HttpObjects(server.url, 1).get(f"{server.url}/key") == OK.body


def test_every_attempt_is_counted_by_its_route() -> None:
    """A repeated request counts again; ids and stages are left out of the name."""
    counts = RequestCounts()
    session = f"/v1/sessions/{'1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed'}"
    with serving(Reply(status=503), OK, OK) as server:
        transport = transport_to(server.url, counts=counts)
        transport.request("GET", session)
        transport.request("POST", "/v1/sessions", body=b"{}")
    assert counts.snapshot() == {
        "execute-api.GET /v1/sessions/{id}": 2,
        "execute-api.POST /v1/sessions": 1,
    }


# --- payload objects


def objects_at(url: str, clock: FakeClock | None = None) -> HttpObjects:
    return HttpObjects(url, 2, clock=clock or FakeClock(), jitter=lambda: 1.0)


def test_transfers_are_counted_by_operation() -> None:
    """Whole objects, parts and downloads cost differently, so they count apart."""
    counts = RequestCounts()
    with serving(*[Reply()] * 4) as server:
        objects = HttpObjects(server.url, 2, counts=counts)
        objects.put(f"{server.url}/bucket/key?X-Amz-Signature=s", b"all")
        objects.put(f"{server.url}/bucket/key?partNumber=2&uploadId=u", b"part")
        objects.get(f"{server.url}/bucket/key")
        objects.delete(f"{server.url}/bucket/key?uploadId=u")
    operations = ("PutObject", "UploadPart", "GetObject", "AbortMultipartUpload")
    assert counts.snapshot() == {f"s3.{operation}": 1 for operation in operations}


def test_objects_go_up_and_come_down() -> None:
    """PUT answers the ETag, GET the bytes; neither is signed, as the URL is."""
    stored = Reply(headers={"ETag": '"abc"'})
    with serving(stored, Reply(body=b"\x00lines\n")) as server:
        objects = objects_at(server.url)
        assert objects.put(f"{server.url}/key?X-Amz-Signature=1", b"data") == '"abc"'
        assert objects.get(f"{server.url}/key?X-Amz-Signature=2") == b"\x00lines\n"
    assert server.received[0].body == b"data"
    assert server.received[0].target == "/key?X-Amz-Signature=1"
    for received in server.received:
        assert not {"authorization", "content-type"} & set(received.headers)


def test_no_password_of_netrc_is_sent(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An Authorization header beside a presigned URL would make S3 refuse it."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login alice password secret\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(OK) as server:
        objects_at("https://grid.example").get(f"{server.url}/key")
    assert "authorization" not in server.received[0].headers


@pytest.mark.parametrize("reply", [Reply(206, body=b"cde"), Reply(200, body=b"abcdefg")])
def test_a_range_of_an_object(reply: Reply) -> None:
    """As it was asked for, also from a store that answers with the whole object."""
    with serving(reply) as server:
        assert objects_at(server.url, FakeClock()).get(f"{server.url}/key", (2, 3)) == b"cde"
    assert server.received[0].headers["range"] == "bytes=2-4"


def test_objects_are_deleted_or_left() -> None:
    """A store that does not answer holds nobody up for long: what is left expires anyway."""
    clock = FakeClock()
    with serving(Reply(204), Reply(503)) as server:
        objects = objects_at(server.url, clock)
        objects.delete(f"{server.url}/key?uploadId=1")
        with pytest.raises(Unavailable):
            objects.delete(f"{server.url}/key?uploadId=2")
    assert server.received[0].method == "DELETE"
    assert sum(clock.slept) <= DELETE_TIMEOUT_SECONDS


def test_objects_are_tried_again() -> None:
    """SlowDown and broken connections pass."""
    with serving(Reply(503), Reply(breaks=True), Reply(body=b"x")) as server:
        assert objects_at(server.url).get(f"{server.url}/key") == b"x"


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(403), LinkRefused),
        (Reply(400), LinkRefused),
        (Reply(404), NotFound),
        (Reply(301), Unavailable),
        (Reply(500), Unavailable),
        (Reply(breaks=True), Unavailable),
    ],
)
def test_object_errors_keep_the_signature_secret(reply: Reply, kind: type[Exception]) -> None:
    """Whoever reads a presigned URL in a log could use it: messages have it without its query."""
    with serving(reply) as server, pytest.raises(kind, match=r"GET http://127\.0") as raised:
        objects_at(server.url).get(f"{server.url}/key?X-Amz-Signature=secret")
    assert raised.type is kind
    assert "secret" not in str(raised.value)


class ClosingClock(FakeClock):
    """Closes something during the first pause."""

    def __init__(self) -> None:
        super().__init__()
        self.close: Any = None

    def sleep(self, seconds: float) -> None:
        """As FakeClock, and then the close."""
        super().sleep(seconds)
        self.close()


def test_a_closed_grid_gives_up_its_transfers() -> None:
    """A transfer that is being repeated ends with the next attempt: it would hold up the exit."""
    clock = ClosingClock()
    with serving(Reply(503), Reply(503), Reply(503)) as server:
        objects = HttpObjects(server.url, 1, clock=clock, jitter=lambda: 1.0)
        clock.close = objects.close
        with pytest.raises(ConfigurationError, match="the Grid was closed"):
            objects.get(f"{server.url}/bucket/key")
    assert len(clock.slept) == 1
