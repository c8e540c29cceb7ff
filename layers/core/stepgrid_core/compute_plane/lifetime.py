"""How long an attempt may work: what is left of its environment, its execution and its session."""

from collections.abc import Callable

from ..invocation import SessionFacts
from ..planning import EXPRESS_CHUNK_SECONDS
from ..ports import Clock

#: Kept before the environment's own end, to hand back and commit; of a short life only a quarter.
GUARD_SECONDS = 10.0
#: A task that has started is seen to run after so long at most.
SEEN_SECONDS = 0.1


class Lifetime:
    """Begins when it is made; `time_left` says how many seconds the environment still lives."""

    def __init__(self, clock: Clock, facts: SessionFacts, time_left: Callable[[], float]) -> None:
        self._clock = clock
        self._facts = facts
        self._time_left = time_left
        self._guard_seconds = min(GUARD_SECONDS, time_left() / 4)
        self._started = clock.monotonic()

    @property
    def passed_seconds(self) -> float:
        return self._clock.monotonic() - self._started

    def start_seconds(self) -> float:
        """For how long tasks may still be started here; none may if it is not above 0.

        A task that starts must be able to use its whole timeout before the environment ends, or it
        would be started once more elsewhere. An EXPRESS child lives five minutes: what is left of
        a long chunk then goes to another one.
        """
        timeout_seconds = self._facts.task_timeout_seconds
        environment = self._time_left() - self._guard_seconds - timeout_seconds
        session = self._facts.deadline_at - self._clock.now()
        if self._facts.children == "standard":
            return min(environment, session)
        return min(environment, session, EXPRESS_CHUNK_SECONDS - self.passed_seconds)

    def may_start(self) -> bool:
        return self.start_seconds() > 0

    def is_spent(self) -> bool:
        """Nothing may start any more, and whatever did before is seen to run."""
        return self.start_seconds() <= -SEEN_SECONDS

    def is_over(self) -> bool:
        """Even a task that runs is cut short now."""
        return self._time_left() <= self._guard_seconds or self.past_deadline()

    def past_deadline(self) -> bool:
        return self._clock.now() >= self._facts.deadline_at
