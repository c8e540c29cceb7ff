"""The contract of the FunctionCaller port: in memory, and on a Lambda that a local server plays.

moto runs no function without Docker, so the AWS adapter speaks real HTTP to a stub of the Invoke
API, which can also throttle, hang up and be slow.
"""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import boto3
import pytest

from stepgrid_core.aws.function_caller import AwsFunctionCaller
from stepgrid_core.errors import AccessDenied, NotFound, RequestTooLarge, ServiceError, Unavailable
from stepgrid_core.memory import MemoryFunctionCaller, VirtualClock
from stepgrid_core.ports import FunctionCall, FunctionCaller, FunctionReply

from .conftest import ADAPTERS
from .samples import PRICER

FUNCTION = PRICER.target
PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class CallBench:
    """A caller, and what stands behind it: `answer` sets what the function says."""

    caller: FunctionCaller
    answer: Callable[[Callable[[bytes], FunctionReply]], None]


class StubLambda:
    """The Invoke API on loopback. `reply` gives status, headers and body; None hangs up."""

    def __init__(self) -> None:
        self.reply: Callable[[bytes], tuple[int, dict[str, str], bytes] | None] | None = None
        self.requests: list[str] = []
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                stub.requests.append(unquote(self.path))
                body = self.rfile.read(int(self.headers["Content-Length"]))
                reply = stub.reply(body) if stub.reply else _error(404, "ResourceNotFoundException")
                if reply is None:
                    self.close_connection = True
                    return
                status, headers, payload = reply
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(payload))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, format: str, *arguments: Any) -> None:
                """Tests print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _error(status: int, code: str) -> tuple[int, dict[str, str], bytes]:
    return status, {"X-Amzn-ErrorType": code}, json.dumps({"Message": "as told"}).encode()


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, boto_session: boto3.Session) -> Iterator[StubLambda]:
    stub = StubLambda()
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", boto_session)
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", stub.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield stub
    stub.close()


@pytest.fixture(params=ADAPTERS)
def calls(request: pytest.FixtureRequest) -> CallBench:
    if request.param == "memory":
        memory = MemoryFunctionCaller(VirtualClock())
        return CallBench(
            memory,
            lambda function: memory.functions.update(
                {FUNCTION: lambda event: (0, function(event))}
            ),
        )
    stub: StubLambda = request.getfixturevalue("stub")

    def answer(function: Callable[[bytes], FunctionReply]) -> None:
        stub.reply = lambda event: _spoken(function(event))

    return CallBench(AwsFunctionCaller(), answer)


def _spoken(reply: FunctionReply) -> tuple[int, dict[str, str], bytes]:
    headers = {"X-Amz-Function-Error": "Unhandled"} if reply.failed else {}
    return 200, headers, reply.payload


def test_the_payload_goes_there_and_back_unchanged(calls: CallBench) -> None:
    """The function is given the very bytes, and its answer arrives as it was."""
    calls.answer(FunctionReply)
    payload = b'{"x": 1.0,  "name": "\\u00e9 \xc3\xa9"}'
    assert calls.caller.begin(FUNCTION, payload).wait(PATIENCE_SECONDS) == FunctionReply(payload)


def test_a_failure_is_a_reply(calls: CallBench) -> None:
    """What the function says of its error is handed on; it is for the caller to read."""
    calls.answer(lambda _: FunctionReply(b'{"errorType":"E"}', failed=True))
    reply = calls.caller.begin(FUNCTION, b"{}").wait(PATIENCE_SECONDS)
    assert reply == FunctionReply(b'{"errorType":"E"}', failed=True)


def test_a_reply_can_be_asked_for_again(calls: CallBench) -> None:
    """It stays."""
    calls.answer(lambda _: FunctionReply(b"1"))
    call = calls.caller.begin(FUNCTION, b"{}")
    assert call.wait(PATIENCE_SECONDS) == call.wait(0.0) == FunctionReply(b"1")


def test_a_function_that_does_not_exist_is_not_found(calls: CallBench) -> None:
    """Also when it is asked again."""
    call = calls.caller.begin(FUNCTION, b"{}")
    for _ in range(2):
        with pytest.raises(NotFound, match=FUNCTION):
            call.wait(PATIENCE_SECONDS)


def test_a_slow_function_has_no_reply_yet() -> None:
    """In memory by the virtual clock."""
    memory = MemoryFunctionCaller(VirtualClock(), {FUNCTION: lambda _: (3.0, FunctionReply(b"1"))})
    call = memory.begin(FUNCTION, b"{}")
    assert [call.wait(2.0), call.wait(2.0)] == [None, FunctionReply(b"1")]


# --- AWS alone: which errors say what ------------------------------------------------------------


def begin(stub: StubLambda, reply: tuple[int, dict[str, str], bytes] | None) -> FunctionCall:
    stub.reply = lambda _: reply
    return AwsFunctionCaller().begin(FUNCTION, b"{}")


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (429, "TooManyRequestsException", Unavailable),
        (502, "EC2ThrottledException", Unavailable),
        (409, "ResourceConflictException", Unavailable),
        (403, "AccessDeniedException", AccessDenied),
        (404, "ResourceNotFoundException", NotFound),
        (413, "RequestTooLargeException", RequestTooLarge),
        (500, "ServiceException", ServiceError),
    ],
)
def test_errors_of_lambda_are_told_apart(
    stub: StubLambda, status: int, code: str, expected: type[Exception]
) -> None:
    """Not started, never to be started, or unknown: and each call is one request."""
    call = begin(stub, _error(status, code))
    with pytest.raises(expected, match=f"{code}: as told") as raised:
        call.wait(PATIENCE_SECONDS)
    assert type(raised.value) is expected
    assert len(stub.requests) == 1


def test_a_connection_that_breaks_leaves_it_open_whether_it_ran(stub: StubLambda) -> None:
    """Such a call is not made again, and is not said to be unstarted."""
    with pytest.raises(ServiceError, match="it may have run") as raised:
        begin(stub, None).wait(PATIENCE_SECONDS)
    assert not isinstance(raised.value, Unavailable)
    assert len(stub.requests) == 1


def test_lambda_out_of_reach_has_started_nothing(stub: StubLambda) -> None:
    """No connection, no call."""
    caller = AwsFunctionCaller()
    stub.close()
    with pytest.raises(Unavailable, match=FUNCTION):
        caller.begin(FUNCTION, b"{}").wait(PATIENCE_SECONDS)


def test_waiting_gives_up_and_the_call_goes_on(stub: StubLambda) -> None:
    """`wait` answers None while the function runs, and its reply once it has ended."""
    may_end = threading.Event()

    def reply(_: bytes) -> tuple[int, dict[str, str], bytes]:
        assert may_end.wait(PATIENCE_SECONDS)
        return 200, {}, b"7"

    stub.reply = reply
    call = AwsFunctionCaller().begin(FUNCTION, b"{}")
    assert call.wait(0.0) is None
    may_end.set()
    assert call.wait(PATIENCE_SECONDS) == FunctionReply(b"7")
    assert stub.requests == [f"/2015-03-31/functions/{FUNCTION}/invocations"]
