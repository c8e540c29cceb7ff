"""concurrent.futures on the grid.

    submit(task) ─▶ queue ─▶ one thread: a session for all that came within 10 ms
    Future       ◀─ results ─ other threads: wait for what becomes final (awaited)

A grid runs workers that were deployed to it, by name; it can't run a function of this process. So a
GridExecutor is bound to one worker, and `submit` and `map` take the tasks for it, JSON values,
where other executors take a callable and its arguments. Everything else is as in
concurrent.futures: the futures work with `wait` and `as_completed`; one can be cancelled until its
task is sent, as one that runs can't be.

A thread lives only while there is something to send or to wait for.
"""

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any, Unpack

from stepgrid_core.codec import encode
from stepgrid_core.contract import SessionDescription
from stepgrid_core.errors import InvalidRequest
from stepgrid_core.packing import check_size

from .awaited import AwaitedSession, AwaitedSessions, fail
from .client import Grid
from .common_input import encode_common
from .options import Options
from .submission import make_order, submit

#: How long the first task of a batch waits for company.
BATCH_SECONDS = 0.01
#: A batch is sent before its time when it has so many tasks or bytes.
BATCH_TASKS = 10_000
BATCH_BYTES = 16 * 1024 * 1024

_NO_CALLABLES = (
    "a GridExecutor runs the worker {worker!r} and takes the task for it, one JSON value; it can't "
    "run functions of this process: deploy the function as a worker, then submit(task)"
)


@dataclass(frozen=True, slots=True)
class _Queued:
    line: bytes  #: the task as it was when it was submitted
    future: Future[Any]
    at: float  #: monotonic


class GridExecutor(Executor):
    """An Executor whose tasks run on a grid; see this module's head for what differs.

    with GridExecutor(grid, "square") as executor:
        futures = [executor.submit({"x": x}) for x in range(100)]
    """

    def __init__(
        self,
        grid: Grid,
        worker: str,
        *,
        batch_seconds: float = BATCH_SECONDS,
        batch_tasks: int = BATCH_TASKS,
        common: Any = None,
        **options: Unpack[Options],
    ) -> None:
        """worker: its name. common, options: of each session, as in Grid.submit. batch_seconds,
        batch_tasks: a session is sent when its first task has waited so long, or it has so many.

        Raises InvalidRequest for an unknown option, or a common input that is not JSON.
        """
        make_order(worker, None, options)
        self._connection = grid.connection
        self._worker = worker
        self._options = options
        self._common = encode_common(common)
        self._batch_seconds = batch_seconds
        self._batch_tasks = batch_tasks
        self._changed = threading.Condition()
        # Guarded by `_changed`.
        self._queue: deque[_Queued] = deque()
        self._queued_bytes = 0
        self._shut_down = False
        self._thread: threading.Thread | None = None
        self._awaited = AwaitedSessions()

    def submit(self, task: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Queue one task, any JSON value; the worker's function gets it as its event.

        Raises TypeError for a callable or further arguments, InvalidRequest for a task that is not
        JSON, RequestTooLarge for one of more than 16 MiB, RuntimeError after shutdown.
        """
        if callable(task) or args or kwargs:
            raise TypeError(_NO_CALLABLES.format(worker=self._worker))
        try:
            line = encode(task) + b"\n"
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidRequest(f"the task is not JSON: {error}") from error
        check_size(line, "the task")
        queued = _Queued(line, Future(), time.monotonic())
        with self._changed:
            if self._shut_down:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._have_thread()
            self._queue.append(queued)
            self._queued_bytes += len(line)
            if len(self._queue) == 1 or self._is_full():
                self._changed.notify()
        return queued.future

    def map(  # type: ignore[override]
        self,
        tasks: Iterable[Any],
        /,
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
    ) -> Iterator[Any]:
        """Queue all tasks; answers an iterator over their results, in order.

        timeout: seconds from this call to the last result; TimeoutError after them. chunksize: of
        no effect, the grid chooses. Raises as `submit`; a task that failed raises in its place.
        """
        if callable(tasks) or iterables:
            raise TypeError(_NO_CALLABLES.format(worker=self._worker))
        end_at = None if timeout is None else time.monotonic() + timeout
        return _results_in_order(deque(map(self.submit, tasks)), end_at)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks, send what is queued, and wait until all futures are done.

        cancel_futures: cancel those whose tasks were not sent. Sessions that were sent go on.
        """
        with self._changed:
            self._shut_down = True
            if cancel_futures:
                self._cancel_queued()
            self._changed.notify()
            thread = self._thread
        if wait and thread is not None and thread is not threading.current_thread():
            thread.join()
        if wait:
            self._awaited.join()

    def _cancel_queued(self) -> None:
        for queued in self._queue:
            queued.future.cancel()
            queued.future.set_running_or_notify_cancel()  # wakes who waits for it
        self._queue.clear()
        self._queued_bytes = 0

    def _have_thread(self) -> None:
        """Raises RuntimeError where none can be started: nothing may be queued then."""
        if self._thread is None:
            thread = threading.Thread(target=self._work, name="stepgrid-executor")
            thread.start()  # it begins when `_changed` is free
            self._thread = thread

    def _work(self) -> None:
        while batch := self._next_batch():
            self._send(batch)

    def _next_batch(self) -> list[_Queued]:
        """The next batch when it is due; none, and no thread, when there is nothing to send."""
        with self._changed:
            while self._queue and (wait_seconds := self._seconds_to_batch()) > 0:
                self._changed.wait(wait_seconds)
            if not self._queue:
                self._thread = None  # whoever submits next starts another
            return self._take()

    def _seconds_to_batch(self) -> float:
        if self._shut_down or self._is_full():
            return 0.0
        return self._queue[0].at + self._batch_seconds - time.monotonic()

    def _is_full(self) -> bool:
        return len(self._queue) >= self._batch_tasks or self._queued_bytes >= BATCH_BYTES

    def _take(self) -> list[_Queued]:
        batch: list[_Queued] = []
        size = 0
        while self._queue and len(batch) < self._batch_tasks and size < BATCH_BYTES:
            batch.append(self._queue.popleft())
            size += len(batch[-1].line)
        self._queued_bytes -= size
        return batch

    def _send(self, batch: Iterable[_Queued]) -> None:
        """One session for all that were not cancelled; from here on their futures are running."""
        sent = [queued for queued in batch if queued.future.set_running_or_notify_cancel()]
        if not sent:
            return
        futures = [queued.future for queued in sent]
        try:
            description = self._submit(sent)
            self._awaited.add(AwaitedSession(self._connection, description, futures))
        except Exception as error:  # the thread's border: no future may be left hanging
            fail(futures, error)

    def _submit(self, sent: Iterable[_Queued]) -> SessionDescription:
        order = make_order(self._worker, None, self._options, self._common)
        return submit(self._connection, order, (queued.line for queued in sent))


def _results_in_order(futures: deque[Future[Any]], end_at: float | None) -> Iterator[Any]:
    """As Executor.map does it: what nobody will ask for any more is cancelled."""
    try:
        while futures:
            left = None if end_at is None else end_at - time.monotonic()
            yield futures.popleft().result(left)
    finally:
        for future in futures:
            future.cancel()
