"""Submitting a session.

    check worker, token and options --> pack the tasks into a spooled file
        --> small:  POST /v1/sessions with the tasks in it
        --> large:  POST /v1/uploads, PUT the file, POST /v1/sessions with where it is

Nothing is sent before every task was seen to be JSON. Tasks are encoded once: their lines go into
the request as they are.
"""

import difflib
import json
import re
import tempfile
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from pydantic import ValidationError

from stepgrid_core.contract import MAX_OFFSETS, SessionDescription, SessionOptions, UploadedInput
from stepgrid_core.data_plane import Packed, pack_lines
from stepgrid_core.errors import InvalidRequest, RequestTooLarge
from stepgrid_core.names import CLIENT_TOKEN, WORKER_NAME

from .common_input import CommonInput
from .connection import Connection
from .uploads import PART_BYTES, upload

#: Tasks up to this size travel in the request itself. The grid keeps as much beside the session;
#: what is larger it would write to the payload store, and an upload goes there directly.
INLINE_INPUT_BYTES = 32 * 1024
#: A worker holds the input of a chunk in memory, so the grid takes no chunk that is larger.
MAX_CHUNK_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be submitted, apart from the tasks. All of it was checked."""

    worker: str
    options: SessionOptions
    client_token: str
    common: CommonInput | None = None


def make_order(
    worker: str,
    client_token: str | None,
    options: Mapping[str, Any],
    common: CommonInput | None = None,
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
    return Order(worker, read_options(options), token, common)


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
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(f"option {where}: {first['msg']}, not {first['input']!r}") from error


def submit(connection: Connection, order: Order, lines: Iterable[bytes]) -> SessionDescription:
    """Submit tasks that are lines of JSON; the lines are consumed before anything is sent.

    Raises InvalidRequest if there are none, RequestTooLarge for one that is too large, and what the
    API and the payload store raise.
    """
    lines = (check_size(line, f"task {index}") for index, line in enumerate(lines))
    with tempfile.SpooledTemporaryFile(max_size=PART_BYTES) as spool:
        file: BinaryIO = spool  # type: ignore[assignment]  # it is one, but for its class
        packed = pack_lines(lines, file, most_offsets=MAX_OFFSETS)
        if packed.tasks == 0:
            raise InvalidRequest("a session needs at least one task")
        if packed.size <= INLINE_INPUT_BYTES:
            file.seek(0)
            return connection.api.submit(_body(connection, order, _inline_tasks(file.read())))
        align(packed, order.options.chunk_size, file)
        uploaded = upload(connection, file, packed.size)
    source = UploadedInput(
        upload_id=uploaded.upload_id,
        multipart_id=uploaded.multipart_id,
        etags=uploaded.etags,
        tasks=packed.tasks,
        size=packed.size,
        sha256=packed.sha256,
        stride=packed.stride,
        offsets=packed.offsets,
    )
    members = {"input": source.model_dump_json().encode()}
    return connection.api.submit(_body(connection, order, members))


def check_size(line: bytes, what: str) -> bytes:
    """The line of one task. Raises RequestTooLarge for one that no chunk can hold."""
    if len(line) > MAX_CHUNK_BYTES:
        raise RequestTooLarge(
            f"{what} has {len(line):,} bytes of JSON, and {MAX_CHUNK_BYTES:,} is the most that a "
            "worker takes; put what is large into a store and send where it is"
        )
    return line


def align(packed: Packed, chunk_size: int | None, file: BinaryIO) -> None:
    """Note the offsets anew, one for each chunk, if the wished chunks could not be cut otherwise.

    Up to 10,000 tasks every line has its offset, and any chunk size can be cut. Above, only where
    the wish is one that the grid can grant: few enough chunks, and none that is too large.
    """
    if chunk_size is None:
        return
    chunk_size = min(chunk_size, packed.tasks)
    if chunk_size % packed.stride == 0:
        return
    chunks = -(-packed.tasks // chunk_size)
    if chunks > MAX_OFFSETS or chunk_size * packed.size > MAX_CHUNK_BYTES * packed.tasks:
        return
    packed.stride, packed.offsets = chunk_size, []
    file.seek(0)
    offset = 0
    for number, line in enumerate(file):
        if number % chunk_size == 0:
            packed.offsets.append(offset)
        offset += len(line)


def _inline_tasks(lines: bytes) -> dict[str, bytes]:
    """The lines become a JSON list: in JSON text a line break can only be one between two tasks."""
    return {"tasks": b"[%b]" % lines.rstrip(b"\n").replace(b"\n", b",")}


def _body(connection: Connection, order: Order, members: dict[str, bytes]) -> bytes:
    """A contract.SubmitRequest some of whose members are JSON text already."""
    head = {
        "client_token": order.client_token,
        "worker": order.worker,
        "options": order.options.model_dump(mode="json", exclude_unset=True),
    }
    if order.common is not None:
        members = members | order.common.member(connection)
    texts = b"".join(b',"%b":%b' % (name.encode(), text) for name, text in members.items())
    return json.dumps(head)[:-1].encode() + texts + b"}"
