"""Lambda as a session sees it: environments of a worker's identical functions.

    invoke --> one is idle --------------------------> warm
           `-> the function may have a new one, and the account has room --> cold
           `-> neither: 429, and the state machine comes again

How fast environments may be made is limited for each function (of which a worker may have several,
its copies), how many run at once for the account.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

from .profiles import Profile
from .resources import Clock, Meter, Rate


@dataclass(frozen=True, slots=True)
class Environment:
    copy: int
    cold: bool


class WorkerFunctions:
    """The copies of one worker. Chunks are spread over them at random, as the machine does it."""

    def __init__(
        self,
        clock: Clock,
        profile: Profile,
        random: Random,
        *,
        copies: int = 1,
        account_concurrency: float,
        warm: int = 0,
    ) -> None:
        self._clock = clock
        self._random = random
        self._account_concurrency = account_concurrency
        self._starts = [
            Rate(
                clock,
                "environment starts",
                profile.environments_per_second,
                profile.environments_at_once,
            )
            for _ in range(copies)
        ]
        self._idle = [warm // copies + (copy < warm % copies) for copy in range(copies)]
        self._running = 0
        self.peak = 0
        self.meter = Meter("environments")
        self.account = Meter("account concurrency")

    @property
    def started(self) -> float:
        """Environments that were made."""
        return sum(start.meter.served for start in self._starts)

    @property
    def starts(self) -> Meter:
        """Of all copies together; `busy_seconds` is the mean of one."""
        total = Meter("environment starts")
        for start in self._starts:
            total.served += start.meter.served
            total.busy_seconds += start.meter.busy_seconds / len(self._starts)
            total.refused += start.meter.refused
        total.waited_seconds = self.meter.waited_seconds
        total.longest_wait_seconds = self.meter.longest_wait_seconds
        return total

    def choose(self) -> int:
        """The copy that a chunk is sent to; a retry goes to the same one."""
        return self._random.randrange(len(self._starts))

    def find(self, copy: int) -> Environment | None:
        """An environment of this copy, or None: throttled."""
        if self._running >= self._account_concurrency:
            self.account.refused += 1
            return None
        if self._idle[copy]:
            self._idle[copy] -= 1
            return self._started(Environment(copy, cold=False))
        if self._starts[copy].take():
            return self._started(Environment(copy, cold=True))
        return None

    def _started(self, environment: Environment) -> Environment:
        self._running += 1
        self.peak = max(self.peak, self._running)
        return environment

    @contextmanager
    def busy(self, environment: Environment) -> Iterator[None]:
        """While an invocation lasts; afterwards the environment waits for the next one."""
        since = self._clock.now
        try:
            yield
        finally:
            self._running -= 1
            self._idle[environment.copy] += 1
            self.account.busy_seconds += self._clock.now - since
