"""The route /socket.io/: Engine.IO's long-polling as HTTP requests.

Clients of protocol 3 send and want bytes, so API Gateway has to pass them (BinaryMediaTypes).
Whatever a client sends that can't be read is answered 400 in Engine.IO's form. Knows no event.
"""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus

from ..errors import InvalidRequest
from . import tasks_namespace
from .connections import INTERVAL_SECONDS, TIMEOUT_SECONDS, Hub, UnknownSocket
from .engineio import TEXT_TYPE, VERSIONS, Framing, handshake
from .http import Answer, Call, Route

#: Engine.IO's own numbers of what is wrong with a request.
TRANSPORT_UNKNOWN, SID_UNKNOWN, BAD_REQUEST, BAD_VERSION = 0, 1, 3, 5
PATHS = ("/socket.io/", "/socket.io")

Use = Callable[[Call, Hub, Framing], Answer]


def _answered(call: Call, use: Use) -> Answer:
    version = call.argument("EIO") or "3"
    if version not in tuple(map(str, VERSIONS)):
        return _refusal(BAD_VERSION, "Unsupported protocol version")
    if call.argument("transport") != "polling":
        return _refusal(TRANSPORT_UNKNOWN, "Transport unknown")
    if call.argument("j") is not None:
        return _refusal(BAD_REQUEST, "JSONP is not supported")
    hub = Hub(call.federation, tasks_namespace.handle, tasks_namespace.left)
    framing = Framing(int(version), in_text=call.argument("b64") in ("1", "true"))
    try:
        return use(call, hub, framing)
    except UnknownSocket as error:
        return _refusal(SID_UNKNOWN, error.message)
    except InvalidRequest as error:
        return _refusal(BAD_REQUEST, error.message)


def _get(call: Call, hub: Hub, framing: Framing) -> Answer:
    sid = call.argument("sid")
    if sid is not None:
        packets = hub.poll(sid)
    else:
        sid = hub.open(framing.version, _token(call)).sid
        packets = [handshake(sid, framing.version, INTERVAL_SECONDS, TIMEOUT_SECONDS)]
    return Answer(framing.encode(packets), content_type=framing.content_type)


def _post(call: Call, hub: Hub, framing: Framing) -> Answer:
    hub.receive(call.argument("sid") or "", framing.decode(call.request.body))
    return Answer(b"ok", content_type=TEXT_TYPE)


def _token(call: Call) -> str:
    scheme, _, token = call.request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _refusal(code: int, message: str) -> Answer:
    return Answer({"code": code, "message": message}, HTTPStatus.BAD_REQUEST)


#: A handshake may come without a token: the client is told so by an event.
ROUTES = tuple(
    Route(method, path, partial(_answered, use=use), who=())
    for path in PATHS
    for method, use in (("GET", _get), ("POST", _post))
)
