"""A container's lines on their way to CloudWatch Logs, as the log driver `awslogs` sends them.

    container -> pipe -> reader thread -> queue -> sender thread -> PutLogEvents

Both streams come through one pipe, so their order is kept. A queue that is full holds the container
up; an answer that fails loses its lines, and the container lives on. Knows nothing of ECS.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

import botocore.exceptions

from stepgrid.local.container_specs import CannotStartError, LogSettings

#: The limits of PutLogEvents; each event counts 26 bytes more than its text.
MAX_BATCH_EVENTS = 10_000
MAX_BATCH_BYTES = 1024 * 1024
EVENT_OVERHEAD_BYTES = 26
MAX_LINE_BYTES = 256 * 1024 - EVENT_OVERHEAD_BYTES

#: Lines wait this long for others, to travel together.
GATHER_SECONDS = 0.25
FLUSH_TIMEOUT_SECONDS = 10.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LogLine:
    """What a container wrote, and when: milliseconds since the epoch."""

    timestamp_ms: int
    text: str

    @property
    def size_bytes(self) -> int:
        return len(self.text.encode()) + EVENT_OVERHEAD_BYTES


#: Takes the lines of a container, in order.
Put = Callable[[Sequence[LogLine]], None]


def batches(lines: Sequence[LogLine]) -> Iterator[list[LogLine]]:
    """The lines in order, in portions that PutLogEvents takes."""
    batch: list[LogLine] = []
    size_bytes = 0
    for line in lines:
        fits = size_bytes + line.size_bytes <= MAX_BATCH_BYTES
        if batch and not (fits and len(batch) < MAX_BATCH_EVENTS):
            yield batch
            batch, size_bytes = [], 0
        batch.append(line)
        size_bytes += line.size_bytes
    if batch:
        yield batch


def read_lines(stream: IO[bytes]) -> Iterator[str]:
    """The lines of the stream; a long one comes in pieces, an empty one not at all."""
    while piece := stream.readline(MAX_LINE_BYTES):
        text = piece.decode("utf-8", "replace").rstrip("\r\n")
        # A byte that is no text becomes a mark of three bytes.
        step = len(text) if len(text.encode()) <= MAX_LINE_BYTES else MAX_LINE_BYTES // 4
        yield from (text[start : start + step] for start in range(0, len(text), step or 1))


def open_stream(logs: Any, settings: LogSettings) -> Put:
    """Make the log stream, and give what puts lines into it.

    Raises CannotStartError if there is no such group, as ECS does.
    """
    if settings.creates_group:
        _unless_there(logs.create_log_group, logGroupName=settings.group)
    names = {"logGroupName": settings.group, "logStreamName": settings.stream}
    try:
        _unless_there(logs.create_log_stream, **names)
    except logs.exceptions.ResourceNotFoundException as error:
        raise CannotStartError(
            "ResourceInitializationError: failed to validate logger args: "
            f"the specified log group does not exist: {settings.group}"
        ) from error

    def put(lines: Sequence[LogLine]) -> None:
        for batch in batches(lines):
            events = [{"timestamp": line.timestamp_ms, "message": line.text} for line in batch]
            logs.put_log_events(**names, logEvents=events)

    return put


def _unless_there(create: Callable[..., Any], **names: str) -> None:
    try:
        create(**names)
    except botocore.exceptions.ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "ResourceNotFoundException":
            raise
        if code != "ResourceAlreadyExistsException":
            logger.warning("a log may be lost: %s", error)
    except botocore.exceptions.BotoCoreError as error:
        logger.warning("a log may be lost: %s", error)


class LogShipper:
    """Carries what comes out of `stream` to `put`, until its end."""

    def __init__(self, stream: IO[bytes], put: Put) -> None:
        self._stream = stream
        self._put = put
        self._lines: queue.Queue[LogLine | None] = queue.Queue(MAX_BATCH_EVENTS)
        self._sender = threading.Thread(target=self._send, daemon=True)
        threading.Thread(target=self._read, daemon=True).start()
        self._sender.start()

    def flush(self) -> None:
        """Return when all is sent; called when everything that wrote into the stream is dead."""
        self._sender.join(FLUSH_TIMEOUT_SECONDS)

    def _read(self) -> None:
        last_ms = 0
        with self._stream:
            for text in read_lines(self._stream):
                # PutLogEvents demands the order of time, and clocks are set back.
                last_ms = max(last_ms, int(time.time() * 1000))
                self._lines.put(LogLine(last_ms, text))
        self._lines.put(None)

    def _send(self) -> None:
        more = True
        while more:
            lines, more = self._gather()
            try:
                self._put(lines)
            except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
                logger.warning("%d lines of a container are lost: %s", len(lines), error)

    def _gather(self) -> tuple[list[LogLine], bool]:
        """The next lines, and whether others may follow."""
        lines: list[LogLine] = []
        wait_seconds: float | None = None
        deadline = 0.0
        while len(lines) < MAX_BATCH_EVENTS:
            try:
                line = self._lines.get(timeout=wait_seconds)
            except queue.Empty:
                break
            if line is None:
                return lines, False
            deadline = deadline or time.monotonic() + GATHER_SECONDS
            wait_seconds = max(0.0, deadline - time.monotonic())
            lines.append(line)
        return lines, True
