"""The common input of a session: one JSON value that all of its tasks share.

    client --in the request, or uploaded--> object --once per environment--> worker --> child

The object's name is made from its bytes, so that many sessions with the same common input share one
object, and from the day: an object expires one day after the sessions of the day it was made on.
The control plane stores it and never reads it; the worker's side is in common_cache.
"""

import hashlib

from .codec import encode
from .contract import CommonFile, SubmitRequest, Upload, UploadedCommon
from .errors import InvalidRequest, RequestTooLarge
from .names import common_key
from .ports import URL_SECONDS
from .records import CommonRef
from .wiring import Grid

#: In the request itself; what is larger is uploaded.
INLINE_COMMON_BYTES = 1024 * 1024
DAY_SECONDS = 86_400


def create_common_upload(grid: Grid, owner: str, common: CommonFile) -> Upload:
    """Where to PUT a common input; no URL if the same bytes were stored today."""
    upload_id = _upload_id(grid, common.sha256)
    key = common_key(owner, upload_id)
    stored = grid.payloads.head(key)
    kept = stored is not None and stored.size == common.size
    urls = [] if kept else [grid.payloads.presign_put(key)]
    return Upload(upload_id=upload_id, urls=urls, expires_in_seconds=URL_SECONDS)


def keep_common(grid: Grid, owner: str, request: SubmitRequest) -> CommonRef | None:
    """The session's common input as a stored object; None if it has none.

    Raises InvalidRequest if nothing fits was uploaded, RequestTooLarge for too much in the request.
    """
    if request.common_upload is not None:
        return _uploaded(grid, owner, request.common_upload)
    if request.common is None:
        return None
    text = encode(request.common)
    if len(text) > INLINE_COMMON_BYTES:
        raise RequestTooLarge(
            f"common has {len(text)} bytes of JSON; above {INLINE_COMMON_BYTES} "
            "upload it (POST /v1/uploads with common) and send common_upload"
        )
    sha256 = hashlib.sha256(text).hexdigest()
    key = common_key(owner, _upload_id(grid, sha256))
    if grid.payloads.head(key) is None:
        grid.payloads.put(key, text)
    return CommonRef(key, sha256, len(text))


def _upload_id(grid: Grid, sha256: str) -> str:
    day = int(grid.clock.now() // DAY_SECONDS)
    return hashlib.sha256(f"common\n{sha256}\n{day}".encode()).hexdigest()[:32]


def _uploaded(grid: Grid, owner: str, upload: UploadedCommon) -> CommonRef:
    key = common_key(owner, upload.upload_id)
    stored = grid.payloads.head(key)
    if stored is None or stored.size != upload.size:
        found = "nothing" if stored is None else f"{stored.size} bytes"
        raise InvalidRequest(
            f"common_upload {upload.upload_id}: {found} uploaded where {upload.size} bytes were "
            "announced; PUT the value to the URL that POST /v1/uploads gave"
        )
    return CommonRef(key, upload.sha256, upload.size)
