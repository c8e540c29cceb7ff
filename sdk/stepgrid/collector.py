"""Fetching the outcomes of one session: while it runs or after, in order or as they come.

    pages --> which chunks are final --> threads: GET, check --> outcomes
      ▲                   |
      `---- long-poll ----'  (while there are none that are new)

Outputs of final chunks can't change, so they are kept, up to CACHE_BYTES: asking twice is cheap.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator

from stepgrid_core.contract import ChunkOutput, SessionDescription
from stepgrid_core.data_plane import check
from stepgrid_core.errors import DeadlineExceeded, Unavailable
from stepgrid_core.layout import Layout
from stepgrid_core.states import TERMINAL_SESSIONS

from .connection import TRANSFERS, Connection
from .objects import LinkRefused
from .outcomes import Outcome, read_chunk
from .pages import ResultPages
from .parallel import map_ahead
from .retry import Deadline

#: Outputs kept for each session.
CACHE_BYTES = 64 * 1024 * 1024
#: Between two looks at an open session: quickly at first and after news, then with patience.
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS, PAUSE_GROWTH = 0.1, 5.0, 1.5
#: Looks at a session that is closed and still not all there, before that is an error.
CLOSED_LOOKS = 5

#: A final chunk, or None: there are no more at present.
Arrival = ChunkOutput | None


class ResultCollector:
    """All that is known of one session's results."""

    def __init__(
        self,
        connection: Connection,
        description: SessionDescription,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        """cache_bytes: of outputs to keep; 0 where the caller keeps what it reads."""
        self._connection = connection
        self._session_id = description.session_id
        self._chunks = description.chunks
        self._layout = Layout.read(description.layout)
        self._pages = ResultPages(connection.api, description.session_id)
        self._cache = OutputCache(cache_bytes)

    def in_order(self, deadline: Deadline) -> Iterator[Outcome]:
        """Every outcome in order of submission, each as soon as all before it are there."""
        return self.fetch(self._final_in_order(deadline))

    def as_final(self, deadline: Deadline) -> Iterator[Outcome]:
        """Every outcome once, chunk by chunk as they become final."""
        return self.fetch(self._final_as_they_come(deadline))

    def watch(self) -> "Watch":
        """A way to ask for news without waiting for any."""
        return Watch(self._pages, self._chunks)

    def fetch(self, chunks: Iterable[Arrival]) -> Iterator[Outcome]:
        """The outcomes of all tasks of some chunks."""

        def read(chunk: ChunkOutput) -> tuple[ChunkOutput, bytes]:
            return chunk, self._read(chunk)

        for chunk, data in map_ahead(self._connection.pool, read, chunks, TRANSFERS):
            yield from read_chunk(chunk, data)

    def outcome(self, index: int, timeout_seconds: float | None = None) -> Outcome:
        """What is known of one task now."""
        chunk = self._pages.find(self._layout.chunk_of(index), timeout_seconds)
        return next(item for item in read_chunk(chunk, self._read(chunk)) if item.index == index)

    def final_outcome(self, index: int, deadline: Deadline) -> Outcome:
        """What became of one task; waits for it. Raises DeadlineExceeded."""
        pace = _Pace(self._connection, self._session_id, deadline)
        while not (outcome := self.outcome(index, deadline.call_seconds)).final:
            pace.pause()
        return outcome

    def _final_in_order(self, deadline: Deadline) -> Iterator[Arrival]:
        pace = _Pace(self._connection, self._session_id, deadline)
        expected, cursor = 0, None
        while expected < self._chunks:
            page = self._pages.read(cursor, deadline.call_seconds)
            before = expected
            for chunk in page.chunks:
                if chunk.chunk == expected and chunk.final:
                    expected += 1
                    yield chunk
            if page.chunks and page.chunks[-1].chunk == expected - 1 and page.cursor:
                cursor = page.cursor
            elif expected < self._chunks:
                yield None
                pace.pause(news=expected > before)

    def _final_as_they_come(self, deadline: Deadline) -> Iterator[Arrival]:
        pace = _Pace(self._connection, self._session_id, deadline)
        watch = self.watch()
        while True:
            before = watch.seen
            yield from watch.look(deadline.call_seconds)
            if watch.done:
                return
            yield None
            pace.pause(news=watch.seen > before)

    def _read(self, chunk: ChunkOutput) -> bytes:
        """The checked output of a chunk. Raises PayloadCorrupted."""
        if chunk.lines is not None:
            return self._checked(chunk, chunk.lines.encode())
        if chunk.url is None:
            return b""
        data = self._cache.get(chunk.chunk)
        if data is None:
            data = self._download(chunk)
            if chunk.final:
                self._cache.put(chunk.chunk, data)
        return data

    def _download(self, chunk: ChunkOutput) -> bytes:
        """A URL may have expired since its page was read: the page gives another one."""
        try:
            return self._checked(chunk, self._connection.objects.get(str(chunk.url)))
        except LinkRefused:
            renewed = self._pages.renew(chunk)
            return self._checked(renewed, self._connection.objects.get(str(renewed.url)))

    def _checked(self, chunk: ChunkOutput, data: bytes) -> bytes:
        name = f"the output of chunk {chunk.chunk} of session {self._session_id}"
        return check(data, chunk.size, chunk.digest or "", name)


class Watch:
    """Which chunks became final since the last look. For one thread."""

    def __init__(self, pages: ResultPages, chunks: int) -> None:
        self._pages = pages
        self._chunks = chunks
        self._seen: set[int] = set()
        #: chunk that is not final -> digest of its newest checkpoint that was reported
        self._checkpoints: dict[int, str] = {}
        #: pages that are not exhausted, in order
        self._cursors: list[str | None] = [None]
        self._last_cursor: str | None = None

    @property
    def seen(self) -> int:
        return len(self._seen)

    @property
    def done(self) -> bool:
        """Has every chunk been reported?"""
        return self.seen == self._chunks

    def look(
        self, timeout_seconds: float | None = None, partial: bool = False
    ) -> Iterator[ChunkOutput]:
        """The chunks that are final now and were not reported before; never waits for any.

        partial: also those that are not final, where more is settled than when last reported.
        """
        exhausted = set()
        for cursor in self._cursors:  # grows while it is gone through
            page = self._pages.read(cursor, timeout_seconds)
            if page.cursor is not None and cursor == self._last_cursor:
                self._cursors.append(page.cursor)
                self._last_cursor = page.cursor
            for chunk in page.chunks:
                if chunk.final and chunk.chunk not in self._seen:
                    self._seen.add(chunk.chunk)
                    yield chunk
                elif partial and self._has_news(chunk):
                    self._checkpoints[chunk.chunk] = chunk.digest or ""
                    yield chunk
            if page.chunks and all(chunk.chunk in self._seen for chunk in page.chunks):
                exhausted.add(cursor)
        self._cursors = [cursor for cursor in self._cursors if cursor not in exhausted]

    def _has_news(self, chunk: ChunkOutput) -> bool:
        """Is something settled in a chunk that goes on, and is it not what was reported?"""
        settled = chunk.finished + chunk.failed > 0
        return not chunk.final and settled and self._checkpoints.get(chunk.chunk) != chunk.digest


class _Pace:
    """Waits between two looks at an open session, as long as the caller has time."""

    def __init__(self, connection: Connection, session_id: str, deadline: Deadline) -> None:
        self._connection = connection
        self._session_id = session_id
        self._deadline = deadline
        self._seconds = FIRST_PAUSE_SECONDS
        self._closed_looks = 0

    def pause(self, news: bool = False) -> None:
        """Wait until the session ends, for longer each time there was no news.

        Raises DeadlineExceeded when the caller's time is up.
        """
        if self._deadline.passed:
            raise DeadlineExceeded(
                f"session {self._session_id} has tasks that did not end in the time given; "
                "it goes on: ask again, or cancel it"
            )
        longer = min(self._seconds * PAUSE_GROWTH, LAST_PAUSE_SECONDS)
        self._seconds = FIRST_PAUSE_SECONDS if news else longer
        seconds = min(self._seconds, self._deadline.left_seconds)
        description = self._connection.api.describe(
            self._session_id, seconds, self._deadline.call_seconds
        )
        if description.state in TERMINAL_SESSIONS:
            self._expect_all(seconds)

    def _expect_all(self, seconds: float) -> None:
        """All chunks of a closed session are final: were it not so, this would go on for ever."""
        self._closed_looks += 1
        if self._closed_looks == 1:
            return
        if self._closed_looks > CLOSED_LOOKS:
            raise Unavailable(
                f"session {self._session_id} is closed but its results are not all there; ask again"
            )
        self._connection.clock.sleep(seconds)


class OutputCache:
    """Outputs by chunk; those not used for longest make room. Safe for several threads."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._lock = threading.Lock()
        self._outputs: OrderedDict[int, bytes] = OrderedDict()

    def get(self, chunk: int) -> bytes | None:
        with self._lock:
            if chunk in self._outputs:
                self._outputs.move_to_end(chunk)
            return self._outputs.get(chunk)

    def put(self, chunk: int, data: bytes) -> None:
        with self._lock:
            if chunk in self._outputs:
                return
            self._outputs[chunk] = data
            self._bytes += len(data)
            while self._bytes > self._most_bytes:
                _, dropped = self._outputs.popitem(last=False)
                self._bytes -= len(dropped)
