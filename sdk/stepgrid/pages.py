"""The result pages of one session: where each begins, and those that will not change any more.

It reads no outputs. Pages whose chunks are all final are kept: about 2 KB for each chunk, of which
a session has 10,000 at most.
"""

import threading
from bisect import bisect_right

from stepgrid_core.contract import ChunkOutput, ResultPage
from stepgrid_core.errors import NotFound

from .api import Api


class ResultPages:
    """Safe for several threads."""

    def __init__(self, api: Api, session_id: str) -> None:
        self._api = api
        self._session_id = session_id
        self._lock = threading.RLock()
        self._final: dict[str | None, ResultPage] = {}
        #: first chunk -> cursor of the page that begins with it, in order; cursors stay good
        self._places: dict[int, str | None] = {0: None}

    def read(self, cursor: str | None, timeout_seconds: float | None = None) -> ResultPage:
        """A page, from memory if it is final."""
        with self._lock:
            page = self._final.get(cursor)
        return page or self._ask(cursor, timeout_seconds)

    def find(self, chunk: int, timeout_seconds: float | None = None) -> ChunkOutput:
        """One chunk's entry. Raises NotFound if the session has no such chunk."""
        cursor = self._nearest(chunk)
        while True:
            page = self.read(cursor, timeout_seconds)
            for output in page.chunks:
                if output.chunk == chunk:
                    return output
            if page.cursor is None or (page.chunks and page.chunks[0].chunk > chunk):
                raise NotFound(f"session {self._session_id} has no chunk {chunk}; ask again")
            cursor = page.cursor

    def renew(self, output: ChunkOutput) -> ChunkOutput:
        """The same entry with another URL. Threads whose URLs expired together ask once."""
        with self._lock:
            known = self.find(output.chunk)
            if known.url == output.url:
                self._final.pop(self._nearest(output.chunk), None)
                known = self.find(output.chunk)
            return known

    def _nearest(self, chunk: int) -> str | None:
        with self._lock:
            firsts = list(self._places)
            return self._places[firsts[bisect_right(firsts, chunk) - 1]]

    def _ask(self, cursor: str | None, timeout_seconds: float | None) -> ResultPage:
        page = self._api.read_results(self._session_id, cursor, timeout_seconds)
        with self._lock:
            self._remember(cursor, page)
        return page

    def _remember(self, cursor: str | None, page: ResultPage) -> None:
        if not page.chunks:
            return
        first = page.chunks[0].chunk
        if first not in self._places:
            self._places[first] = cursor
            self._places = dict(sorted(self._places.items()))
        if all(output.final for output in page.chunks):
            self._final[cursor] = page
