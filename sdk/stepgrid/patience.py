"""How somebody waits for results: how often the grid is asked, and when there is enough of it.

It asks nothing itself.
"""

from stepgrid_core.errors import DeadlineExceeded, Unavailable

from .retry import Clock, Deadline

#: News are gathered for this share of the time that was waited, so that many chunks which end one
#: after the other cost a few requests; and never for longer than this.
GATHERING_SHARE, MOST_GATHERING_SECONDS = 0.05, 0.5
#: The last chunks are not gathered: each may be the one that everybody waits for.
FEW_CHUNKS = 4
#: Looks at a session that is closed and still not all there, before that is an error.
CLOSED_LOOKS, CLOSED_PAUSE_SECONDS = 5, 0.5


def gathering_seconds(waited_seconds: float, missing: int | None = None) -> float:
    """How long to let news gather, after so long a wait and with so many chunks still to come."""
    if missing is not None and missing <= FEW_CHUNKS:
        return 0.0
    return min(GATHERING_SHARE * waited_seconds, MOST_GATHERING_SECONDS)


class Patience:
    """Of one caller, as long as it has time."""

    def __init__(self, clock: Clock, session_id: str, deadline: Deadline) -> None:
        self._clock = clock
        self._session_id = session_id
        self._deadline = deadline
        self._began_at = clock.monotonic()
        self._told_at: float | None = None
        self._closed_looks = 0

    def wait_seconds(self, most: float, missing: int | None = None) -> float:
        """Pause as it is due after the last answer; then how long the grid may hold the next.

        missing: how many chunks are still to come, if that is known.
        """
        if self._told_at is not None:
            gathering = gathering_seconds(self._told_at - self._began_at, missing)
            ready_at = self._told_at + min(gathering, self._deadline.left_seconds)
            if (pause := ready_at - self._clock.monotonic()) > 0:
                self._clock.sleep(pause)
        return min(most, self._deadline.left_seconds)

    def go_on(self, news: bool, closed: bool) -> None:
        """Call after an answer. closed: the session has ended, so all there is was to be told.

        Raises DeadlineExceeded when there was no news and the time is up, Unavailable for a closed
        session whose results are not all there: were it not so, this would go on for ever.
        """
        self._told_at = None if closed else self._clock.monotonic()
        if news:
            return
        if closed:
            self._look_again()
        elif self._deadline.passed:
            raise DeadlineExceeded(
                f"session {self._session_id} has tasks that did not end in the time given; "
                "it goes on: ask again, or cancel it"
            )

    def _look_again(self) -> None:
        self._closed_looks += 1
        if self._closed_looks > CLOSED_LOOKS:
            raise Unavailable(
                f"session {self._session_id} is closed but its results are not all there; ask again"
            )
        self._clock.sleep(CLOSED_PAUSE_SECONDS)
