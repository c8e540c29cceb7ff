"""News of a session's chunks over all its pages.

The first page that has open chunks is asked with a wait, because chunks end roughly in order; the
pages behind it are asked in between, the less often the longer they had no news.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from stepgrid_core.contract import ChunkOutput

from .pages import ResultPages
from .retry import Clock

#: Between two looks at a page that is not the first.
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS, PAUSE_GROWTH = 0.5, 10.0, 2.0


@dataclass(slots=True)
class _Pace:
    """When a page is to be asked next, if it is not the first."""

    due_at: float = -math.inf  #: monotonic
    pause_seconds: float = FIRST_PAUSE_SECONDS

    def asked(self, now: float, news: bool) -> None:
        longer = min(self.pause_seconds * PAUSE_GROWTH, LAST_PAUSE_SECONDS)
        self.pause_seconds = FIRST_PAUSE_SECONDS if news else longer
        self.due_at = now + self.pause_seconds


class Watch:
    """Which chunks became final since the last look. For one thread."""

    def __init__(self, pages: ResultPages, chunks: int, clock: Clock) -> None:
        self._pages = pages
        self._chunks = chunks
        self._clock = clock
        self._reported: set[int] = set()
        #: chunk that is not final -> digest of its newest checkpoint that was reported
        self._checkpoints: dict[int, str] = {}
        #: of the pages whose chunks were not all reported
        self._open: dict[int, _Pace] = {}
        self._pages_begun = 0

    @property
    def seen(self) -> int:
        """How many chunks were reported."""
        return len(self._reported)

    @property
    def done(self) -> bool:
        """Has every chunk been reported?"""
        return self.seen == self._chunks

    def look(
        self, wait_seconds: float = 0.0, timeout_seconds: float | None = None
    ) -> Iterator[ChunkOutput]:
        """The chunks that are final now and were not reported before.

        wait_seconds: how long the grid may hold its answer back until there is one.
        """
        for place, page in enumerate(self._open_pages()):
            if place == 0:
                seconds = self._front_wait_seconds(page, wait_seconds)
                yield from self._look_at(page, seconds, timeout_seconds)
            elif self._open[page].due_at <= self._clock.monotonic():
                yield from self._look_at(page, 0.0, timeout_seconds)

    def look_closely(self, timeout_seconds: float | None = None) -> Iterator[ChunkOutput]:
        """As `look`, without waiting; also chunks that are not final and have settled more."""
        for page in self._open_pages():
            for chunk in self._read_page(page, timeout_seconds):
                if self._is_news(chunk):
                    yield chunk
            self._close_if_whole(page)

    def _read_page(self, page: int, timeout_seconds: float | None) -> list[ChunkOutput]:
        """All its chunks; nothing is asked where they are known to be final."""
        span = self._pages.span(page)
        known = [entry for chunk in span if (entry := self._pages.known(chunk)) is not None]
        return known if len(known) == len(span) else self._pages.read(page, timeout_seconds)

    def _open_pages(self) -> Iterator[int]:
        """Those with chunks to report, also the ones that are found meanwhile."""
        page = 0
        while page < self._pages.count:
            if page == self._pages_begun:
                self._open[page] = _Pace()
                self._pages_begun += 1
            if page in self._open:
                yield page
            page += 1

    def _front_wait_seconds(self, front: int, wait_seconds: float) -> float:
        """No longer than until another page is due."""
        if not self._pages.all_found:
            return min(wait_seconds, FIRST_PAUSE_SECONDS)
        others = (pace.due_at for page, pace in self._open.items() if page != front)
        due_in_seconds = min(others, default=math.inf) - self._clock.monotonic()
        return max(min(wait_seconds, due_in_seconds), 0.0)

    def _look_at(
        self, page: int, wait_seconds: float, timeout_seconds: float | None
    ) -> Iterator[ChunkOutput]:
        """What is known and was not reported; if that is nothing, what the grid says."""
        news = self._unreported(page)
        if not news:
            self._pages.ask(page, wait_seconds, timeout_seconds)
            news = self._unreported(page)
        self._open[page].asked(self._clock.monotonic(), bool(news))
        for chunk in news:
            self._reported.add(chunk.chunk)
            yield chunk
        self._close_if_whole(page)

    def _unreported(self, page: int) -> list[ChunkOutput]:
        missing = (chunk for chunk in self._pages.span(page) if chunk not in self._reported)
        return [entry for chunk in missing if (entry := self._pages.known(chunk)) is not None]

    def _close_if_whole(self, page: int) -> None:
        if all(chunk in self._reported for chunk in self._pages.span(page)):
            del self._open[page]

    def _is_news(self, chunk: ChunkOutput) -> bool:
        """Was it not reported as it is? Notes that it is now."""
        if chunk.chunk in self._reported:
            return False
        if chunk.final:
            self._reported.add(chunk.chunk)
            return True
        digest, settled = chunk.digest or "", chunk.finished + chunk.failed > 0
        news = settled and self._checkpoints.get(chunk.chunk) != digest
        if news:
            self._checkpoints[chunk.chunk] = digest
        return news
