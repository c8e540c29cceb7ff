"""Which tasks of a claimed chunk are settled, how often each was started, and what is to run next.

Pure bookkeeping: no I/O, no clock. Offsets count within the chunk, indexes within the session.
"""

from collections.abc import Sequence

from .data_plane import TaskFault, failed_line, finished_line, read_error, read_heads
from .ports import TaskInput, TaskOutcome
from .records import Chunk, Output, Settled
from .states import TaskState

#: The worker holds a chunk's outputs in memory, twice when it writes them.
MAX_OUTPUT_BYTES = 256 * 1024 * 1024


class TaskLedger:
    """The tasks of one chunk while a worker holds it."""

    def __init__(
        self, first_index: int, lines: Sequence[bytes], session_id: str, max_attempts: int
    ) -> None:
        self._first = first_index
        self._lines = lines
        self._session_id = session_id
        self._max_attempts = max_attempts
        self._settled: dict[int, bytes] = {}
        self._starts = [0] * len(lines)
        self._faults: dict[int, tuple[float, TaskFault]] = {}
        self._under_way: set[int] = set()
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
                self._put(offset, line + b"\n", head.state, head.milliseconds)
        if chunk.losses:
            self._assume_starts(chunk)

    def _assume_starts(self, chunk: Chunk) -> None:
        unseen = 1 if self._max_attempts > 1 else 0
        for offset in self.open():
            self._starts[offset] = max(self._starts[offset], unseen)
        suspect = chunk.suspect
        if suspect is None or suspect in self._settled:
            return
        self._starts[suspect] = max(self._starts[suspect], chunk.suspect_starts)

    def bury_exhausted(self) -> bool:
        """Fail the tasks that may not be started again: their environment died with them."""
        exhausted = [o for o in self.open() if self._starts[o] >= self._max_attempts]
        for offset in exhausted:
            milliseconds, fault = self._faults.get(offset, (0.0, _lost(self._starts[offset])))
            self._fail(offset, milliseconds, fault)
        return bool(exhausted)

    def open(self) -> list[int]:
        """Offsets that are not settled, in order."""
        return [offset for offset in range(len(self._lines)) if offset not in self._settled]

    @property
    def retries_due(self) -> bool:
        """Has any open task failed before?"""
        return bool(self._faults)

    def inputs(self, offsets: Sequence[int]) -> list[TaskInput]:
        return [
            TaskInput(
                index=self._first + offset,
                task_id=f"{self._session_id}_{self._first + offset}",
                attempt=self._starts[offset] + 1,
                line=self._lines[offset],
            )
            for offset in offsets
        ]

    def begin(self, offsets: Sequence[int]) -> None:
        """From now on each of these may be started at any moment, until it is recorded."""
        self._under_way = set(offsets)

    def stop(self) -> None:
        """Nothing is started any more; what was not recorded was not started, or does not count."""
        self._under_way = set()

    def record(self, outcome: TaskOutcome) -> bool:
        """Note how one start of a task ended; True if the task is settled by it."""
        offset = outcome.index - self._first
        self._starts[offset] += 1
        self._under_way.discard(offset)
        if self._bytes + len(outcome.result or b"") > MAX_OUTPUT_BYTES:
            self._fail(offset, outcome.milliseconds, _no_room(len(outcome.result or b"")))
        elif outcome.fault is None:
            self._finish(offset, outcome.milliseconds, outcome.result or b"null")
        elif outcome.fault.retryable and self._starts[offset] < self._max_attempts:
            self._faults[offset] = (outcome.milliseconds, outcome.fault)
            return False
        else:
            self._fail(offset, outcome.milliseconds, outcome.fault)
        return True

    def _finish(self, offset: int, milliseconds: float, result: bytes) -> None:
        line = finished_line(self._first + offset, self._starts[offset], milliseconds, result)
        self._put(offset, line, TaskState.FINISHED, milliseconds)

    def _fail(self, offset: int, milliseconds: float, fault: TaskFault) -> None:
        line = failed_line(self._first + offset, self._starts[offset], milliseconds, fault)
        self._put(offset, line, TaskState.FAILED, milliseconds)

    def _put(self, offset: int, line: bytes, state: str, milliseconds: float) -> None:
        self._settled[offset] = line
        self._bytes += len(line)
        self._faults.pop(offset, None)
        self._finished += state == TaskState.FINISHED
        self._failed += state == TaskState.FAILED
        self._milliseconds += milliseconds

    def output(self) -> bytes:
        """The chunk's output so far, in order of the tasks.

        Tasks that failed before and are under way are written with the start that comes next: if
        the environment dies during it, the next attempt must not start them once too often.
        """
        lines = dict(self._settled)
        for offset, (milliseconds, fault) in self._faults.items():
            starts = self._starts[offset] + (offset in self._under_way)
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
        f"the result has {size} bytes, and with those before it the chunk would have more than "
        f"{MAX_OUTPUT_BYTES}; use a smaller chunk_size",
        retryable=False,
    )


def _lost(starts: int) -> TaskFault:
    return TaskFault(
        "WorkerLost",
        f"the whole worker environment died while this task ran, at each of {starts} attempts; "
        "it may use more memory than the worker has",
    )
