"""How a client reaches the in-memory grid: the real routes, without HTTP and without S3.

One lock: the SDK downloads and batches in threads, and virtual time must not pass in two at once.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stepgrid_core.endpoints import HttpRequest, answer

from ..transport import read_answer

if TYPE_CHECKING:
    from .grid import InMemoryGrid


class MemoryTransport:
    """The Transport of one owner."""

    def __init__(self, memory: "InMemoryGrid", owner: str) -> None:
        self._memory = memory
        self._owner = owner

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | float] | None = None,
        body: bytes | None = None,
        timeout_seconds: float | None = None,
        *,
        held_seconds: float = 0.0,
    ) -> dict[str, Any]:
        """See stepgrid.transport.Transport. Whatever was submitted runs first."""
        values = {name: [str(value)] for name, value in (query or {}).items()}
        with self._memory.lock:
            if self._memory.autorun:
                self._memory.run()
            request = HttpRequest(method, path, values, body or b"", "in-memory")
            status, content = self._ask(request)
        return read_answer(status, content, f"{method} {path}")

    def _ask(self, request: HttpRequest) -> tuple[int, bytes]:
        federation = self._memory.federation
        if federation is not None and federation.serves(request.path):
            answered = federation.answer(request, self._owner)
            return int(answered.status), answered.data
        reply = answer(self._memory.wiring, request, lambda: self._owner)
        return reply.status, reply.body.encode()


class MemoryObjects:
    """The Objects behind `memory:` URLs."""

    def __init__(self, memory: "InMemoryGrid") -> None:
        self._payloads = memory.payloads

    def put(self, url: str, data: bytes) -> str:
        key, *part = url.removeprefix("memory:").split("#")
        if part:
            multipart_id, number = part
            return self._payloads.put_part(key, multipart_id, int(number), data)
        return self._payloads.put(key, data).etag

    def get(self, url: str, byte_range: tuple[int, int] | None = None) -> bytes:
        data = self._payloads.get(url.removeprefix("memory:"))
        first, length = byte_range or (0, len(data))
        return data[first : first + length]

    def delete(self, url: str) -> None:
        key, multipart_id = url.removeprefix("memory:").split("#")
        self._payloads.abort_multipart(key, multipart_id)
