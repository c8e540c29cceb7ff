"""Queues of events for those who asked for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..states import EventKind


@dataclass(frozen=True, slots=True)
class Subscription:
    """Somebody's wish for the events of an owner. Nothing in the filters means everything."""

    subscription_id: str
    owner: str
    session_ids: tuple[str, ...]
    kinds: tuple[EventKind, ...]
    created_at: float
    stale_at: float  #: it may be removed, unless it is used before


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event that waits in a subscription until its receipt is acknowledged."""

    receipt: str
    detail: dict[str, Any]  #: as the bus carries it: contract.BusEvent


class Subscriptions(Protocol):
    """Queues of events, each for one owner. Delivers at least once, in any order."""

    def create(self, subscription: Subscription) -> Subscription:
        """Store it unless the id is taken; answers what is stored, and keeps its events from now.

        Raises QuotaExceeded if the bus takes no more of them, Conflict if it was just deleted.
        """

    def find(self, subscription_id: str) -> Subscription | None: ...

    def count(self, owner: str) -> int:
        """How many the owner has (eventually consistent)."""

    def keep(self, subscription_id: str, stale_at: float) -> None:
        """It is in use: put its removal off. No error if it is gone."""

    def receive(self, subscription_id: str, wait_seconds: float) -> list[Delivery]:
        """Up to 10 events; waits for the first. Each comes again if it is not acknowledged.

        Raises NotFound if it is gone.
        """

    def acknowledge(self, subscription_id: str, receipts: Sequence[str]) -> None:
        """These are done; a receipt that is unknown or too old is no error."""

    def delete(self, subscription_id: str) -> None:
        """Remove all of it. Repeating it is no error."""

    def stale(self, now: float, limit: int) -> list[str]:
        """Ids of those whose time is over (eventually consistent)."""
