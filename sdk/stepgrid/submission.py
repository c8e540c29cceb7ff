"""Submitting a session.

    check worker, token and options --> pack the tasks, as they come
        --> small:   POST /v1/sessions with the tasks in it
        --> larger:  POST /v1/uploads, PUT the file, POST /v1/sessions with where it is
        --> large:   the same with parts of the file, which go up while the next ones are packed

Tasks are encoded once: their lines go into the request, or the file, as they are. A session is made
by the last request alone, when every task was seen to be JSON; a large one is never held whole.
"""

import difflib
import json
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from pydantic import ValidationError

from stepgrid_core.contract import (
    SessionDescription,
    SessionOptions,
    UploadedInput,
    first_fault,
)
from stepgrid_core.errors import InvalidRequest
from stepgrid_core.names import CLIENT_TOKEN, WORKER_NAME
from stepgrid_core.packing import Packed, Packing

from .common_input import CommonInput
from .connection import Connection
from .uploads import PART_BYTES, Uploaded, gather_parts, upload_parts, upload_whole

#: Tasks up to this size travel in the request itself. The grid keeps as much beside the session;
#: what is larger it would write to the payload store, and an upload goes there directly.
INLINE_INPUT_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be submitted, apart from the tasks. All of it was checked."""

    worker: str
    options: SessionOptions
    client_token: str
    common: CommonInput | None = None
    depends_on: tuple[str, ...] = ()  #: ids of sessions


def make_order(
    worker: str,
    client_token: str | None,
    options: Mapping[str, Any],
    common: CommonInput | None = None,
    depends_on: Iterable[str] = (),
) -> Order:
    """Check what can be checked without the grid. Raises InvalidRequest."""
    if not isinstance(worker, str) or re.match(WORKER_NAME, worker) is None:
        raise InvalidRequest(
            f"{worker!r} is no worker's name (lower case letters, digits and hyphens); "
            "grid.workers() lists those there are"
        )
    token = uuid.uuid4().hex if client_token is None else client_token
    if not isinstance(token, str) or re.match(CLIENT_TOKEN, token) is None:
        raise InvalidRequest(
            f"client_token {token!r} must have 1 to 128 characters of A-Z a-z 0-9 _ . : = @ -"
        )
    return Order(worker, read_options(options), token, common, tuple(depends_on))


def read_options(options: Mapping[str, Any]) -> SessionOptions:
    """The options of a session. Raises InvalidRequest that names the one that is wrong."""
    known = SessionOptions.model_fields
    for name in options:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
            raise InvalidRequest(f"unknown option {name!r}; {hint}")
    try:
        return SessionOptions.model_validate(dict(options))
    except ValidationError as error:
        given = error.errors(include_url=False)[0]["input"]
        raise InvalidRequest(f"option {first_fault(error)}, not {given!r}") from error


def submit(connection: Connection, order: Order, lines: Iterable[bytes]) -> SessionDescription:
    """Submit tasks that are lines of JSON, each ended by a newline.

    Raises InvalidRequest if there are none, RequestTooLarge for one that is too large, and what the
    lines, the API and the payload store raise. In each case no session was made.
    """
    packing = Packing(order.options.chunk_size)
    parts = gather_parts(packing.pack(lines))
    first = next(parts, None)
    if first is None:
        raise InvalidRequest("a session needs at least one task")
    if len(first) <= INLINE_INPUT_BYTES:
        return connection.api.submit(_body(connection, order, _inline_tasks(first)))
    if len(first) < PART_BYTES:  # so it is the last one
        uploaded = upload_whole(connection, first)
    else:
        uploaded = upload_parts(connection, chain([first], parts))
    source = _describe(uploaded, packing.finish(uploaded.sha256))
    members = {"input": source.model_dump_json().encode()}
    return connection.api.submit(_body(connection, order, members))


def _describe(uploaded: Uploaded, packed: Packed) -> UploadedInput:
    return UploadedInput(
        upload_id=uploaded.upload_id,
        multipart_id=uploaded.multipart_id,
        etags=uploaded.etags,
        tasks=packed.tasks,
        size=packed.size,
        sha256=packed.sha256,
        stride=packed.stride,
        offsets=packed.offsets,
    )


def _inline_tasks(lines: bytes) -> dict[str, bytes]:
    """The lines become a JSON list: in JSON text a line break can only be one between two tasks."""
    return {"tasks": b"[%b]" % lines.rstrip(b"\n").replace(b"\n", b",")}


def _body(connection: Connection, order: Order, members: dict[str, bytes]) -> bytes:
    """A contract.SubmitRequest some of whose members are JSON text already."""
    head: dict[str, Any] = {
        "client_token": order.client_token,
        "worker": order.worker,
        "options": order.options.model_dump(mode="json", exclude_unset=True),
    }
    if order.depends_on:
        head["depends_on"] = order.depends_on
    if order.common is not None:
        members = members | order.common.member(connection)
    texts = b"".join(b',"%b":%b' % (name.encode(), text) for name, text in members.items())
    return json.dumps(head)[:-1].encode() + texts + b"}"
