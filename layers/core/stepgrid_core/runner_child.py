"""The process that user code runs in: reads tasks, calls the handler, writes a reply for each.

Started by `runner_process` as `python -m stepgrid_core.runner_child LAUNCH`, one per worker
environment, and kept warm. It must not know about sessions, storage or AWS, and it imports nothing
but orjson and the standard library. Its rules:

- The protocol has its own descriptors, close-on-exec and closed in forks: user code can print, and
  start processes, as it likes.
- It dies with its runner, however that ends. A pipe that only the runner can write to, the
  *lifeline*, reports end of file then. A thread waits for it; on Linux the kernel is also asked to
  kill the process group at that moment, because the thread can't run while user code holds the GIL.
  PR_SET_PDEATHSIG is not used: it fires when the *thread* that started the child ends.
- A task starts only while the permit in the shared page lasts.
"""

import contextlib
import faulthandler
import fcntl
import gc
import importlib
import json
import mmap
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, NoReturn

from stepgrid_core.codec import encode
from stepgrid_core.output_lines import finished_line
from stepgrid_core.runner_channel import Channel
from stepgrid_core.runner_context import CommonInput, SpanContext, TaskContext, decode_json
from stepgrid_core.runner_failures import (
    Fault,
    TaskRefused,
    describe_exception,
    describe_result,
)
from stepgrid_core.runner_marks import PrintMarker
from stepgrid_core.runner_protocol import READY, REFUSED, SAME_COMMON, Launch, Page
from stepgrid_core.runner_replies import MEMORY_BYTES, ReplyWriter

Handler = Callable[[Any, TaskContext], Any]

_PERMIT_POLL_SECONDS = 0.003
_WATCHER_STACK_BYTES = 256 * 1024


class TaskLoop:
    """Runs the tasks of each batch in order, until the runner hangs up."""

    def __init__(
        self,
        *,
        launch: Launch,
        channel: Channel,
        page: Page,
        replies: ReplyWriter,
        prints: PrintMarker,
        handler: Handler,
    ) -> None:
        self._launch = launch
        self._channel = channel
        self._page = page
        self._replies = replies
        self._prints = prints
        self._handler = handler
        self._common = CommonInput(b"")

    def run(self) -> None:
        """Serve batches until the runner closes the request pipe."""
        while (batch := self._channel.read_batch()) is not None:
            count, timeout_seconds, common_bytes = batch
            self._replies.begin()
            if common_bytes != SAME_COMMON:
                self._common = self._read_common(common_bytes)
            number = 0
            while number < count:
                number += self._run_span(number, timeout_seconds)
            self._replies.ring()

    def _read_common(self, size_bytes: int) -> CommonInput:
        self._common = CommonInput(b"")  # the memory of the one before is needed now
        try:
            return CommonInput(self._channel.read_common(size_bytes))
        except MemoryError as exc:
            self._give_up(exc, "The common input of a session does not fit in memory.")

    def _give_up(self, exc: MemoryError, message: str) -> NoReturn:
        """Fail the next task and end: the rest of the request can't be found any more."""
        self._replies.add(self._encode_fault(exc), 0.0, failed=True)
        self._replies.ring()
        sys.exit(message)

    def _run_span(self, number: int, timeout_seconds: float) -> int:
        """Run the tasks of the next span, `number` tasks into the batch; answers how many."""
        first, count, attempt, session_id = self._channel.read_span()
        span = SpanContext(self._launch, session_id, attempt, self._common)
        for index in range(first, first + count):
            number += 1
            try:
                line = self._channel.read_line()
            except MemoryError as exc:
                self._give_up(exc, "The input of a task does not fit in memory.")
            started_at = self._await_permit()
            context = TaskContext(span, index, started_at + timeout_seconds)
            self._page.mark_started(number, started_at)
            result, fault = self._run_task(line, context)
            if self._channel.disowned:
                os._exit(1)  # a fork that came back from the handler
            ended_at = time.monotonic()
            milliseconds = (ended_at - started_at) * 1000
            # Before the writes: they may wait for the runner, and that is not the task's time.
            self._page.mark_idle()
            self._prints.mark(number, milliseconds)
            if fault:
                self._replies.add(fault, milliseconds, failed=True)
            else:
                self._replies.add(finished_line(index, attempt, milliseconds, result), milliseconds)
            self._replies.ring_if_due(ended_at)
        return count

    def _await_permit(self) -> float:
        """Return the time at which the next task starts; it is always before the permit's end."""
        while (now := time.monotonic()) >= self._page.permit_until:
            self._replies.ring()
            time.sleep(_PERMIT_POLL_SECONDS)
        return now

    def _run_task(self, line: bytes, context: TaskContext) -> tuple[bytes, bytes]:
        """The result as JSON text, or the fault."""
        try:
            result = encode_result(self._handler(decode_json(line, "The task's input"), context))
            if len(result) > self._launch.result_limit_bytes:
                raise _too_large(len(result), self._launch.result_limit_bytes)
        except BaseException as exc:  # sys.exit and KeyboardInterrupt end the task, not the child
            return b"", self._encode_fault(exc)
        return result, b""

    def _encode_fault(self, exc: BaseException) -> bytes:
        return encode_fault(describe_exception(exc, self._launch.memory_limit_bytes))


