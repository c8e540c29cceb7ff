"""What is in payload files: JSON Lines in, JSON Lines out.

    input    one task a line, in order; cut into chunks by byte offsets
    output   one outcome a line, in order of the task's index, for one chunk

Only the two ends call this with open eyes: the SDK and the worker. The control plane moves the
bytes about without reading what is in them. This module knows no store and no table.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from .codec import decode, encode
from .errors import InvalidRequest, PayloadCorrupted
from .output_lines import begin_line

#: a failed task's line is recognised by its beginning, so that nothing else needs to be parsed
_HEAD = re.compile(rb'\{"i":(\d+),"state":"(\w+)","attempts":(\d+),"ms":([0-9.]+)')


@dataclass(frozen=True, slots=True)
class TaskFault:
    """Why a task has no result: what travels as `error` in its output line."""

    type: str
    message: str
    traceback: str = ""
    retryable: bool = True


def digest(data: bytes) -> str:
    """96 bits of SHA-256, short enough for a chunk row: finds damage, not forgery."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()[:12]).decode()


def encode_lines(tasks: Iterable[Any]) -> Iterator[bytes]:
    """Each task as a line of JSON. Raises InvalidRequest naming the first that JSON can't say.

    An error of the iterable itself is the caller's: it passes as it is, with a note of the task
    in whose place it came.
    """
    index = 0
    rest = iter(tasks)
    while True:
        try:
            task = next(rest)
        except StopIteration:
            return
        except Exception as error:
            error.add_note(f"raised by the tasks where task {index} should have come")
            raise
        try:
            yield encode(task) + b"\n"
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidRequest(f"task {index} is not JSON: {error}") from error
        index += 1


@dataclass(frozen=True, slots=True)
class OutcomeHead:
    """The beginning of an output line: all but its result or error."""

    index: int
    state: str
    attempts: int
    milliseconds: float


def failed_line(
    index: int, attempts: int, milliseconds: float, fault: TaskFault, state: str = "failed"
) -> bytes:
    """An output line; state "retrying" is for checkpoints: it has failed but is not settled."""
    error = {"type": fault.type, "message": fault.message, "traceback": fault.traceback}
    text = json.dumps(error).encode()  # escaped: a message may hold half a surrogate pair
    return b'%b,"error":%b}\n' % (begin_line(index, state, attempts, milliseconds), text)


def read_heads(data: bytes) -> Iterator[tuple[OutcomeHead, bytes]]:
    """Each output line with its head taken apart; results and errors stay unparsed."""
    for line in data.split(b"\n"):
        if not line:
            continue
        match = _HEAD.match(line)
        if match is None:
            raise PayloadCorrupted("an output line does not begin as one")
        index, state, attempts, milliseconds = match.groups()
        yield OutcomeHead(int(index), state.decode(), int(attempts), float(milliseconds)), line


def read_outcomes(data: bytes) -> Iterator[dict[str, Any]]:
    """Each output line as a dict: i, state, attempts, ms, and result or error."""
    for line in data.split(b"\n"):
        if line:
            yield decode(line)


def read_error(line: bytes) -> dict[str, str]:
    error: dict[str, str] = json.loads(line).get("error", {})
    return error


def check(data: bytes, size: int, expected_digest: str, key: str) -> bytes:
    """Raises PayloadCorrupted unless the bytes are those that the row published."""
    if len(data) != size or digest(data) != expected_digest:
        raise PayloadCorrupted(
            f"{key} has {len(data)} bytes that are not the {size} which were committed; "
            "ask again, and if it stays so the object was changed from outside"
        )
    return data
