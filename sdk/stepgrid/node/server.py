"""The node's way to the server: logs in, asks, and does not lose patience.

    answered 401     a new login with the API key, and once more
    no answer, 5xx   again, after a pause of up to a minute ("full jitter"), for ever
    other 4xx        Refusal: the caller knows what it means
    key refused      KeyRefused: nothing helps but another key

Knows routes and words of the wire; no algorithm, no file.
"""

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

import requests

from stepgrid.http_client import CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS, open_client
from stepgrid_core.errors import LoginRefused, StepgridError, Unavailable

Json = dict[str, Any]

FIRST_PAUSE_SECONDS = 1.0
LAST_PAUSE_SECONDS = 60.0
_Answer = TypeVar("_Answer")
_LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


class KeyRefused(LoginRefused):
    """The API key is not, or not any more, one of a node."""


class Refusal(StepgridError):
    """The server does not do what was asked, and would not the next time."""

    def __init__(self, what: str, status: int, message: str) -> None:
        super().__init__(f"{what} was refused: {message} ({status})")
        self.status = status
        self.message = message


class Stopped(StepgridError):
    """The node ends: nobody waits for an answer any more."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked. `token`: a container's; None: the node speaks for itself."""

    method: str
    path: str
    json: object = None
    query: Mapping[str, list[str]] | None = None
    token: str | None = None
    repeat: bool = True  #: may it be sent again, where it is not known whether it was carried out?
    gone: threading.Event | None = None  #: set when nobody wants the answer any more

    @property
    def what(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    content: bytes
    json: Any  #: None: the content is no JSON


class Server:
    """Threads may share it."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        stopping: threading.Event,
        tell: Callable[[str], None] = lambda _text: None,
        pause_seconds: tuple[float, float] = (FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS),
    ) -> None:
        """stopping: nobody waits any longer; tell: takes a line when the server is lost or back."""
        self._base_url = base_url
        self._api_key = api_key
        self._stopping = stopping
        self._tell = tell
        self._first_pause_seconds, self._last_pause_seconds = pause_seconds
        self._client = open_client(base_url, connections=80)
        self._login = threading.Lock()
        self._token = ""
        self._lost = False

    def log_in(self) -> str:
        """The access token, which names the node. Raises Refusal, KeyRefused, Stopped."""
        return self._persist(self._log_in)

    def _log_in(self, refused: str = "") -> str:
        """refused: a token that is no good; of many threads that have it one logs in."""
        with self._login:
            if self._token and self._token != refused:
                return self._token
            return self._ask_token()

    def _ask_token(self) -> str:
        reply = self._attempt(Request("POST", "/token/node", {"api_key": self._api_key}))
        if reply.status == HTTPStatus.OK and isinstance(reply.json, dict):
            self._token = str(reply.json.get("access_token"))
            return self._token
        if reply.status == HTTPStatus.UNAUTHORIZED:
            raise KeyRefused(
                "the server refused the API key of this node: ask whoever runs the server for "
                "another one, and put it into node.yaml"
            )
        refusal = Refusal(f"the login at {self._base_url}", reply.status, _message(reply))
        if self._token:  # it was a server before, so it will be one again
            raise Unavailable(str(refusal))
        raise refusal

    def call(self, request: Request) -> Any:
        """The JSON of the answer, however long that takes.

        Raises Refusal, KeyRefused, Stopped; Unavailable where the request may not be repeated.
        """
        reply = self.send(request)
        if reply.status >= HTTPStatus.BAD_REQUEST:
            raise Refusal(request.what, reply.status, _message(reply))
        return reply.json

    def send(self, request: Request) -> Reply:
        """What the server answers, refusals too.

        Raises KeyRefused, Stopped; Unavailable where the request may not be repeated.
        """
        return self._persist(lambda: self._authorized(request), request.repeat, request.gone)

    def _persist(
        self,
        attempt: Callable[[], _Answer],
        repeat: bool = True,
        gone: threading.Event | None = None,
    ) -> _Answer:
        pause_seconds = self._first_pause_seconds
        while True:
            try:
                answer = attempt()
                self._note(None)
                return answer
            except Unavailable as error:
                self._note(error)
                if not repeat:
                    raise
                self._pause(pause_seconds, gone, error)
            pause_seconds = min(2 * pause_seconds, self._last_pause_seconds)

    def _authorized(self, request: Request) -> Reply:
        if request.token is not None:
            return self._attempt(request, request.token)
        token = self._log_in()
        reply = self._attempt(request, token)
        if reply.status != HTTPStatus.UNAUTHORIZED:
            return reply
        return self._attempt(request, self._log_in(refused=token))

    def _attempt(self, request: Request, token: str | None = None) -> Reply:
        """Raises Unavailable."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            answer = self._client.request(
                request.method,
                self._base_url + request.path,
                params=request.query,
                json=request.json,
                headers=headers,
                timeout=(CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise Unavailable(f"{request.what}: {type(error).__name__}") from error
        if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status_code in _LATER:
            raise Unavailable(f"{request.what}: the server answered {answer.status_code}")
        return Reply(answer.status_code, answer.content, _json_of(answer))

    def _note(self, error: Unavailable | None) -> None:
        """Tells once that the server is lost, and once that it is back."""
        if (error is not None) == self._lost:
            return
        self._lost = error is not None
        self._tell(f"server lost: {error}; trying again" if error else "server is back")

    def _pause(self, most_seconds: float, gone: threading.Event | None, error: Unavailable) -> None:
        """Raises Stopped."""
        awaited = self._stopping if gone is None else gone
        awaited.wait(random.random() * most_seconds)  # noqa: S311 - no secret
        if awaited.is_set() or self._stopping.is_set():
            raise Stopped(f"{error}; it is not waited for any longer") from error

    def close(self) -> None:
        """Close idle connections."""
        self._client.close()


def _json_of(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _message(reply: Reply) -> str:
    """What a server says; of whatever else answers, nothing is repeated."""
    if isinstance(reply.json, dict):
        text = reply.json.get("msg", reply.json.get("message"))
        return str(text)[:500] if text else "without a reason"
    return "the answer is no JSON: is server_url right, with the stage?"