def encode_result(result: Any) -> bytes:
    """Return the JSON text. Raises TaskRefused that says where in the result there is no JSON."""
    try:
        return encode(result)
    except (TypeError, ValueError, RecursionError) as exc:
        message = describe_result(result, exc)
        raise TaskRefused("ResultNotSerializable", message) from None


def _too_large(size: int, limit: int) -> TaskRefused:
    message = f"The result has {size} bytes, the limit is {limit} bytes."
    return TaskRefused("ResultTooLarge", message)


def encode_fault(fault: Fault) -> bytes:
    """Return the reply of a failed task, or the body of a refusal."""
    return json.dumps(asdict(fault)).encode()


def load_handler(name: str) -> Handler:
    """Import `module.function` and return the function.

    Raises:
        BaseException: whatever the module raises; AttributeError or TypeError for a wrong name.
    """
    module_name, _, function_name = name.rpartition(".")
    if not module_name:
        raise TypeError(f"The handler {name!r} is not of the form module.function.")
    handler = getattr(importlib.import_module(module_name), function_name)
    if not callable(handler):
        raise TypeError(f"The handler {name!r} is not a function.")
    return handler  # type: ignore[no-any-return]


def main() -> None:
    """Import the handler, say so, and serve."""
    launch = Launch(**json.loads(sys.argv.pop()))
    channel = Channel(launch)
    _die_with_runner(launch.lifeline_fd)
    _prepare_process(launch)
    memory = mmap.mmap(launch.memory_fd, MEMORY_BYTES)
    os.close(launch.memory_fd)
    page = Page(memory)
    prints = PrintMarker(launch, page)
    try:
        handler = load_handler(launch.handler)
    except BaseException as exc:  # a module may also call sys.exit
        fault = replace(describe_exception(exc, launch.memory_limit_bytes), retryable=False)
        body = encode_fault(fault)
        channel.notify(REFUSED, size=len(body), body=body)
        return
    gc.freeze()  # what was imported stays: collections need not look at it again
    channel.notify(READY)
    TaskLoop(
        launch=launch,
        channel=channel,
        page=page,
        replies=ReplyWriter(memory, page, channel.ring),
        prints=prints,
        handler=handler,
    ).run()


def _die_with_runner(lifeline_fd: int) -> None:
    if hasattr(fcntl, "F_SETSIG"):
        fcntl.fcntl(lifeline_fd, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(lifeline_fd, fcntl.F_SETSIG, signal.SIGKILL)
        flags = fcntl.fcntl(lifeline_fd, fcntl.F_GETFL)
        fcntl.fcntl(lifeline_fd, fcntl.F_SETFL, flags | os.O_ASYNC)
    # A thread's stack counts against the memory limit: 8 MiB by default.
    previous_bytes = threading.stack_size(_WATCHER_STACK_BYTES)
    threading.Thread(target=_await_hangup, args=(lifeline_fd,), daemon=True).start()
    threading.stack_size(previous_bytes)


def _await_hangup(lifeline_fd: int) -> None:
    os.read(lifeline_fd, 1)
    os.killpg(0, signal.SIGKILL)


def _prepare_process(launch: Launch) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    faulthandler.enable(launch.crash_fd, all_threads=False)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if sys.platform == "linux":
        _limit_memory(launch.memory_limit_bytes)


def _limit_memory(limit_bytes: int | None) -> None:
    # When the whole environment runs out of memory, the kernel should choose this process.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    if limit_bytes is None:
        return
    hard_bytes = resource.getrlimit(resource.RLIMIT_DATA)[1]
    if hard_bytes != resource.RLIM_INFINITY:
        limit_bytes = min(limit_bytes, hard_bytes)
    resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, limit_bytes))


if __name__ == "__main__":
    main()
