"""When a container has to end: never, until somebody asks it to."""

import math
import signal
import threading
from collections.abc import Callable
from types import FrameType


class Stopping:
    """Counts down from the moment that SIGTERM comes."""

    def __init__(self, monotonic: Callable[[], float], timeout_seconds: float) -> None:
        """timeout_seconds: from SIGTERM to the SIGKILL that follows (ECS: stopTimeout)."""
        self._monotonic = monotonic
        self._timeout_seconds = timeout_seconds
        self._stop_at = math.inf
        self._asked = threading.Event()

    def listen(self) -> None:
        """From now on SIGTERM begins the count. Call in the main thread."""
        signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.begin()

    def begin(self) -> None:
        if not self._asked.is_set():
            self._stop_at = self._monotonic() + self._timeout_seconds
            self._asked.set()

    @property
    def asked(self) -> bool:
        return self._asked.is_set()

    def time_left(self) -> float:
        """Seconds; infinite while nobody has asked."""
        return self._stop_at - self._monotonic()

    def pause(self, seconds: float) -> None:
        """Wait so long, or until it is asked to stop."""
        self._asked.wait(seconds)
