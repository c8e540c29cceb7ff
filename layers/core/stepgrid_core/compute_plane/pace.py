"""When a run looks at its row next, and when it publishes progress next."""

from dataclasses import dataclass

#: In the careful way, and when a task has failed, progress is published this often.
CHECKPOINT_SECONDS = 2.0
#: Where many chunks run at once they share the writes of one partition, as they do the reads.
CHECKPOINT_WATCHES = 4
#: A checkpoint writes the whole output anew: of a worker's time, at most one part in so many.
CHECKPOINT_SHARE = 10


@dataclass(slots=True)
class Pace:
    """Times are monotonic."""

    watch_seconds: float
    watch_at: float = 0.0
    checkpoint_at: float = 0.0
    failure_unpublished: bool = False  #: a start has failed, and no row says so yet
    in_doubt: bool = False  #: a write had no answer: the row may be as before, or as written

    def is_failure_due(self, now: float) -> bool:
        return self.failure_unpublished and now >= self.checkpoint_at and not self.in_doubt

    def is_checkpoint_due(self, now: float) -> bool:
        """Between two tasks of the careful way."""
        return self.failure_unpublished or now >= self.checkpoint_at

    def checkpointed(self, started_at: float, now: float) -> None:
        self.checkpoint_at = now + max(
            CHECKPOINT_SECONDS,
            CHECKPOINT_WATCHES * self.watch_seconds,
            CHECKPOINT_SHARE * (now - started_at),
        )
