"""The result pages of one session: where each begins, and what is known of its final chunks.

The grid is told which chunks are known and answers only what is new, so nothing is told twice. It
reads no outputs. An entry takes about 2 KB, of which a session has 10,000 at most.
"""

import threading
from bisect import bisect_right

from stepgrid_core.contract import ChunkOutput, ResultPage
from stepgrid_core.errors import NotFound
from stepgrid_core.states import TERMINAL_SESSIONS

from .api import Api

#: Of outputs that came inline, so many bytes are kept; others are asked for again when needed.
INLINE_KEPT_BYTES = 8 * 1024 * 1024


class ResultPages:
    """Pages are numbered from 0. Safe for several threads."""

    def __init__(self, api: Api, session_id: str, chunks: int) -> None:
        self._api = api
        self._session_id = session_id
        self._chunks = chunks
        self._lock = threading.RLock()
        self._final: dict[int, ChunkOutput] = {}
        self._inline_bytes = 0
        #: of the pages found so far: the first chunk, and the cursor, which stays good
        self._firsts: list[int] = [0]
        self._cursors: list[str | None] = [None]
        #: of each page a number whose bit k stands for its chunk k: those in `_final`
        self._seen: list[int] = [0]
        self._closed = self._all_found = False

    @property
    def all_found(self) -> bool:
        """Is it known where every page begins?"""
        return self._all_found

    @property
    def closed(self) -> bool:
        """Has an answer said that the session has ended? Then all its chunks are final."""
        return self._closed

    @property
    def whole(self) -> bool:
        """Is every chunk of the session known?"""
        return len(self._final) == self._chunks

    @property
    def missing(self) -> int:
        """Chunks that are not known to be final."""
        return self._chunks - len(self._final)

    @property
    def count(self) -> int:
        """Pages found so far."""
        return len(self._firsts)

    def known(self, chunk: int) -> ChunkOutput | None:
        """The entry of a chunk that is known to be final."""
        return self._final.get(chunk)

    def page_of(self, chunk: int) -> int:
        """The page that holds a chunk, or the last one found so far before it."""
        with self._lock:
            return bisect_right(self._firsts, chunk) - 1

    def span(self, page: int) -> range:
        """The chunks of a page; of the last one found, all that follow."""
        with self._lock:
            ends = [*self._firsts[1:], self._chunks]
            return range(self._firsts[page], ends[page])

    def ask(
        self, page: int, wait_seconds: float = 0.0, timeout_seconds: float | None = None
    ) -> list[ChunkOutput]:
        """The final chunks of a page that were not known.

        wait_seconds: how long the grid may hold the answer back until there are any.
        """
        with self._lock:
            cursor, seen = self._cursors[page], self._seen[page]
        answer = self._api.read_results(
            self._session_id, cursor, timeout_seconds, seen=seen, wait_seconds=wait_seconds
        )
        self.take(answer)
        return answer.chunks

    def read(self, page: int, timeout_seconds: float | None = None) -> list[ChunkOutput]:
        """All chunks of a page as they are now."""
        answer = self._api.read_results(self._session_id, self._cursors[page], timeout_seconds)
        self.take(answer)
        return answer.chunks

    def take(self, answer: ResultPage) -> None:
        """Remember what an answer tells of final chunks, and where the next page begins."""
        with self._lock:
            self._closed = self._closed or answer.state in TERMINAL_SESSIONS
            self._all_found = self._all_found or answer.cursor is None
            page = self.page_of(answer.first_chunk)
            following = answer.first_chunk + answer.chunk_count
            if answer.cursor is not None and self._firsts[-1] < following:
                self._firsts.append(following)
                self._cursors.append(answer.cursor)
                self._seen.append(0)
            for output in answer.chunks:
                if output.final:
                    self._seen[page] |= 1 << output.chunk - answer.first_chunk
                    self._final[output.chunk] = self._to_keep(output)

    def find(self, chunk: int, timeout_seconds: float | None = None) -> ChunkOutput:
        """One chunk's entry as it is now. Raises NotFound if the session has no such chunk."""
        while (known := self.known(chunk)) is None:
            page = self.page_of(chunk)
            for output in self.read(page, timeout_seconds):
                if output.chunk == chunk:
                    return output
            if self.page_of(chunk) == page and not self.known(chunk):
                raise NotFound(f"session {self._session_id} has no chunk {chunk}; ask again")
        return known

    def renew(self, output: ChunkOutput) -> ChunkOutput:
        """The same entry with another URL. Threads whose URLs expired together ask once."""
        with self._lock:
            known = self._final.get(output.chunk)
            if known is not None and known.url is not None and known.url != output.url:
                return known
            for entry in self.read(self.page_of(output.chunk)):
                if entry.chunk == output.chunk:
                    return entry
        raise NotFound(f"session {self._session_id} has no chunk {output.chunk}; ask again")

    def _to_keep(self, output: ChunkOutput) -> ChunkOutput:
        """The entry, without its lines where too many are kept already."""
        known = self._final.get(output.chunk)
        if known is not None and known.lines is not None:
            self._inline_bytes -= known.size
        if output.lines is None:
            return output
        if self._inline_bytes + output.size > INLINE_KEPT_BYTES:
            return output.model_copy(update={"lines": None})
        self._inline_bytes += output.size
        return output
