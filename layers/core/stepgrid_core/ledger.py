"""Which tasks of a claimed chunk are settled, how often each was started, and what is to run next.

Pure bookkeeping: no I/O, no clock. Offsets count within the chunk, indexes within the session.
"""

from collections.abc import Iterator, Sequence

from .data_plane import TaskFault, failed_line, read_error, read_heads
from .ports import FailedTask, FinishedTasks, TaskLines, TaskOutcome, TaskSpan
from .records import Chunk, Output, Settled
from .states import TaskState

#: The worker holds a chunk's outputs in memory, twice when it writes them.
MAX_OUTPUT_BYTES = 256 * 1024 * 1024


class TaskLedger:
    """The tasks of one chunk while a worker holds it."""

    def __init__(
        self, first_index: int, tasks: int, lines: TaskLines, session_id: str, max_attempts: int
    ) -> None:
        self._first = first_index
        self._lines = lines
        self._session_id = session_id
        self._max_attempts = max_attempts
        self._open = bytearray(b"\1") * tasks  # 0 where a task is settled
        self._output: dict[int, bytes] = {}  # lines of settled tasks, by the offset of the first
        self._starts = [0] * tasks
        self._faults: dict[int, tuple[float, TaskFault]] = {}
        self._retried: set[int] = set()
        self._finished = self._failed = 0
        self._milliseconds = 0.0
        self._bytes = 0

    def resume(self, output: bytes, chunk: Chunk) -> None:
        """Take over what earlier attempts published; `chunk` is the row as it was claimed.

        After a loss, a task that may have been started and is not settled counts as started once
        more than is written down; the one that was marked ahead of its start, as often as it was.
        """
        for head, line in read_heads(output):
            offset = head.index - self._first
            self._starts[offset] = head.attempts
            if head.state == TaskState.RETRYING:
                error = read_error(line)
                self._faults[offset] = (
                    head.milliseconds,
                    TaskFault(error["type"], error["message"], error["traceback"]),
                )
            else:
                self._put(offset, [head.milliseconds], line + b"\n", head.state)
        if chunk.losses:
            self._assume_starts(chunk)

    def _assume_starts(self, chunk: Chunk) -> None:
        unseen = 1 if self._max_attempts > 1 else 0
        for offset in self.open():
            self._starts[offset] = max(self._starts[offset], unseen)
        suspect = chunk.suspect
        if suspect is None or not self._open[suspect]:
            return
        self._starts[suspect] = max(self._starts[suspect], chunk.suspect_starts)

    def bury_exhausted(self) -> bool:
        """Fail the tasks that may not be started again: their environment died with them."""
        if max(self._starts, default=0) < self._max_attempts:
            return False
        exhausted = [o for o in self.open() if self._starts[o] >= self._max_attempts]
        for offset in exhausted:
            milliseconds, fault = self._faults.get(offset, (0.0, _lost(self._starts[offset])))
            self._fail(offset, milliseconds, fault)
        return bool(exhausted)

    def open(self) -> list[int]:
        """Offsets that are not settled, in order."""
        if 1 not in self._open:
            return []
        return [offset for offset, is_open in enumerate(self._open) if is_open]

    @property
    def retries_due(self) -> bool:
        """Has any open task failed before?"""
        return bool(self._faults)

    def spans(self, offsets: Sequence[int]) -> list[TaskSpan]:
        """The next start of each of these tasks; neighbours with as many starts are together."""
        return [
            TaskSpan(
                session_id=self._session_id,
                first=self._first + start,
                count=stop - start,
                attempt=self._starts[start] + 1,
                lines=self._lines,
            )
            for start, stop in self._runs(offsets)
        ]

    def _runs(self, offsets: Sequence[int]) -> Iterator[tuple[int, int]]:
        """From where to before where they follow each other."""
        start = stop = -1
        for offset in offsets:
            if offset != stop or self._starts[offset] != self._starts[start]:
                if start >= 0:
                    yield start, stop
                start = offset
            stop = offset + 1
        if start >= 0:
            yield start, stop

    def begin(self, offsets: Sequence[int]) -> None:
        """From now on each of these may be started at any moment, until it is recorded."""
        self._retried = self._faults.keys() & offsets

    def stop(self) -> None:
        """Nothing is started any more; what was not recorded was not started, or does not count."""
        self._retried = set()

    def record(self, outcome: TaskOutcome) -> bool:
        """Note how starts of tasks ended; True if those tasks are settled by it."""
        if isinstance(outcome, FinishedTasks):
            self._finish(outcome)
            return True
        return self._record_failure(outcome)

    def _finish(self, tasks: FinishedTasks) -> None:
        start = tasks.first - self._first
        stop = start + len(tasks.milliseconds)
        self._starts[start:stop] = [starts + 1 for starts in self._starts[start:stop]]
        if self._bytes + len(tasks.lines) <= MAX_OUTPUT_BYTES:
            self._put(start, tasks.milliseconds, tasks.lines, TaskState.FINISHED)
            return
        lines = tasks.lines.removesuffix(b"\n").split(b"\n")
        for offset, (milliseconds, line) in enumerate(
            zip(tasks.milliseconds, lines, strict=True), start
        ):
            if self._bytes + len(line) < MAX_OUTPUT_BYTES:
                self._put(offset, [milliseconds], line + b"\n", TaskState.FINISHED)
            else:
                self._fail(offset, milliseconds, _no_room(len(line)))

    def _record_failure(self, task: FailedTask) -> bool:
        offset = task.index - self._first
        self._starts[offset] += 1
        self._retried.discard(offset)
        if task.fault.retryable and self._starts[offset] < self._max_attempts:
            self._faults[offset] = (task.milliseconds, task.fault)
            return False
        self._fail(offset, task.milliseconds, task.fault)
        return True

    def _fail(self, offset: int, milliseconds: float, fault: TaskFault) -> None:
        line = failed_line(self._first + offset, self._starts[offset], milliseconds, fault)
        self._put(offset, [milliseconds], line, TaskState.FAILED)

    def _put(self, start: int, milliseconds: Sequence[float], lines: bytes, state: str) -> None:
        """Settle the tasks from offset `start` on, as many as there are times of them."""
        count = len(milliseconds)
        self._open[start : start + count] = bytes(count)
        self._output[start] = lines
        self._bytes += len(lines)
        self._finished += count if state == TaskState.FINISHED else 0
        self._failed += count if state == TaskState.FAILED else 0
        self._milliseconds += sum(milliseconds)
        for offset in range(start, start + count) if self._faults else ():
            self._faults.pop(offset, None)
            self._retried.discard(offset)

    def output(self) -> bytes:
        """The chunk's output so far, in order of the tasks.

        Tasks that failed before and are under way are written with the start that comes next: if
        the environment dies during it, the next attempt must not start them once too often.
        """
        lines = dict(self._output)
        for offset, (milliseconds, fault) in self._faults.items():
            starts = self._starts[offset] + (offset in self._retried)
            lines[offset] = failed_line(
                self._first + offset, starts, milliseconds, fault, TaskState.RETRYING
            )
        return b"".join(lines[offset] for offset in sorted(lines))

    def settled(self, output: Output | None) -> Settled:
        return Settled(
            self._finished, self._failed, round(self._milliseconds), output, len(self._faults)
        )


def _no_room(size: int) -> TaskFault:
    return TaskFault(
        "ResultTooLarge",
        f"the result's line has {size} bytes, and with those before it the chunk would have more "
        f"than {MAX_OUTPUT_BYTES}; use a smaller chunk_size",
        retryable=False,
    )


def _lost(starts: int) -> TaskFault:
    return TaskFault(
        "WorkerLost",
        f"the whole worker environment died while this task ran, at each of {starts} attempts; "
        "it may use more memory than the worker has",
    )
