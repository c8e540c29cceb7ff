"""Holding an answer back until there is something to tell: a long-poll.

The client asks once and gets its answer soon after the news; the looks in between are requests to
the table, which cost less than those to the API. Knows neither what is looked at nor what is news.
"""

from collections.abc import Callable
from typing import TypeVar

from .ports import Clock

#: Between two looks: quickly at first, then with patience. What has just ended is found after a
#: fifth of its own time at most, and a wait of 20 s takes some 60 looks.
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS, PAUSE_GROWTH = 0.008, 0.5, 1.2

Seen = TypeVar("Seen")


def poll(
    clock: Clock, wait_seconds: float, look: Callable[[], Seen], is_news: Callable[[Seen], bool]
) -> Seen:
    """Look until there is news or the time is over; answers what was seen last."""
    give_up_at = clock.monotonic() + wait_seconds
    pause = FIRST_PAUSE_SECONDS
    seen = look()
    while not is_news(seen) and (left := give_up_at - clock.monotonic()) > 0:
        clock.sleep(min(pause, left))
        pause = min(pause * PAUSE_GROWTH, LAST_PAUSE_SECONDS)
        seen = look()
    return seen
