"""Fetching the outcomes of one session: while it runs or after, in order or as they come.

    pages --> which chunks are final --> downloads --> outcomes, or results many at once
      ▲                   |
      `---- long-poll ----'  (while there are none that are new)

The grid answers a question as soon as there is news, so a short session costs one request.
"""

from collections.abc import Iterable, Iterator

from stepgrid_core.contract import (
    MAX_WAIT_SECONDS,
    ChunkOutput,
    ResultPage,
    SessionDescription,
)
from stepgrid_core.errors import DeadlineExceeded
from stepgrid_core.layout import Layout

from .connection import Connection
from .downloads import Download, Downloads
from .lines import Line, Values, read_lines, read_values
from .outcomes import Outcome, read_chunk
from .pages import ResultPages
from .patience import Patience
from .retry import Deadline
from .watch import Watch

#: A final chunk, or None: there are no more at present.
Arrival = ChunkOutput | None
#: A task may settle before its chunk is final: whoever waits for one looks this often.
CHECKPOINT_SECONDS = 5.0


class ResultCollector:
    """All that is known of one session's results."""

    def __init__(self, connection: Connection, description: SessionDescription) -> None:
        self._connection = connection
        self._session_id = description.session_id
        self._chunks = description.chunks
        self._layout = Layout.read(description.layout)
        self._pages = ResultPages(connection.api, self._session_id, self._chunks)
        self._downloads = Downloads(connection, self._session_id, self._pages)

    @property
    def closed(self) -> bool:
        """Has an answer said that the session has ended?"""
        return self._pages.closed

    @property
    def complete(self) -> bool:
        """Has the session ended, and is it known where all its results are?"""
        return self._pages.closed and self._pages.whole

    def take(self, page: ResultPage) -> None:
        """A page that came with another answer."""
        self._pages.take(page)

    def watch(self) -> Watch:
        """A way to ask for news."""
        return Watch(self._pages, self._chunks, self._connection.clock)

    def values_in_order(self, deadline: Deadline, keep: bool) -> Iterator[Values]:
        """All results in order of submission, each as soon as all before it are there.

        keep: the outputs for the next time.
        """
        outputs = self._downloads.fetch(self._final_in_order(deadline), keep)
        return self._values(self._in_time(outputs, deadline))

    def values(self, chunks: Iterable[ChunkOutput]) -> Iterator[Values]:
        """The results of some final chunks."""
        return self._values(self._downloads.fetch(chunks, keep=False))

    def _values(self, outputs: Iterable[Download]) -> Iterator[Values]:
        for chunk, data in outputs:
            yield from read_values(chunk, data, self._session_id)

    def outcomes(self, chunks: Iterable[ChunkOutput]) -> Iterator[Outcome]:
        """The outcomes of all tasks of some chunks."""
        return self._outcomes(self._downloads.fetch(chunks, keep=False))

    def _outcomes(self, outputs: Iterable[Download]) -> Iterator[Outcome]:
        for chunk, data in outputs:
            yield from read_chunk(chunk, data)

    def lines_in_order(self, deadline: Deadline) -> Iterator[list[Line]]:
        """The output lines of all tasks in order, in blocks; outputs are kept as with results."""
        for chunk, data in self._downloads.fetch(self._final_in_order(deadline), keep=True):
            yield from read_lines(chunk, data)

    def as_final(self, deadline: Deadline) -> Iterator[Outcome]:
        """Every outcome once, chunk by chunk as they become final."""
        outputs = self._downloads.fetch(self._final_as_they_come(deadline), keep=False)
        return self._outcomes(self._in_time(outputs, deadline))

    def _in_time(self, outputs: Iterable[Download], deadline: Deadline) -> Iterator[Download]:
        """Raises DeadlineExceeded where the time ran out while an output was waited for.

        Who took the time himself, between two outputs, gets what there is.
        """
        asked_late = False
        for chunk, data in outputs:
            if deadline.passed and not asked_late and chunk.lines is None:
                raise DeadlineExceeded(
                    f"results of session {self._session_id} did not arrive in the time given; "
                    "ask again"
                )
            yield chunk, data
            asked_late = deadline.passed

    def outcome(self, index: int, timeout_seconds: float | None = None) -> Outcome:
        """What is known of one task now."""
        chunk = self._pages.find(self._layout.chunk_of(index), timeout_seconds)
        data = self._downloads.read(chunk)
        return next(item for item in read_chunk(chunk, data) if item.index == index)

    def final_outcome(self, index: int, deadline: Deadline) -> Outcome:
        """What became of one task; waits for it. Raises DeadlineExceeded."""
        patience = Patience(self._connection.clock, self._session_id, deadline)
        chunk = self._layout.chunk_of(index)
        while not (outcome := self.outcome(index, deadline.call_seconds)).final:
            patience.go_on(news=False, closed=self._pages.closed)
            self._ask(chunk, patience.wait_seconds(CHECKPOINT_SECONDS), deadline)
        return outcome

    def _final_in_order(self, deadline: Deadline) -> Iterator[Arrival]:
        patience = Patience(self._connection.clock, self._session_id, deadline)
        for chunk in range(self._chunks):
            if self._pages.known(chunk) is None and not self._pages.closed:
                yield None
            while (known := self._pages.known(chunk)) is None:
                seconds = patience.wait_seconds(MAX_WAIT_SECONDS, self._pages.missing)
                page = self._ask(chunk, seconds, deadline)
                if self._pages.page_of(chunk) == page:
                    patience.go_on(self._pages.known(chunk) is not None, self._pages.closed)
            yield known

    def _ask(self, chunk: int, wait_seconds: float, deadline: Deadline) -> int:
        """Ask for the page of a chunk, or on the way to it; answers which page that was.

        Nothing is asked where another reader has learned of the chunk: as it is known, the grid
        would hold its answer for news of others.
        """
        page = self._pages.page_of(chunk)
        if self._pages.known(chunk) is None:
            self._pages.ask(page, wait_seconds, deadline.call_seconds)
        return page

    def _final_as_they_come(self, deadline: Deadline) -> Iterator[Arrival]:
        patience = Patience(self._connection.clock, self._session_id, deadline)
        watch = self.watch()
        while not watch.done:
            yield None
            before = watch.seen
            seconds = patience.wait_seconds(MAX_WAIT_SECONDS, self._pages.missing)
            yield from watch.look(seconds, deadline.call_seconds)
            patience.go_on(watch.seen > before, self._pages.closed)
