"""Patience: deadlines, and repeating what may be repeated.

It knows nothing of HTTP: whoever makes the attempt says what is worth another one, by `Transient`.
"""

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from stepgrid_core.errors import StepgridError

#: Pauses grow from the first to the last; each is drawn from zero to that ("full jitter"), so that
#: clients which failed together don't come back together.
FIRST_PAUSE_SECONDS = 0.1
LAST_PAUSE_SECONDS = 5.0
#: A request is given so much more than the grid may hold its answer for.
LEAST_CALL_SECONDS = 5.0

Answer = TypeVar("Answer")


class Clock(Protocol):
    """Where the SDK takes time from: tests give another one."""

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The clock of this machine."""

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on a clock after which there is no more waiting."""

    clock: Clock
    at: float  #: monotonic; infinite: never

    @classmethod
    def after(cls, clock: Clock, seconds: float | None) -> "Deadline":
        """So many seconds from now; None: never."""
        return cls(clock, math.inf if seconds is None else clock.monotonic() + seconds)

    @property
    def left_seconds(self) -> float:
        return max(self.at - self.clock.monotonic(), 0.0)

    @property
    def call_seconds(self) -> float | None:
        """What one request may take: None, its own default, where there is no end.

        More than is left, because the grid may hold its answer for all of that. And never so little
        that a request can't be answered: what has ended is found so even by a caller who gives no
        time at all.
        """
        return None if self.at == math.inf else self.left_seconds + LEAST_CALL_SECONDS

    @property
    def passed(self) -> bool:
        return self.left_seconds <= 0.0


class Transient(Exception):
    """An attempt failed in a way that may be over soon; `error` is raised if it never is."""

    def __init__(
        self,
        error: StepgridError,
        retry_after_seconds: float = 0.0,
        patience_seconds: float = math.inf,
    ) -> None:
        super().__init__(str(error))
        self.error = error
        #: what the other side asked for
        self.retry_after_seconds = retry_after_seconds
        #: of the whole call, where this failure is seldom over soon
        self.patience_seconds = patience_seconds


def persist(
    attempt: Callable[[float], Answer],
    clock: Clock,
    timeout_seconds: float,
    jitter: Callable[[], float] = random.random,
) -> Answer:
    """Call `attempt`, with the seconds that are left, until it succeeds or the time is up.

    An attempt that has begun is not cut short here: it is told how long it may take. Raises what
    the attempt raises; for Transient, its `error` once no further attempt fits into the time.
    """
    deadline = Deadline.after(clock, timeout_seconds)
    pause_seconds = FIRST_PAUSE_SECONDS
    while True:
        try:
            return attempt(deadline.left_seconds)
        except Transient as failure:
            wait_seconds = failure.retry_after_seconds + jitter() * pause_seconds
            waited_seconds = timeout_seconds - deadline.left_seconds
            patience_seconds = min(timeout_seconds, failure.patience_seconds)
            if waited_seconds + wait_seconds >= patience_seconds:
                raise failure.error from failure.__cause__
        clock.sleep(wait_seconds)
        pause_seconds = min(2 * pause_seconds, LAST_PAUSE_SECONDS)
