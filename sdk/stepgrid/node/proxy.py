"""What an algorithm may ask the server: a small HTTP server beside the node, on this machine only.

    algorithm --its container token--> Proxy --the same token--> server
                                        encrypts inputs of subtasks, decrypts results

An algorithm speaks plainly, whatever its collaboration is. Only tokens of runs that are at work
here are taken, and only routes that algorithms need. vantage6's algorithm client takes an answer
that it does not expect for the end of its subtask, so while the server is lost, nothing is
answered.
"""

import base64
import json
import logging
import re
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from stepgrid.federation_crypto import DecryptionFailed
from stepgrid.node.payloads import Payloads
from stepgrid.node.server import Json, Refusal, Reply, Request, Server
from stepgrid_core.errors import StepgridError, Unavailable

logger = logging.getLogger("stepgrid.node")

#: A request of a function may have 6 MB (Lambda quotas).
MOST_BYTES = 6_000_000
_JSON = "application/json"
_READABLE = re.compile(
    r"/(version|health"
    r"|(task|run|result|organization|collaboration|study)(/[0-9]{1,15})?"
    r"|task/[0-9]{1,15}/(status|run|result)"
    r"|vpn/algorithm/addresses)"
)
_BLOBS = "/blobstream/status"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of an algorithm."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    token: str
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Visit:
    """A run at work here."""

    gone: threading.Event  #: set when it is over
    note_subtask: Callable[[], None]  #: called when it has made a task


class Refused(StepgridError):
    """The proxy answers by itself."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Desk:
    """Answers requests. Threads share it; knows no sockets."""

    def __init__(self, server: Server, payloads: Payloads) -> None:
        self._server = server
        self._payloads = payloads
        self._lock = threading.Lock()
        self._at_work: dict[str, Visit] = {}

    def admit(self, token: str, visit: Visit) -> None:
        """A run begins."""
        with self._lock:
            self._at_work[token] = visit

    def dismiss(self, token: str) -> None:
        with self._lock:
            self._at_work.pop(token, None)

    def answer(self, asked: Asked) -> Reply:
        try:
            return self._answer(asked)
        except Refused as refused:
            return _say(refused.status, str(refused))
        except Refusal as refusal:
            return _say(refusal.status, refusal.message)
        except Unavailable as error:
            return _say(HTTPStatus.BAD_GATEWAY, str(error))
        except StepgridError as error:
            return _say(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))

    def _answer(self, asked: Asked) -> Reply:
        visit = self._at_work.get(asked.token)
        if visit is None:
            raise Refused(HTTPStatus.UNAUTHORIZED, "this token is of no run that is at work here")
        if asked.method == "POST" and asked.path == "/task":
            return self._make_task(asked, visit)
        if asked.method != "GET":
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "algorithms can't do that")
        if asked.path == _BLOBS:
            return _reply(HTTPStatus.OK, {"blob_store_enabled": False})
        if not _READABLE.fullmatch(asked.path):
            raise Refused(HTTPStatus.NOT_FOUND, f"algorithms can't read {asked.path}")
        request = Request("GET", asked.path, query=asked.query, token=asked.token, gone=visit.gone)
        return self._decrypted(self._server.send(request))

    def _make_task(self, asked: Asked, visit: Visit) -> Reply:
        """Never sent twice: the server may have made the task, though its answer is lost."""
        body = _object_of(asked.body)
        if self._payloads.encrypted:
            organizations = body.get("organizations")
            if not isinstance(organizations, list) or not organizations:
                raise Refused(HTTPStatus.BAD_REQUEST, "Organizations missing from input")
            body["organizations"] = [self._encrypted(each, asked.token) for each in organizations]
        request = Request("POST", "/task", body, token=asked.token, repeat=False)
        reply = self._server.send(request)
        if reply.status < HTTPStatus.BAD_REQUEST:
            visit.note_subtask()
        return reply

    def _encrypted(self, organization: Any, token: str) -> Json:
        """With the input for this organization alone to read."""
        try:
            id, data = int(organization["id"]), _decode(organization["input"])
        except (KeyError, TypeError, ValueError):
            raise Refused(
                HTTPStatus.BAD_REQUEST, "each organization needs an id, and an input in base64"
            ) from None
        found = self._server.call(Request("GET", f"/organization/{id}", token=token))
        key = str(found.get("public_key") or "")
        return {**organization, "input": self._payloads.seal(data, key, f"organization {id}")}

    def _decrypted(self, reply: Reply) -> Reply:
        if not self._payloads.encrypted or reply.status >= HTTPStatus.BAD_REQUEST:
            return reply
        return _reply(reply.status, self._open_results(reply.json))

    def _open_results(self, shown: Any) -> Any:
        """What this organization can read becomes base64; the rest stays as it is."""
        if isinstance(shown, list):
            return [self._open_results(each) for each in shown]
        if not isinstance(shown, dict):
            return shown
        opened = dict(shown)
        if "data" in opened:
            opened["data"] = self._open_results(opened["data"])
        if isinstance(opened.get("result"), str):
            opened["result"] = self._open(opened["result"])
        return opened

    def _open(self, text: str) -> str:
        try:
            return base64.b64encode(self._payloads.open(text)).decode()
        except DecryptionFailed:
            return text


def _object_of(body: bytes) -> Json:
    try:
        read = json.loads(body)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise Refused(HTTPStatus.BAD_REQUEST, "Request body is incorrect")
    return read


def _decode(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _say(status: int, message: str) -> Reply:
    return _reply(status, {"msg": message})


def _reply(status: int, shown: Any) -> Reply:
    return Reply(status, json.dumps(shown).encode(), shown)


class Proxy:
    """Listens while it is open."""

    def __init__(self, desk: Desk, address: str = "127.0.0.1") -> None:
        """Raises OSError where the address is not this machine's."""

        class Handler(_Handler):
            pass

        Handler.desk = desk
        self._http = _Http((address, 0), Handler)
        self._thread = threading.Thread(
            target=self._http.serve_forever, name="algorithm-proxy", daemon=True
        )

    @property
    def host(self) -> str:
        return str(self._http.server_address[0])

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """An algorithm that is killed leaves its connection behind, which is no news."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            logger.exception("the proxy met an error that it did not expect")


class _Handler(BaseHTTPRequestHandler):
    """HTTP to and from Desk."""

    desk: Desk
    protocol_version = "HTTP/1.1"
    #: A client that is silent is let go of.
    timeout = 60

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - http.server's names

    def _serve(self) -> None:
        length = self.headers.get("Content-Length") or "0"
        chunked = "Transfer-Encoding" in self.headers
        if chunked or not length.isdigit() or int(length) > MOST_BYTES:
            self.close_connection = True
            self._write(_say(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {MOST_BYTES} bytes"))
            return
        url = urlsplit(self.path)
        asked = Asked(
            method=self.command,
            path=url.path.rstrip("/"),
            query=parse_qs(url.query, keep_blank_values=True),
            token=(self.headers.get("Authorization") or "").removeprefix("Bearer "),
            body=self.rfile.read(int(length)),
        )
        self._write(self.desk.answer(asked))

    def _write(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", _JSON)
        self.send_header("Content-Length", str(len(reply.content)))
        self.end_headers()
        self.wfile.write(reply.content)

    def log_message(self, format: str, *args: object) -> None:
        """Silent: paths and tokens of algorithms are nobody's news."""
