"""Tells the desk how far a job has come, and does not give up easily on how it ended."""

import threading

from ..errors import StepgridError
from ..ports import Clock, JobDesk
from ..records import JobRecord
from ..telemetry import logger

#: A stage that lasts is told; the others are over before anybody could see them, and their times
#: are in the last report. One that can't be told now is told again with the next one.
_LASTING_SECONDS = 0.5
_STAGE_ATTEMPTS, _LAST_ATTEMPTS = 1, 8
_FIRST_PAUSE_SECONDS, _LAST_PAUSE_SECONDS = 0.2, 5.0


class Reporter:
    """Of one start of a job. Its last report is its last, whichever thread makes it."""

    def __init__(self, desk: JobDesk, index: int, clock: Clock) -> None:
        self._desk = desk
        self._index = index
        self._clock = clock
        self._lock = threading.Lock()
        self._over = False
        self._begun: tuple[JobRecord, float] | None = None

    def begin(self, record: JobRecord) -> None:
        """A stage has begun. Nothing is sent: the job is not held up for it."""
        self._begun = record, self._clock.monotonic()

    def tell_lasting(self) -> None:
        """Tell the stage that the job is in, once it has lasted for a while."""
        begun = self._begun
        if begun is None or self._clock.monotonic() - begun[1] < _LASTING_SECONDS:
            return
        self._begun = None
        self.tell(begun[0])

    def tell(self, record: JobRecord) -> None:
        """At once."""
        if not self._over:
            self._report(record, _STAGE_ATTEMPTS)

    def tell_last(self, record: JobRecord) -> bool:
        """How it ended. False if that had been told before."""
        with self._lock:
            if self._over:
                return False
            self._over = True
        self._report(record, _LAST_ATTEMPTS)
        return True

    def _report(self, record: JobRecord, attempts: int) -> None:
        pause_seconds = _FIRST_PAUSE_SECONDS
        for attempt in range(1, attempts + 1):
            try:
                return self._desk.report(self._index, record)
            except StepgridError as error:
                failure = error
            if attempt < attempts:
                self._clock.sleep(pause_seconds)
                pause_seconds = min(2 * pause_seconds, _LAST_PAUSE_SECONDS)
        logger.warning(
            "job record not reported", task=self._index, state=record.state, reason=str(failure)
        )
        return None
