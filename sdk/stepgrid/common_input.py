"""The common input of sessions: encoded once, carried once.

    value --> JSON text --> small: in the request of each session
                        --> large: POST /v1/uploads says whether the grid has it; if not, PUT it

One value may be given to many sessions, for example by an executor.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from stepgrid_core.codec import encode
from stepgrid_core.contract import MAX_COMMON_BYTES, CommonFile, UploadedCommon, UploadRequest
from stepgrid_core.errors import InvalidRequest, RequestTooLarge

from .connection import Connection
from .uploads import put_whole

#: Up to this size it travels in the request: an upload would be two requests more.
INLINE_COMMON_BYTES = 32 * 1024


@dataclass(frozen=True, slots=True)
class CommonInput:
    """A value that all tasks of a session share, as JSON text."""

    text: bytes
    sha256: str

    def member(self, connection: Connection) -> dict[str, bytes]:
        """The members of a contract.SubmitRequest that stand for it, as JSON text."""
        if len(self.text) <= INLINE_COMMON_BYTES:
            return {"common": self.text}
        return {"common_upload": self._upload(connection).model_dump_json().encode()}

    def _upload(self, connection: Connection) -> UploadedCommon:
        """What is there already is not sent again."""
        file = CommonFile(size=len(self.text), sha256=self.sha256)
        request = UploadRequest.model_validate({"common": file})
        upload_id = put_whole(connection, request, self.text)
        return UploadedCommon(upload_id=upload_id, size=file.size, sha256=file.sha256)


def encode_common(value: Any) -> CommonInput | None:
    """None for None. Raises InvalidRequest if it is not JSON, RequestTooLarge above 64 MiB."""
    if value is None:
        return None
    try:
        text = encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"common is not JSON: {error}") from error
    if len(text) > MAX_COMMON_BYTES:
        raise RequestTooLarge(
            f"common has {len(text):,} bytes of JSON, and {MAX_COMMON_BYTES:,} is the most that a "
            "worker takes; put what is large into a store and send where it is"
        )
    return CommonInput(text, hashlib.sha256(text).hexdigest())
