"""Where the grid tells what happened."""

from collections.abc import Sequence
from typing import Protocol

from ..federation.events import FederationEvent
from ..session_events import SessionEvent


class EventBus(Protocol):
    def publish(self, events: Sequence[SessionEvent]) -> None:
        """Tell the world, all in one request: 1 to 10 events.

        Raises Unavailable if any was not taken. Some of them may be told again then, so consumers
        drop repeats by `event_id`.
        """

    def notify(self, events: Sequence[FederationEvent]) -> None:
        """The same of what happens in a federation."""
