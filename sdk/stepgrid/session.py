"""A session as its owner sees it: wait for it, take its results, cancel it.

    session.results()            all of them, in order, when the session has ended
    for result in session: ...   in order, each as soon as all before it are there
    session.as_completed()       tasks in whatever order they end

All three read the same chunk outputs. A Session keeps no connection open and no thread of its own:
another process attaches to the same one by `grid.session(id)`.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from stepgrid_core.contract import (
    MAX_WAIT_SECONDS,
    CancelCounts,
    LogLine,
    PlanDescription,
    SessionDescription,
    SessionUpdate,
    TaskDescription,
    first_fault,
)
from stepgrid_core.errors import DeadlineExceeded, InvalidRequest, TaskError
from stepgrid_core.names import CHUNKS_PER_SHARD, task_id
from stepgrid_core.states import TERMINAL_SESSIONS, EventKind, TaskState

from .collector import ResultCollector
from .connection import Connection
from .dead_letters import DeadLetter, read_dead_letter
from .events import EventStream, SessionEvent, Subscription
from .lines import Line
from .logs import read_lines
from .outcomes import Outcome, error_of, result_of
from .progress import Progress, open_report
from .retry import Deadline
from .tables import build_table, check_arrow, check_pandas, to_frame

if TYPE_CHECKING:
    import pandas
    import pyarrow

#: A bar moves about once a second; without one the grid may hold its answer for as long as it can.
SHOWN_WAIT_SECONDS = 1.0
#: Results of so many chunks come with the end of a session at no further cost: they are stored
#: together.
FEW_CHUNKS = CHUNKS_PER_SHARD


class Task:
    """One task of a session, as it was when this object was made; `result` waits for its end."""

    def __init__(
        self, session_id: str, outcome: Outcome, wait: Callable[[int, float | None], Outcome]
    ) -> None:
        self._session_id = session_id
        self._outcome = outcome
        self._wait = wait

    @property
    def index(self) -> int:
        """Its place in the tasks that were submitted, from 0."""
        return self._outcome.index

    @property
    def id(self) -> str:
        """The session's id and the index, as HTC-Grid writes it."""
        return task_id(self._session_id, self._outcome.index)

    @property
    def state(self) -> TaskState:
        """Pending, processing, retrying, finished, failed or cancelled."""
        return self._outcome.state

    @property
    def attempts(self) -> int | None:
        """How often it was started; None until it has failed once, or has a result."""
        return self._outcome.attempts

    @property
    def milliseconds(self) -> float | None:
        """What its last attempt took; None until there was one that ended."""
        return self._outcome.milliseconds

    @property
    def error(self) -> TaskError | None:
        """What `result` would raise; None if there is a result, or the task has not ended."""
        return error_of(self._outcome, self._session_id) if self._outcome.final else None

    def result(self, timeout: float | None = None) -> Any:
        """What the worker's function returned; decoded anew for each call.

        timeout: seconds to wait for the task's end; None waits as long as it takes. Raises
        TaskError if it has no result, DeadlineExceeded if it did not end in time.
        """
        if not self._outcome.final:
            self._outcome = self._wait(self.index, timeout)
        return result_of(self._outcome, self._session_id)

    def __repr__(self) -> str:
        return f"<Task {self.id} {self.state.value}>"


