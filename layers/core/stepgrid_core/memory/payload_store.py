"""The payload store in a dictionary."""

import hashlib
import threading
from collections.abc import Iterator, Sequence

from ..errors import InvalidRequest, NotFound, PayloadCorrupted
from ..names import session_id as make_session_id
from ..ports import StoredObject

#: As large as the pieces that a network brings.
BLOCK_BYTES = 64 * 1024


class MemoryPayloadStore:
    """Objects in a dictionary; URLs are `memory:` and the key."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._objects: dict[str, bytes] = {}
        self._parts: dict[str, dict[int, bytes]] = {}
        self._begun = 0

    def put(self, key: str, body: bytes) -> StoredObject:
        with self._lock:
            self._objects[key] = body
        return StoredObject(len(body), _etag(body))

    def put_part(self, key: str, multipart_id: str, number: int, body: bytes) -> str:
        """What a client does with a presigned part URL; answers the part's ETag."""
        with self._lock:
            self._parts[multipart_id][number] = body
        return _etag(body)

    def list_keys(self) -> list[str]:
        """What there is; for tests of what must leave no trace."""
        with self._lock:
            return sorted(self._objects)

    def abort_multipart(self, key: str, multipart_id: str) -> None:
        """What a client does with a presigned URL to abort."""
        with self._lock:
            if self._parts.pop(multipart_id, None) is None:
                raise NotFound(f"there is no multipart upload {multipart_id} of {key}")

    def list_multiparts(self) -> list[str]:
        """Those begun and not ended; for tests of what must leave no trace."""
        with self._lock:
            return sorted(self._parts)

    def get(self, key: str) -> bytes:
        with self._lock:
            body = self._objects.get(key)
        if body is None:
            raise NotFound(f"there is no object {key}")
        return body

    def open_range(self, key: str, start: int, length: int, etag: str) -> Iterator[bytes]:
        body = self.get(key)
        if _etag(body) != etag:
            raise PayloadCorrupted(f"object {key} was replaced after it was submitted")
        part = body[start : start + length]
        return (part[at : at + BLOCK_BYTES] for at in range(0, len(part), BLOCK_BYTES))

    def head(self, key: str) -> StoredObject | None:
        with self._lock:
            body = self._objects.get(key)
        return None if body is None else StoredObject(len(body), _etag(body))

    def peek(self, keys: Sequence[str]) -> dict[str, bytes]:
        return {}

    def delete_prefix(self, prefix: str) -> list[str]:
        with self._lock:
            keys = [key for key in self._objects if key.startswith(prefix)]
            for key in keys:
                del self._objects[key]
        return keys

    def presign_get(self, key: str) -> str:
        return f"memory:{key}"

    def presign_download(self, key: str, name: str) -> str:
        return f"memory:{key}"

    def presign_put(self, key: str) -> str:
        return f"memory:{key}"

    def start_multipart(self, key: str) -> str:
        with self._lock:
            self._begun += 1
            multipart_id = make_session_id(key, str(self._begun))
            self._parts[multipart_id] = {}
        return multipart_id

    def presign_part(self, key: str, multipart_id: str, number: int) -> str:
        return f"memory:{key}#{multipart_id}#{number}"

    def presign_abort(self, key: str, multipart_id: str) -> str:
        return f"memory:{key}#{multipart_id}"

    def complete_multipart(
        self, key: str, multipart_id: str, etags: Sequence[str], size: int
    ) -> StoredObject:
        with self._lock:
            parts = self._parts.get(multipart_id)
            if parts is None:
                stored = self.head(key)
                if stored is not None:
                    return stored
                raise InvalidRequest(f"there is no multipart upload {multipart_id[:64]!r} of {key}")
            numbers = range(1, len(etags) + 1)
            arrived = [_etag(parts[n]) if n in parts else None for n in numbers]
            if not etags or arrived != [etag.strip('"') for etag in etags]:
                raise InvalidRequest(f"the etags are not those of the parts uploaded for {key}")
            body = b"".join(parts[number] for number in numbers)
            if len(body) != size:
                raise InvalidRequest(f"the parts uploaded for {key} have {len(body)} bytes")
            del self._parts[multipart_id]
            return self.put(key, body)


def _etag(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()
