"""The tasks of a session that is being submitted: packed from the request, or found uploaded.

Never looks into a task: what came in the request is packed into lines and carried, files stay in
the payload store.
"""

from dataclasses import dataclass
from itertools import pairwise

from .contract import SubmitRequest, UploadedInput
from .data_plane import encode_lines
from .errors import InvalidRequest, RequestTooLarge
from .names import input_key
from .packing import MAX_STRIDE_BYTES, Packed, pack
from .planning import INLINE_INPUT_BYTES
from .ports import StoredObject
from .records import CommonRef, InputRef
from .wiring import Grid


@dataclass(frozen=True, slots=True)
class Material:
    """A session's tasks: how many, where, and where each `stride`-th line begins."""

    packed: Packed
    input: InputRef
    lines: bytes | None
    common: CommonRef | None = None


def gather(grid: Grid, owner: str, request: SubmitRequest) -> Material:
    """The material of a submit, without its common input.

    Raises RequestTooLarge for more than one session may hold, InvalidRequest for an upload that is
    not there or not what the request says.
    """
    if request.input is not None:
        check_size(grid, request.input.tasks, request.input.size)
        return _uploaded(grid, owner, request.input)
    packed, lines = pack(encode_lines(request.tasks or ()), request.options.chunk_size)
    check_size(grid, packed.tasks, packed.size)
    if packed.size <= INLINE_INPUT_BYTES:
        return Material(packed, InputRef(None, "", packed.size), lines)
    key = input_key(owner, packed.sha256[:32])
    stored = grid.payloads.put(key, lines)
    return Material(packed, InputRef(key, stored.etag, packed.size), None)


def size_of(request: SubmitRequest) -> int:
    """Bytes of its tasks as JSON Lines. Nothing is stored."""
    if request.input is not None:
        return request.input.size
    return sum(map(len, encode_lines(request.tasks or ())))


def check_size(grid: Grid, tasks: int, size: int) -> None:
    settings = grid.settings
    if tasks > settings.max_tasks:
        raise RequestTooLarge(
            f"the session has {tasks} tasks; this grid takes {settings.max_tasks} at most"
        )
    if size > settings.max_input_mib * 1024 * 1024:
        raise RequestTooLarge(
            f"the input has {size} bytes; this grid takes {settings.max_input_mib} MiB at most"
        )


def _uploaded(grid: Grid, owner: str, upload: UploadedInput) -> Material:
    key = input_key(owner, upload.upload_id)
    stored = _stored(grid, key, upload)
    if stored is None:
        raise InvalidRequest(
            f"nothing was uploaded as {upload.upload_id}; "
            "PUT the file to the URL that POST /v1/uploads gave"
        )
    if stored.size != upload.size:
        raise InvalidRequest(
            f"upload {upload.upload_id} has {stored.size} bytes, not {upload.size}; upload it again"
        )
    _check_gaps(upload)
    packed = Packed(upload.stride, upload.tasks, upload.size, upload.offsets, upload.sha256)
    return Material(packed, InputRef(key, stored.etag, stored.size), None)


def _stored(grid: Grid, key: str, upload: UploadedInput) -> StoredObject | None:
    if upload.multipart_id is None:
        return grid.payloads.head(key)
    etags = upload.etags or ()
    return grid.payloads.complete_multipart(key, upload.multipart_id, etags, upload.size)


def _check_gaps(upload: UploadedInput) -> None:
    """A worker holds what lies between two offsets in its memory, if not more."""
    gaps = [b - a for a, b in pairwise([*upload.offsets, upload.size])]
    largest = max(range(len(gaps)), key=gaps.__getitem__)
    if gaps[largest] > MAX_STRIDE_BYTES:
        raise InvalidRequest(
            f"input.offsets: {gaps[largest]} bytes from task {largest * upload.stride} on; between "
            f"two offsets there may be {MAX_STRIDE_BYTES}: use a smaller stride or smaller tasks"
        )
