"""FunctionCaller on Lambda: each call is one Invoke, made in a thread of its own.

A thread whose call was given up ends when the function does: Lambda lets none run over 15 minutes.
"""

import threading
from concurrent.futures import Future
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
)

from ..errors import AccessDenied, NotFound, RequestTooLarge, ServiceError, Unavailable
from ..ports import FunctionReply
from .translate import code_of, make_client

#: Longer than any function can run, so that it is Lambda that says it timed out.
READ_TIMEOUT_SECONDS = 905
#: The function was certainly not started (Lambda API reference, Invoke: errors).
NOT_STARTED = frozenset(
    {
        "TooManyRequestsException",
        "ThrottlingException",
        "EC2ThrottledException",
        "ENILimitReachedException",
        "SubnetIPAddressLimitReachedException",
        "SnapStartNotReadyException",
        "ResourceConflictException",
        "ResourceNotReadyException",
    }
)
REFUSED: dict[str, type[Exception]] = {
    "ResourceNotFoundException": NotFound,
    "AccessDeniedException": AccessDenied,
    "AccessDenied": AccessDenied,
    "RequestTooLargeException": RequestTooLarge,
}


class AwsFunctionCaller:
    def __init__(self) -> None:
        self._lambda = make_client(
            "lambda",
            # One call is one attempt of a task, and the runner counts those.
            retries={"mode": "standard", "total_max_attempts": 1},
            connect_timeout=1,
            read_timeout=READ_TIMEOUT_SECONDS,
            tcp_keepalive=True,  # a silent connection is dropped on the way after some minutes
        )

    def begin(self, function: str, payload: bytes) -> "AwsFunctionCall":
        call = AwsFunctionCall(self._lambda, function, payload)
        threading.Thread(target=call.run, name="function-call", daemon=True).start()
        return call


class AwsFunctionCall:
    def __init__(self, client: Any, function: str, payload: bytes) -> None:
        self._lambda = client
        self._function = function
        self._payload = payload
        self._reply: Future[FunctionReply] = Future()

    def wait(self, seconds: float) -> FunctionReply | None:
        try:
            return self._reply.result(seconds)
        except TimeoutError:
            return None

    def run(self) -> None:
        try:
            self._reply.set_result(self._invoke())
        except BaseException as error:  # whoever waits has to hear of it, whatever it is
            self._reply.set_exception(error)

    def _invoke(self) -> FunctionReply:
        try:
            answer = self._lambda.invoke(FunctionName=self._function, Payload=self._payload)
            return FunctionReply(answer["Payload"].read(), failed="FunctionError" in answer)
        except ClientError as error:
            raise self._translate(error) from error
        except (ConnectTimeoutError, EndpointConnectionError, NoCredentialsError) as error:
            raise Unavailable(f"{self._function} could not be called: {error}") from error
        except BotoCoreError as error:
            raise ServiceError(
                f"the connection broke while {self._function} was called; it may have run"
            ) from error

    def _translate(self, error: ClientError) -> Exception:
        code = code_of(error)
        said = f"{self._function} could not be called: {code}: {_message(error)}"
        if code in NOT_STARTED:
            return Unavailable(said)
        return REFUSED.get(code, ServiceError)(said)


def _message(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Message", ""))
