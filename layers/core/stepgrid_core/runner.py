"""Runs the tasks of a chunk, one after the other, in a supervised child process.

    worker ── Runner ══ lines of many tasks ══▶ runner_child ── handler(event, context)
                     ◀─ memory: replies, which task runs, since when, until when one may start
                     ◀══ bell: so many replies are there

It is the real `ports.TaskRunner`. A task fails alone: an exception, exit, crash, timeout, memory
kill or bad result becomes its outcome, a dead child is replaced, and the rest of the batch runs on.
What the child has replied lies in memory that outlives it, so the death of one task loses no result
of those before. The child is a fresh interpreter in its own session, kept warm between batches;
what users print leaves as lines that know their task (see `runner_prints`).

This module must not know about sessions, storage or AWS, and reads no environment: everything comes
by argument. The memory limit and the kernel's own kill of an orphaned child exist on Linux only; on
macOS an orphan exits when its interpreter next runs a thread.
"""

import json
import mmap
import os
import threading
import time
from collections.abc import Generator, Sequence

from stepgrid_core.ports import CommonInput, TaskOutcome, TaskSpan
from stepgrid_core.runner_batch import Batch
from stepgrid_core.runner_failures import (
    Fault,
    describe_death,
    describe_idle_deaths,
    describe_import_death,
    describe_slow_import,
    describe_timeout,
)
from stepgrid_core.runner_prints import PrintReader, PrintSink, write_to_stderr
from stepgrid_core.runner_process import ChildProcess
from stepgrid_core.runner_protocol import READY, Page, open_anonymous_file
from stepgrid_core.runner_replies import MEMORY_BYTES, Replies, ReplyReader
from stepgrid_core.runner_settings import RunnerSettings, RunnerStartError, RunnerStopped

__all__ = ["Runner", "RunnerSettings", "RunnerStartError", "RunnerStopped"]

Outcomes = Generator[TaskOutcome | None, None, None]

_POLL_SECONDS = 0.05
_GRACE_SECONDS = 1.0
#: Children that may die in a row between two tasks, with nothing done, before the batch fails.
_IDLE_DEATHS = 3


