"""A PayloadStore with a cache of small hot objects in front of it.

    put     store, then cache        get, range   cache, else store
    delete  store, then cache        URLs         always the store's

The store is the truth: whatever is in the cache was in the store before, and a cache that is down,
full, empty or wrong costs time and changes no answer. `get` and `peek` are answered from the cache
only for outputs, which are written once under their names; any other object may be replaced by
whoever has a URL, so it is only read with its ETag. Each value carries a digest of itself, its name
and its ETag. This module knows no Redis: that is redis_cache.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Protocol

from .names import is_output_key
from .ports import Clock, PayloadStore, StoredObject
from .telemetry import logger

#: After a cache did not answer, it is left alone for so long: each try may cost its timeout.
PAUSE_SECONDS = 5.0
DIGEST_BYTES = 16


class CacheFault(Exception):
    """The cache did not do what it was asked; `reachable` if it answered at all."""

    def __init__(self, reason: str, reachable: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.reachable = reachable


class Cache(Protocol):
    """Values by key, each forgotten after some time, or before. Every call may raise CacheFault."""

    def read(self, keys: Sequence[str]) -> list[bytes | None]: ...

    def write(self, key: str, value: bytes, seconds: int) -> None: ...

    def delete(self, keys: Sequence[str]) -> None: ...


class CachedPayloadStore:
    """`store` behind `cache`: objects of at most `most_bytes` are kept there for `seconds`."""

    def __init__(
        self,
        store: PayloadStore,
        cache: Cache,
        clock: Clock,
        most_bytes: int = 64 * 1024,
        seconds: int = 3600,
    ) -> None:
        self._store = store
        self._cache = cache
        self._clock = clock
        self._most_bytes = most_bytes
        self._seconds = seconds
        self._paused_until = 0.0
        #: calls that the cache did not carry out
        self.faults = 0

    def put(self, key: str, body: bytes) -> StoredObject:
        stored = self._store.put(key, body)
        self._keep(key, stored.etag, body)
        return stored

    def get(self, key: str) -> bytes:
        hot = self.peek([key]).get(key)
        if hot is not None:
            return hot
        body = self._store.get(key)
        if is_output_key(key):
            self._keep(key, "", body)
        return body

    def open_range(self, key: str, start: int, length: int, etag: str) -> Iterator[bytes]:
        for kept, body in self._read([key]).values():
            if kept == etag:
                return iter([part] if (part := body[start : start + length]) else [])
        return self._store.open_range(key, start, length, etag)

    def peek(self, keys: Sequence[str]) -> dict[str, bytes]:
        hot = self._read([key for key in keys if is_output_key(key)])
        return {key: body for key, (_, body) in hot.items()}

    def head(self, key: str) -> StoredObject | None:
        return self._store.head(key)

    def delete_prefix(self, prefix: str) -> list[str]:
        """What a cache that does not answer keeps for its time: the rows that name it are gone."""
        deleted = self._store.delete_prefix(prefix)
        if deleted and self._may_try():
            try:
                self._cache.delete(deleted)
            except CacheFault as fault:
                self._note(fault)
        return deleted

    def presign_get(self, key: str) -> str:
        return self._store.presign_get(key)

    def presign_download(self, key: str, name: str) -> str:
        return self._store.presign_download(key, name)

    def presign_put(self, key: str) -> str:
        return self._store.presign_put(key)

    def start_multipart(self, key: str) -> str:
        return self._store.start_multipart(key)

    def presign_part(self, key: str, multipart_id: str, number: int) -> str:
        return self._store.presign_part(key, multipart_id, number)

    def presign_abort(self, key: str, multipart_id: str) -> str:
        return self._store.presign_abort(key, multipart_id)

    def complete_multipart(
        self, key: str, multipart_id: str, etags: Sequence[str], size: int
    ) -> StoredObject:
        return self._store.complete_multipart(key, multipart_id, etags, size)

    def _keep(self, key: str, etag: str, body: bytes) -> None:
        if len(body) > self._most_bytes or not self._may_try():
            return
        try:
            self._cache.write(key, seal(key, etag, body), self._seconds)
        except CacheFault as fault:
            self._note(fault)

    def _read(self, keys: Sequence[str]) -> dict[str, tuple[str, bytes]]:
        """ETag and bytes of those that are there and whole."""
        if not keys or not self._may_try():
            return {}
        try:
            values = self._cache.read(keys)
        except CacheFault as fault:
            self._note(fault)
            return {}
        opened = {
            key: unseal(key, value)
            for key, value in zip(keys, values, strict=True)
            if value is not None
        }
        return {key: found for key, found in opened.items() if found is not None}

    def _may_try(self) -> bool:
        return self._clock.monotonic() >= self._paused_until

    def _note(self, fault: CacheFault) -> None:
        self.faults += 1
        if not fault.reachable:
            self._paused_until = self._clock.monotonic() + PAUSE_SECONDS
        logger.warning("payload cache failed", reason=fault.reason, faults=self.faults)


def seal(key: str, etag: str, body: bytes) -> bytes:
    """An object as it is kept: digest, length of the ETag, ETag, bytes."""
    sealed = bytes([len(etag)]) + etag.encode() + body
    return _digest(key, sealed) + sealed


def unseal(key: str, value: bytes) -> tuple[str, bytes] | None:
    """ETag and bytes; None if the value is not what was kept under this key."""
    digest, sealed = value[:DIGEST_BYTES], value[DIGEST_BYTES:]
    if not sealed or digest != _digest(key, sealed):
        return None
    end = 1 + sealed[0]
    return sealed[1:end].decode(), sealed[end:]


def _digest(key: str, sealed: bytes) -> bytes:
    return hashlib.blake2b(key.encode() + b"\n" + sealed, digest_size=DIGEST_BYTES).digest()
