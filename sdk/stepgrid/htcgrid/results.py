"""What has ended of the sessions that a client asks about, as the texts that it is given.

    update --> has anything ended since?  no: nothing is asked for
                   | yes
                   v
               pages --> chunks that are new --> GET --> texts, kept (the outputs are not)

A client of HTC-Grid polls often and with little patience: an output that was read is never fetched
again while it is kept. It knows nothing of waiting.
"""

import json
import threading
from collections import OrderedDict

from stepgrid_core.contract import SessionDescription, SessionReport
from stepgrid_core.states import TaskState

from ..collector import ResultCollector
from ..connection import Connection
from ..outcomes import Outcome, error_of
from ..watch import Watch
from .responses import READ_FROM_DATA_PLANE, Response, results

#: Outputs kept for one connector, over all its sessions; those not asked for longest make room.
KEPT_BYTES = 256 * 1024 * 1024
#: What a session costs in memory beside its tasks, and a task beside its output.
SESSION_BYTES, TASK_BYTES = 600, 150
#: Of a session with open tasks, for each chunk: what its pages tell.
CHUNK_BYTES = 2_000


class SessionResults:
    """One session's tasks that have ended. Safe for several threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._ended: dict[int, tuple[TaskState, str]] = {}
        self._tasks: int | None = None
        self._reader: tuple[ResultCollector, Watch] | None = None
        self._reader_bytes = 0
        self._kept_bytes = SESSION_BYTES

    @property
    def size_bytes(self) -> int:
        """About what it takes in memory."""
        return self._kept_bytes + self._reader_bytes

    @property
    def complete(self) -> bool:
        """Has every task ended? Then nothing will ever change."""
        return len(self._ended) == self._tasks

    def update(self, report: SessionReport, timeout_seconds: float | None) -> None:
        """Fetch what has ended since the last time. Raises DeadlineExceeded, Unavailable."""
        with self._lock:
            if ended_tasks(report) > len(self._ended):
                self._fetch(report, timeout_seconds)
            self._tasks = report.tasks
            if self.complete:
                self._reader, self._reader_bytes = None, 0

    def response(self, session_id: str) -> Response:
        """All that has ended; session_id: as the client calls the session."""
        with self._lock:
            return results(session_id, self._ended)

    def _fetch(self, report: SessionReport, timeout_seconds: float | None) -> None:
        collector, watch = self._reader or self._open_reader(report)
        self._reader = None  # an error in between: the next reader looks at all chunks again
        if report.results is not None:
            collector.take(report.results)
        for outcome in collector.outcomes(watch.look_closely(timeout_seconds)):
            if outcome.final and outcome.index not in self._ended:
                text = output_text(outcome, report.session_id)
                self._ended[outcome.index] = (outcome.state, text)
                self._kept_bytes += TASK_BYTES + len(text)
        self._reader = collector, watch

    def _open_reader(self, description: SessionDescription) -> tuple[ResultCollector, Watch]:
        collector = ResultCollector(self._connection, description)
        self._reader_bytes = CHUNK_BYTES * description.chunks
        return collector, collector.watch()


class ResultStore:
    """The results of all sessions that a connector was asked about. Safe for several threads."""

    def __init__(self, connection: Connection, most_bytes: int = KEPT_BYTES) -> None:
        self._connection = connection
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._sessions: OrderedDict[str, SessionResults] = OrderedDict()

    def of(self, session_id: str) -> SessionResults:
        """A session's results; what is over the limit makes room, but never this session's."""
        with self._lock:
            found = self._sessions.setdefault(session_id, SessionResults(self._connection))
            self._sessions.move_to_end(session_id)
            total = sum(session.size_bytes for session in self._sessions.values())
            while total > self._most_bytes and len(self._sessions) > 1:
                total -= self._sessions.popitem(last=False)[1].size_bytes
            return found


def ended_tasks(description: SessionDescription) -> int:
    counts = description.counts
    return counts.finished + counts.failed + counts.cancelled


def output_text(outcome: Outcome, session_id: str) -> str:
    """JSON text of what the function returned, as json.dumps writes it; else what went wrong."""
    if outcome.state is TaskState.CANCELLED:
        return READ_FROM_DATA_PLANE
    if outcome.state is TaskState.FAILED:
        return str(error_of(outcome, session_id))
    return json.dumps(json.loads(outcome.line or b"")["result"])