class Runner:
    """One child process, replaced when it dies. One run at a time; `stop` from any thread."""

    def __init__(self, settings: RunnerSettings, on_print: PrintSink = write_to_stderr) -> None:
        """Prepare; the first run, or `start`, starts the child.

        `on_print` gets every line that user code prints, by any way; called in `run`.
        """
        self._settings = settings
        self._on_print = on_print
        self._memory_fd = open_anonymous_file(MEMORY_BYTES)
        self._memory = mmap.mmap(self._memory_fd, MEMORY_BYTES)
        self._page = Page(self._memory)
        self._replies = ReplyReader(self._memory, self._page)
        self._child: ChildProcess | None = None
        self._ready = False
        self._told: str | None = None  # the session whose common input the child has
        self._noted = 0  # replies that the child had counted
        self._noted_at = 0.0  # then, monotonic
        self._stopped = False
        self._closed = False
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the child if there is none, without waiting for the import of its handler.

        Raises:
            RunnerStartError: the system can't start a process.
            RunnerStopped: `stop` or `close` was called.
        """
        self._ensure_child()

    @property
    def busy(self) -> bool:
        """Does a task run?"""
        return self._page.running is not None

    def permit(self, seconds: float) -> None:
        """Let tasks start for `seconds` from now, and none after that until the next permit.

        A new runner has no permit. What runs when the permit ends runs on. Safe from any thread.
        """
        self._page.permit_until = time.monotonic() + seconds

    def run(
        self,
        spans: Sequence[TaskSpan],
        timeout_seconds: float,
        common: CommonInput | None = None,
    ) -> Outcomes:
        """Run the tasks of `spans` in order and yield the outcomes of all, in the same order.

        While nothing happens it yields None about every 50 ms: while a task runs, the handler is
        imported, lines have not arrived or the permit has ended. Nothing happens before the first
        `next`, and no timeout is enforced between two. Closing the generator early kills the child.

        A task that was running when its child died is not run again here. When the handler can't
        be imported, all tasks left fail with that fault: not retryable if it was raised,
        retryable if the import took the process down or took too long.

        Args:
            spans: the batch; the child starts with its first lines while others still arrive.
            timeout_seconds: of each task, from its own start.
            common: what the tasks' session has in common; sent once to a child, until another
                session's comes.

        Raises:
            RunnerStopped: `stop` was called; outcomes that were complete are yielded before.
            RunnerStartError: the system can't start a process.
            StepgridError: the lines could not be read to their end; see ports.TaskLines.
        """
        batch = Batch(spans)
        try:
            yield from self._run_batch(batch, timeout_seconds, common)
        finally:
            # A child that gave up on its requests has answered all, and not read all.
            if batch or (self._child and self._child.sending):
                self._discard_child()
            elif self._child:
                self._finish_prints(self._child)

    def stop(self) -> None:
        """Kill the child's process group now, for good. Safe from any thread, at any time."""
        self._stopped = True
        with self._lock:
            if self._child:
                self._child.end()

    def close(self) -> None:
        """Let an idle child exit, then end its process group. Not while a run is in progress."""
        if self._closed:
            return
        self._closed = True
        if self._child and not self._stopped:
            self._child.hang_up(_GRACE_SECONDS)
        self._stopped = True
        self._discard_child()
        self._replies.close()
        self._page.close()
        self._memory.close()
        os.close(self._memory_fd)

    def _run_batch(
        self, batch: Batch, timeout_seconds: float, common: CommonInput | None
    ) -> Outcomes:
        idle_deaths = 0
        while batch:
            count = len(batch)
            child = self._ensure_child()
            fault = yield from self._await_ready(child)
            if fault is None:
                self._send(child, batch, timeout_seconds, common)
                yield from self._run_life(child, batch, timeout_seconds)
                idle_deaths = idle_deaths + 1 if len(batch) == count else 0
                if idle_deaths == _IDLE_DEATHS:
                    fault = describe_idle_deaths(idle_deaths)
            if fault:
                self._discard_child()
                yield from batch.fail_all(fault)

    def _send(
        self,
        child: ChildProcess,
        batch: Batch,
        timeout_seconds: float,
        common: CommonInput | None,
    ) -> None:
        told, self._told = self._told, common.session_id if common else None
        text = common.text if common else b""
        same = bool(common) and told == self._told
        self._page.reset()
        self._replies.begin()
        self._noted, self._noted_at = 0, time.monotonic()
        child.drain_prints()
        child.prints.begin(batch.find_task())
        child.send(batch.encode(timeout_seconds, None if same else text))

    def _run_life(self, child: ChildProcess, batch: Batch, timeout_seconds: float) -> Outcomes:
        """Run until the batch has ended or the child has."""
        count = len(batch)
        while batch or child.sending:
            replies = self._exchange(child, timeout_seconds, count)
            yield from batch.settle(replies)
            if replies:
                continue
            if child.hung_up or self._is_overdue(time.monotonic(), timeout_seconds):
                yield from self._bury(child, batch, count, timeout_seconds)
                return
            yield None

    def _exchange(self, child: ChildProcess, timeout_seconds: float, count: int) -> Replies:
        """What the child has replied to a batch of `count` tasks, waiting a moment for it."""
        notices = child.exchange(self._choose_wait(timeout_seconds))
        if notices:
            return self._replies.take(notices[-1].count, notices[-1].size)
        # The last reply is taken by its bell alone: heard after the end of the batch, a bell would
        # be taken for one of the next batch, and these replies for those of other tasks.
        return self._replies.take_counted(min(self._counted_before(), count - 1))

    def _counted_before(self) -> int:
        """Replies counted so long ago that they are there; without a bell, while a task runs.

        0 where the last look was just now, as when prints arrive.
        """
        now = time.monotonic()
        if now < self._noted_at + _POLL_SECONDS:
            return 0
        counted, self._noted, self._noted_at = self._noted, self._page.settled_count, now
        return counted

    def _finish_prints(self, child: ChildProcess) -> None:
        child.drain_prints()
        child.prints.finish(self._page.started_count)

    def _bury(
        self, child: ChildProcess, batch: Batch, count: int, timeout_seconds: float
    ) -> Outcomes:
        """End a dead or overdue child, and yield what it left: replies, then the guilty task."""
        killed_at = None if child.hung_up else time.monotonic()
        returncode = child.end()
        yield from batch.settle(self._replies.take_counted(self._page.settled_count))
        if self._stopped:
            raise RunnerStopped("The runner was stopped while a batch was running.")
        trace = child.read_crash_trace()
        self._discard_child()
        if self._page.started_count <= count - len(batch):
            return  # it died between two tasks
        started_at = self._page.started_at
        if killed_at is None:
            fault = describe_death(returncode, self._settings.memory_limit_bytes, trace)
        elif started_at and not self._is_overdue(killed_at, timeout_seconds):
            return  # the overdue task ended at the last moment; the kill hit its neighbour: again
        else:
            fault = describe_timeout(timeout_seconds)
        milliseconds = (time.monotonic() - started_at) * 1000 if started_at else 0.0
        yield batch.fail(milliseconds, fault)

    def _choose_wait(self, timeout_seconds: float) -> float:
        started_at = self._page.started_at
        if not started_at:
            return _POLL_SECONDS
        left = started_at + timeout_seconds - time.monotonic()
        return min(max(left, 0.0), _POLL_SECONDS)

    def _is_overdue(self, at_monotonic: float, timeout_seconds: float) -> bool:
        started_at = self._page.started_at
        return started_at > 0 and at_monotonic - started_at >= timeout_seconds

    def _ensure_child(self) -> ChildProcess:
        with self._lock:
            if self._stopped:
                raise RunnerStopped("The runner was stopped: make a new one.")
            if self._child is None:
                self._child = self._start_child()
            return self._child

    def _start_child(self) -> ChildProcess:
        settings = self._settings
        self._ready = False
        self._told = None
        try:
            return ChildProcess(
                settings.launch,
                search_path=settings.search_path,
                environment=settings.environment,
                memory_fd=self._memory_fd,
                make_prints=lambda token: PrintReader(token, self._page, self._on_print),
            )
        except OSError as exc:
            raise RunnerStartError(f"Can't start the process of {settings.handler}: {exc}") from exc

    def _await_ready(
        self, child: ChildProcess
    ) -> Generator[TaskOutcome | None, None, Fault | None]:
        """Wait for the import of the handler; return why it failed, if it did."""
        settings = self._settings
        # From now, not from the start: between the two, Lambda may have frozen the environment.
        deadline = time.monotonic() + settings.start_timeout_seconds
        while not self._ready:
            for notice in child.exchange(_POLL_SECONDS):
                if notice.kind != READY:
                    return Fault(**json.loads(notice.body))
                self._ready = True
            if self._ready:
                break
            if child.hung_up:
                return self._explain_start_death(child)
            if time.monotonic() > deadline:
                return describe_slow_import(settings.handler, settings.start_timeout_seconds)
            yield None
        return None

    def _explain_start_death(self, child: ChildProcess) -> Fault:
        returncode = child.end()
        if self._stopped:
            raise RunnerStopped("The runner was stopped while its child was starting.")
        trace = child.read_crash_trace()
        fault = describe_death(returncode, self._settings.memory_limit_bytes, trace)
        return describe_import_death(fault, self._settings.handler)

    def _discard_child(self) -> None:
        with self._lock:
            child, self._child = self._child, None
        if child:
            child.end()
            self._finish_prints(child)
            child.close()
