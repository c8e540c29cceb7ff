"""The event bus and the subscriptions as lists and dictionaries."""

import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import NotFound
from ..event_detail import bus_event
from ..federation.events import FederationEvent
from ..ports import Clock, Delivery, Subscription
from ..session_events import SessionEvent

#: What was received and not acknowledged comes again after so long.
HIDDEN_SECONDS = 30.0
BATCH = 10


@dataclass
class MemoryEventBus:
    """Keeps what was published, and hands it to its listeners."""

    published: list[SessionEvent] = field(default_factory=list)
    listeners: list[Callable[[SessionEvent], None]] = field(default_factory=list)
    notified: list[FederationEvent] = field(default_factory=list)
    #: of what happens in a federation
    notifiers: list[Callable[[FederationEvent], None]] = field(default_factory=list)

    def publish(self, events: Sequence[SessionEvent]) -> None:
        self.published.extend(events)
        for event in events:
            for listener in self.listeners:
                listener(event)

    def notify(self, events: Sequence[FederationEvent]) -> None:
        self.notified.extend(events)
        for event in events:
            for notifier in self.notifiers:
                notifier(event)


@dataclass
class _Message:
    detail: dict[str, Any]
    hidden_until: float = 0.0


class MemorySubscriptions:
    """Queues in dictionaries; waiting for an event that is not there is a sleep on the clock."""

    def __init__(self, bus: MemoryEventBus, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._receipts = (f"receipt-{number}" for number in itertools.count())
        self._known: dict[str, Subscription] = {}
        self._queues: dict[str, dict[str, _Message]] = {}
        bus.listeners.append(self.offer)

    def offer(self, event: SessionEvent) -> None:
        """Keep the event for everybody who wants it."""
        with self._lock:
            for name, subscription in self._known.items():
                if _wants(subscription, event):
                    detail = bus_event(event).model_dump(mode="json")
                    self._queues[name][next(self._receipts)] = _Message(detail)

    def create(self, subscription: Subscription) -> Subscription:
        with self._lock:
            self._queues.setdefault(subscription.subscription_id, {})
            return self._known.setdefault(subscription.subscription_id, subscription)

    def find(self, subscription_id: str) -> Subscription | None:
        with self._lock:
            return self._known.get(subscription_id)

    def count(self, owner: str) -> int:
        with self._lock:
            return sum(each.owner == owner for each in self._known.values())

    def keep(self, subscription_id: str, stale_at: float) -> None:
        with self._lock:
            known = self._known.get(subscription_id)
            if known is not None:
                self._known[subscription_id] = replace(known, stale_at=stale_at)

    def receive(self, subscription_id: str, wait_seconds: float) -> list[Delivery]:
        found = self._visible(subscription_id)
        if not found and wait_seconds:
            self._clock.sleep(wait_seconds)
            found = self._visible(subscription_id)
        return found

    def _visible(self, subscription_id: str) -> list[Delivery]:
        now = self._clock.now()
        with self._lock:
            if subscription_id not in self._queues:
                raise NotFound(f"there is no subscription {subscription_id!r}")
            queue = self._queues[subscription_id]
            visible = [receipt for receipt, each in queue.items() if each.hidden_until <= now]
            for receipt in visible[:BATCH]:
                queue[receipt].hidden_until = now + HIDDEN_SECONDS
            return [Delivery(receipt, queue[receipt].detail) for receipt in visible[:BATCH]]

    def acknowledge(self, subscription_id: str, receipts: Sequence[str]) -> None:
        with self._lock:
            queue = self._queues.get(subscription_id, {})
            for receipt in receipts:
                queue.pop(receipt, None)

    def delete(self, subscription_id: str) -> None:
        with self._lock:
            self._known.pop(subscription_id, None)
            self._queues.pop(subscription_id, None)

    def stale(self, now: float, limit: int) -> list[str]:
        with self._lock:
            return [name for name, each in self._known.items() if each.stale_at <= now][:limit]


def _wants(subscription: Subscription, event: SessionEvent) -> bool:
    return (
        event.session.owner == subscription.owner
        and event.session_id in (subscription.session_ids or (event.session_id,))
        and event.kind in (subscription.kinds or (event.kind,))
    )