class Session:
    """A handle on a session; made by Grid.submit and Grid.session."""

    def __init__(self, connection: Connection, description: SessionDescription) -> None:
        self._connection = connection
        self._description = description
        self._collector = ResultCollector(connection, description)

    @property
    def id(self) -> str:
        """What `grid.session` attaches to from another process."""
        return self._description.session_id

    @property
    def worker(self) -> str:
        """The name of the worker that runs its tasks."""
        return self._description.worker

    def status(self) -> SessionDescription:
        """State, counts and timings, now. Raises NotFound if it was deleted or has expired."""
        return self._connection.api.describe(self.id)

    def plan(self) -> PlanDescription:
        """Where and how it runs, and why; what it was to take when it was submitted."""
        return self._connection.api.read_plan(self.id)

    def wait(self, timeout: float | None = None, progress: Progress = None) -> SessionDescription:
        """Wait until the session has ended; answers how.

        timeout: seconds; None waits as long as it takes. progress: True shows a bar, False none,
        None one if stderr is a terminal or this a notebook; a function is called with every
        description instead. Raises DeadlineExceeded when the time is up; the session goes on.
        """
        return self._wait(timeout, progress, results=self._description.chunks <= FEW_CHUNKS)

    def results(
        self,
        return_exceptions: bool = False,
        timeout: float | None = None,
        progress: Progress = None,
    ) -> list[Any]:
        """Wait for the end, then the result of every task in order of submission.

        return_exceptions: put a TaskError in the place of a result that a task does not have;
        otherwise the first such is raised, with the traceback of the worker in its message.
        timeout, progress: see `wait`. Raises TaskError, DeadlineExceeded. Called again, it
        downloads little: up to 64 MiB of outputs are kept.
        """
        if not self._collector.complete:
            self._wait(timeout, progress, results=True)
        deadline = Deadline.after(self._connection.clock, None)
        return list(self._stream(return_exceptions, deadline, keep=True))

    def stream(
        self, return_exceptions: bool = False, timeout: float | None = None
    ) -> Iterator[Any]:
        """The results in order, each as soon as all before it are there.

        Only a few chunks are in memory at any time, so a session of any size can be read. timeout:
        seconds for all of it, downloads too; one that is under way is not cut short. Otherwise as
        `results`, whose timeout is for the end alone.
        """
        deadline = Deadline.after(self._connection.clock, timeout)
        return self._stream(return_exceptions, deadline, keep=False)

    def _stream(self, return_exceptions: bool, deadline: Deadline, keep: bool) -> Iterator[Any]:
        for block in self._collector.values_in_order(deadline, keep):
            if return_exceptions or not block.may_have_errors:
                yield from block.values
            else:
                yield from block.until_error()

    def __iter__(self) -> Iterator[Any]:
        """As `stream()`: raises at the first task that has no result."""
        return self.stream()

    def to_arrow(self, timeout: float | None = None) -> "pyarrow.Table":
        """Wait for the end, then a pyarrow Table with a row for each task, in order.

        Columns: index, state, attempts, milliseconds; the results; error_type, error_message and
        error_traceback. Results that are all objects have a column for each key (of a key that is
        named like one of the others, `result.<key>`), others the column `result`. Where values
        have no common type, or a number is too large for Arrow, the column has their JSON text. A
        task that has no result raises nothing: it has nulls, and its error.

        Needs the extra `stepgrid[arrow]`; without it raises ConfigurationError, before anything is
        waited for. timeout: seconds. Raises DeadlineExceeded.
        """
        check_arrow()
        if not self._collector.complete:
            self._wait(timeout, progress=False, results=True)
        return build_table(self._lines)

    def to_pandas(self, timeout: float | None = None) -> "pandas.DataFrame":
        """A pandas DataFrame with the rows and columns of `to_arrow`.

        Whole numbers stay whole: a column of them is numpy's int64, and where a value is missing
        pandas' Int64, with pandas.NA. So it is with True and False: bool, or boolean.
        """
        check_pandas()
        return to_frame(self.to_arrow(timeout))

    def _lines(self) -> Iterator[list[Line]]:
        return self._collector.lines_in_order(Deadline.after(self._connection.clock, None))

    def as_completed(self, timeout: float | None = None) -> Iterator[Task]:
        """Every task once, as the grid settles them: chunk by chunk, in no particular order.

        timeout: as in `stream`. Raises DeadlineExceeded when it is over, and for a task that failed
        nothing: its `error` and `result()` tell.
        """
        deadline = Deadline.after(self._connection.clock, timeout)
        return map(self._task, self._collector.as_final(deadline))

    def task(self, index: int) -> Task:
        """One task, as it is now. Raises InvalidRequest if the session has none of that index."""
        tasks = self._description.tasks
        if not 0 <= index < tasks:
            raise InvalidRequest(f"session {self.id} has tasks 0 to {tasks - 1}, no {index}")
        return self._task(self._collector.outcome(index))

    def tasks(self, state: TaskState | None = None) -> Iterator[TaskDescription]:
        """What the grid says of every task, in order, without results and tracebacks.

        state: only the tasks in it.
        """
        cursor: str | None = None
        while True:
            page = self._connection.api.list_tasks(self.id, state, cursor)
            yield from page.tasks
            cursor = page.cursor
            if cursor is None:
                return

    def dead_letters(self) -> Iterator[DeadLetter]:
        """The tasks that have failed for good, in order, each with its reason.

        Also while the session runs: as far as its workers have published.
        """
        return map(read_dead_letter, self.tasks(TaskState.FAILED))

    def logs(
        self, task: int | None = None, *, every: bool = False, follow: bool = False
    ) -> Iterator[LogLine]:
        """What its tasks printed, oldest first; a line is there some seconds after it was printed.

        task: only what the task of that index printed. every: also what the grid itself wrote
        about the session. follow: go on until the session has ended. Raises InvalidRequest if it
        has no such task. Workers that are plain Lambda functions log elsewhere: nothing is found.
        """
        return read_lines(self._connection, self.id, task, every=every, follow=follow)

    def subscribe(
        self,
        callback: Callable[[SessionEvent], object],
        kinds: Iterable[EventKind | str] | None = None,
    ) -> Subscription:
        """Call back with every event from now on, from a thread of its own; see Grid.events.

        The end of the session is told exactly once, also if it has ended already; then the
        subscription ends by itself. `join` waits for that, `close` ends it early.
        """
        return Subscription(EventStream(self._connection, [self.id], kinds), callback)

    def cancel(self) -> CancelCounts:
        """End it: nothing starts once this has answered, and what has finished keeps its result.

        Answers how many tasks this call cancelled; repeating it is no error.
        """
        return self._connection.api.cancel([self.id]).sessions.get(self.id, CancelCounts())

    def pause(self) -> SessionDescription:
        """Start nothing more of it until `resume`; chunks that run are finished.

        It gives its place on the worker to others. Its deadline goes on. Raises Conflict once it
        has ended; repeating it is no error.
        """
        return self._update(paused=True)

    def resume(self) -> SessionDescription:
        """Let a paused session go on: it waits for its turn by priority and age. See `pause`."""
        return self._update(paused=False)

    def set_priority(self, priority: int) -> SessionDescription:
        """Move it in the queue of its worker: 0 to 9, of which 9 is the most urgent.

        Of use while it waits; one that runs is not interrupted. Raises Conflict once it has ended.
        """
        return self._update(priority=priority)

    def _update(self, **changes: int | bool) -> SessionDescription:
        try:
            update = SessionUpdate.model_validate(changes)
        except ValidationError as error:
            raise InvalidRequest(first_fault(error)) from error
        return self._connection.api.update(self.id, update)

    def delete(self) -> None:
        """Delete its state and results for good. Raises Conflict while it is open."""
        self._connection.api.delete(self.id)

    def _wait(
        self, timeout: float | None, progress: Progress, *, results: bool
    ) -> SessionDescription:
        """As `wait`; results: the first page of them is to come with the answer."""
        deadline = Deadline.after(self._connection.clock, timeout)
        with open_report(progress, self._description.tasks) as report:
            pause_seconds = SHOWN_WAIT_SECONDS if report else MAX_WAIT_SECONDS
            while True:
                seconds = min(pause_seconds, deadline.left_seconds)
                description = self._look(seconds, deadline.call_seconds, results)
                if report:
                    report(description)
                if description.state in TERMINAL_SESSIONS:
                    return description
                if deadline.passed:
                    raise DeadlineExceeded(
                        f"session {self.id} did not end within {timeout:g} s; it goes on: "
                        "wait again, or cancel it"
                    )

    def _look(
        self, wait_seconds: float, timeout_seconds: float | None, results: bool
    ) -> SessionDescription:
        report = self._connection.api.describe(
            self.id, wait_seconds, timeout_seconds, results=results
        )
        if report.results is not None:
            self._collector.take(report.results)
        return report

    def _task(self, outcome: Outcome) -> Task:
        return Task(self.id, outcome, self._final_outcome)

    def _final_outcome(self, index: int, timeout: float | None) -> Outcome:
        return self._collector.final_outcome(index, Deadline.after(self._connection.clock, timeout))

    def __repr__(self) -> str:
        return f"<Session {self.id} of {self._description.tasks} tasks for {self.worker}>"
