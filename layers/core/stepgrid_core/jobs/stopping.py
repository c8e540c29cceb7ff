"""How a job that is under way is told to end."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum


class StopReason(StrEnum):
    CANCELLED = "cancelled"  #: nobody wants its outcome any more, but what it left is kept
    INTERRUPTED = "interrupted"  #: the container is stopped, and the job will run elsewhere


class Stopped(Exception):
    """The job was told to end."""


class StopSignal:
    """Given once, from any thread; the job looks at it between its steps."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self.reason: StopReason | None = None

    def stop(self, reason: StopReason) -> None:
        with self._lock:
            self.reason = self.reason or reason
            callbacks = list(self._callbacks)
        for callback in callbacks:
            callback()

    def check(self) -> None:
        """Raises Stopped if the signal was given."""
        if self.reason:
            raise Stopped

    @contextmanager
    def on_stop(self, callback: Callable[[], None]) -> Iterator[None]:
        """Call `callback` if the signal is given meanwhile: ends what waits for the network."""
        with self._lock:
            self._callbacks.append(callback)
        try:
            self.check()
            yield
        finally:
            with self._lock:
                self._callbacks.remove(callback)
