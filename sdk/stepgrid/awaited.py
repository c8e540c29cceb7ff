"""The sessions that an executor has sent, and the threads that wait for their tasks.

Each thread takes a session, asks it for news, hands them to its futures, and puts it back. With few
sessions every one has a thread, and the grid holds its answers; with many the threads go round.
"""

import logging
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Any

from stepgrid_core.contract import MAX_WAIT_SECONDS, SessionDescription

from .collector import ResultCollector
from .connection import Connection
from .lines import Values
from .patience import Patience
from .retry import Deadline

logger = logging.getLogger("stepgrid.executor")

THREADS = 8
#: How long the grid may hold an answer while other sessions want to be asked.
SHORT_WAIT_SECONDS = 0.2


class AwaitedSession:
    """A session that was sent, and the futures of its tasks in order."""

    def __init__(
        self,
        connection: Connection,
        description: SessionDescription,
        futures: Sequence[Future[Any]],
    ) -> None:
        clock = connection.clock
        self._collector = ResultCollector(connection, description)
        self._watch = self._collector.watch()
        self._futures = futures
        self._patience = Patience(clock, description.session_id, Deadline.after(clock, None))

    @property
    def done(self) -> bool:
        return not self._futures or self._watch.done

    def look(self, wait_seconds: float) -> None:
        """Hand over what became final; for an error, to all futures that are still waiting."""
        before = self._watch.seen
        try:
            news = self._watch.look(self._patience.wait_seconds(wait_seconds))
            for block in self._collector.values(news):
                self._settle(block)
            self._patience.go_on(self._watch.seen > before, self._collector.closed)
        except Exception as error:  # the thread's border: no future may be left hanging
            fail(self._futures, error)
            self._futures = ()

    def _settle(self, block: Values) -> None:
        for index, value in enumerate(block.values, block.first_task):
            _tell(self._futures[index], value)


def _tell(future: Future[Any], answer: Any) -> None:
    """Settle a future; answer: its result, or the error in the place of one.

    Its callbacks are the user's. Exceptions in them concurrent.futures logs; sys.exit it lets pass,
    and this thread has other futures to settle.
    """
    try:
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
    except BaseException:
        logger.exception("exception calling callback for %r", future)


def fail(futures: Iterable[Future[Any]], error: Exception) -> None:
    """Give the error to all that are not done."""
    for future in futures:
        if not future.done():
            _tell(future, error)


class AwaitedSessions:
    """Threads are there only while there are sessions. Safe for several threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._idle: deque[AwaitedSession] = deque()  #: those that no thread is asking
        self._open = 0
        self._threads: set[threading.Thread] = set()

    def add(self, session: AwaitedSession) -> None:
        """Wait for it until its futures are done. Raises RuntimeError if no thread can do so."""
        with self._changed:
            if len(self._threads) < THREADS:
                self._start_thread()
            self._open += 1
            self._idle.append(session)

    def join(self) -> None:
        """Return when there is none left; at once in a callback, which one of the threads makes."""
        with self._changed:
            if threading.current_thread() not in self._threads:
                self._changed.wait_for(lambda: not self._threads)

    def _start_thread(self) -> None:
        """One more, which begins when `_changed` is free. If it can't be, others do its work."""
        thread = threading.Thread(target=self._work, name="stepgrid-awaiting")
        try:
            thread.start()
        except RuntimeError:
            if not self._threads:
                raise
        else:
            self._threads.add(thread)

    def _work(self) -> None:
        while (session := self._next()) is not None:
            # One thread is always soon free for a session that comes.
            few = self._open < THREADS
            session.look(MAX_WAIT_SECONDS if few else SHORT_WAIT_SECONDS)
            self._put_back(session)

    def _next(self) -> AwaitedSession | None:
        with self._changed:
            if self._idle:
                return self._idle.popleft()
            self._threads.remove(threading.current_thread())
            self._changed.notify_all()
            return None

    def _put_back(self, session: AwaitedSession) -> None:
        with self._changed:
            if session.done:
                self._open -= 1
            else:
                self._idle.append(session)
