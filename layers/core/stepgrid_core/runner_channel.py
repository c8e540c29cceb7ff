"""The child's ends of the pipes that it shares with its runner.

They are close-on-exec and closed in forks, so that nothing that user code starts can speak or hear
in the child's place. It imports only the standard library.
"""

import contextlib
import os

from stepgrid_core.runner_protocol import BATCH_HEADER, BELL, NOTICE, SPAN_HEADER, Launch

_READ_BYTES = 256 * 1024


class Channel:
    """The child's ends of the pipes. Blocking: the runner always reads while it writes."""

    def __init__(self, launch: Launch) -> None:
        self._requests = open(launch.request_fd, "rb", buffering=_READ_BYTES)  # noqa: SIM115
        self._reply_fd = launch.reply_fd
        self._lifeline_fd = launch.lifeline_fd
        for fd in (launch.request_fd, launch.reply_fd, launch.lifeline_fd, launch.crash_fd):
            os.set_inheritable(fd, False)
        os.register_at_fork(after_in_child=self._disown)
        #: The next task's line, with its newline. Raises MemoryError if it does not fit; then the
        #: stream can't be read further.
        self.read_line = self._requests.readline

    @property
    def disowned(self) -> bool:
        """True in a fork that user code made: it must not speak for the child."""
        return self._reply_fd < 0

    def read_batch(self) -> tuple[int, float, int] | None:
        """Return the batch header's fields; None when the runner hung up."""
        header = self._requests.read(BATCH_HEADER.size)
        return BATCH_HEADER.unpack(header) if len(header) == BATCH_HEADER.size else None

    def read_common(self, size_bytes: int) -> bytes:
        """Return the common input that follows a batch header.

        Raises:
            MemoryError: it does not fit in memory. The stream can't be read further.
        """
        return self._requests.read(size_bytes)

    def read_span(self) -> tuple[int, int, int, str]:
        """Return first index, number of tasks, attempt and session id of the next span."""
        first, count, attempt, size = SPAN_HEADER.unpack(self._requests.read(SPAN_HEADER.size))
        return first, count, attempt, self._requests.read(size).decode()

    def notify(self, kind: bytes, count: int = 0, size: int = 0, body: bytes = b"") -> None:
        """Write one notice, all of it."""
        rest = memoryview(NOTICE.pack(kind, count, size) + body)
        while rest:
            rest = rest[os.write(self._reply_fd, rest) :]

    def ring(self, count: int, written: int) -> None:
        """Say that there are replies to take."""
        self.notify(BELL, count, written)

    def _disown(self) -> None:
        for fd in (self._requests.fileno(), self._reply_fd, self._lifeline_fd):
            with contextlib.suppress(OSError):
                os.close(fd)
        self._reply_fd = -1
