"""Outputs of chunks, checked: inline, kept from before, or by presigned URL straight from S3.

Those of federated tasks have no URL: the grid hands them out itself, request by request.

    chunks --> parts --> threads: GET, check --> outputs in the same order

Several are under way at once, and so are the parts of a large one; together they are bounded in
bytes. It knows neither which chunks there are nor what is in their outputs.
"""

import base64
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from stepgrid_core.contract import ChunkOutput
from stepgrid_core.data_plane import check

from .connection import TRANSFERS, Connection
from .objects import LinkRefused
from .pages import ResultPages
from .parallel import map_ahead

#: Outputs kept for each session.
CACHE_BYTES = 64 * 1024 * 1024
#: Of outputs that are under way, or here and not yet asked for.
AHEAD_BYTES = 32 * 1024 * 1024
#: Outputs of more than two such parts are fetched part by part.
PART_BYTES = 16 * 1024 * 1024
#: Of a URL that is refused: what is known already, then what is asked for.
MOST_RENEWALS = 2

#: A chunk and its checked output.
Download = tuple[ChunkOutput, bytes]


@dataclass(frozen=True, slots=True)
class _Part:
    """A range of one chunk's output."""

    chunk: ChunkOutput
    start: int
    size: int

    @property
    def is_all(self) -> bool:
        return self.size == self.chunk.size

    @property
    def is_last(self) -> bool:
        return self.start + self.size == self.chunk.size


class Downloads:
    """The outputs of one session. Safe for several threads."""

    def __init__(
        self,
        connection: Connection,
        session_id: str,
        pages: ResultPages,
        part_bytes: int = PART_BYTES,
    ) -> None:
        self._connection = connection
        self._session_id = session_id
        self._pages = pages
        self._part_bytes = part_bytes
        self._cache = OutputCache(CACHE_BYTES)

    def fetch(self, chunks: Iterable[ChunkOutput | None], keep: bool) -> Iterator[Download]:
        """The outputs of chunks, in order; None says that the next chunk will take a while.

        keep: those of final chunks for the next time, up to CACHE_BYTES. Raises PayloadCorrupted.
        """
        held: list[bytes] = []
        parts = self._cut(chunks)
        for part, data in map_ahead(
            self._connection.pool, self._get, parts, TRANSFERS, weigh=_size, most=AHEAD_BYTES
        ):
            held.append(data)
            if part.is_last:
                output = data if part.is_all else self._checked(part.chunk, b"".join(held))
                held.clear()
                if keep and part.chunk.final and part.chunk.lines is None:
                    self._cache.put(part.chunk.chunk, output)
                yield part.chunk, output

    def read(self, chunk: ChunkOutput) -> bytes:
        """The output of one chunk, which is kept. Raises PayloadCorrupted."""
        return next(self.fetch([chunk], keep=True))[1]

    def _cut(self, chunks: Iterable[ChunkOutput | None]) -> Iterator[_Part | None]:
        for chunk in chunks:
            if chunk is None:
                yield None
            elif not chunk.final or chunk.size <= 2 * self._part_bytes or self._is_here(chunk):
                yield _Part(chunk, 0, chunk.size)
            else:
                for start in range(0, chunk.size, self._part_bytes):
                    yield _Part(chunk, start, min(self._part_bytes, chunk.size - start))

    def _is_here(self, chunk: ChunkOutput) -> bool:
        return chunk.lines is not None or self._cache.get(chunk.chunk) is not None

    def _get(self, part: _Part) -> tuple[_Part, bytes]:
        """Part of an output; checked where it is all of it."""
        chunk = part.chunk
        if not chunk.size:
            return part, b""
        if chunk.lines is not None:
            return part, self._checked(chunk, chunk.lines.encode())
        kept = self._cache.get(chunk.chunk) if chunk.final else None
        if kept is not None:
            return part, kept[part.start : part.start + part.size]
        return part, self._download(part)

    def _download(self, part: _Part) -> bytes:
        """A URL may have expired since its page was read: the page gives another one.

        So may the one that another reader was given since. After that it is a new one.
        """
        chunk = part.chunk
        if chunk.by_parts:
            return self._ask(part)
        for _ in range(MOST_RENEWALS):
            try:
                if chunk.url is not None:
                    return self._get_object(chunk, part)
            except LinkRefused:
                pass
            chunk = self._pages.renew(chunk)
            if chunk.lines is not None:
                return self._checked(chunk, chunk.lines.encode())
        return self._get_object(chunk, part)

    def _ask(self, part: _Part) -> bytes:
        """From the grid itself."""
        end, api = part.start + part.size, self._connection.api
        data, offset = bytearray(), part.start
        while offset < end:
            answer = api.read_output(self._session_id, part.chunk.chunk, offset)
            data += base64.b64decode(answer.data)
            offset = answer.next_offset or end
        found = bytes(data[: part.size])
        return self._checked(part.chunk, found) if part.is_all else found

    def _get_object(self, chunk: ChunkOutput, part: _Part) -> bytes:
        objects, url = self._connection.objects, str(chunk.url)
        if part.is_all:
            return self._checked(chunk, objects.get(url))
        return objects.get(url, (part.start, part.size))

    def _checked(self, chunk: ChunkOutput, data: bytes) -> bytes:
        name = f"the output of chunk {chunk.chunk} of session {self._session_id}"
        return check(data, chunk.size, chunk.digest or "", name)


def _size(part: _Part) -> int:
    return part.size


class OutputCache:
    """Outputs by chunk, as many as there is room for. Safe for several threads.

    None makes room for another: who reads all of them again, in the same order, would find none.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._lock = threading.Lock()
        self._outputs: dict[int, bytes] = {}

    def get(self, chunk: int) -> bytes | None:
        return self._outputs.get(chunk)

    def put(self, chunk: int, data: bytes) -> None:
        with self._lock:
            if chunk not in self._outputs and self._bytes + len(data) <= self._most_bytes:
                self._outputs[chunk] = data
                self._bytes += len(data)
