"""Subscriptions: how a client gets its own events without any right on the bus or a queue.

    subscribe --> receive (long-poll) --> receive with the last answer's ack --> ... --> unsubscribe

One that nobody uses for an hour is removed by the sweeper. Events are hints: what matters is found
in the sessions themselves, and a client that was told nothing looks there.
"""

from .contract import (
    EventBatch,
    ReceiveRequest,
    SessionEvent,
    SubscribeRequest,
    UnsubscribeResponse,
)
from .contract import Subscription as SubscriptionAnswer
from .description import is_member
from .errors import Conflict, NotFound, QuotaExceeded
from .names import SUBSCRIPTION_ID, subscription_id
from .ports import Delivery, Subscription
from .telemetry import logger
from .wiring import Grid

#: Unused for so long, a subscription is removed. Its queue keeps events no longer either.
IDLE_SECONDS = 3600
#: A poll puts the removal off only so often, so that most polls write nothing.
KEEP_SECONDS = 300.0
STALE_LIMIT = 50


def subscribe(grid: Grid, owner: str, request: SubscribeRequest) -> SubscriptionAnswer:
    """Keep the owner's events from now on.

    Raises QuotaExceeded for one too many, Conflict for a token that was used with other filters.
    """
    now = grid.clock.now()
    wanted = Subscription(
        subscription_id=subscription_id(owner, request.client_token),
        owner=owner,
        session_ids=tuple(dict.fromkeys(request.session_ids or ())),
        kinds=tuple(dict.fromkeys(request.kinds or ())),
        created_at=now,
        stale_at=now + IDLE_SECONDS,
    )
    most = grid.settings.max_subscriptions
    known = grid.subscriptions.find(wanted.subscription_id)
    if known is None and grid.subscriptions.count(owner) >= most:
        raise QuotaExceeded(
            f"you have {most} subscriptions, as many as this grid allows; close one, or wait an "
            "hour for those that nobody uses"
        )
    if known is not None and _filters(known) != _filters(wanted):
        raise Conflict(
            f"client_token {request.client_token!r} was used for another subscription; "
            "use a new token"
        )
    stored = grid.subscriptions.create(wanted)
    logger.info("subscription created", subscription_id=stored.subscription_id)
    return SubscriptionAnswer(subscription_id=stored.subscription_id, idle_seconds=IDLE_SECONDS)


def _filters(subscription: Subscription) -> tuple[tuple[str, ...], ...]:
    return subscription.session_ids, subscription.kinds


def receive(grid: Grid, owner: str, name: str, request: ReceiveRequest) -> EventBatch:
    """The next events of a subscription. Raises NotFound if it is gone or another's."""
    subscription = _own(grid, owner, name)
    now = grid.clock.now()
    if subscription.stale_at - now < IDLE_SECONDS - KEEP_SECONDS:
        grid.subscriptions.keep(name, now + IDLE_SECONDS)
    if request.ack:
        grid.subscriptions.acknowledge(name, request.ack)
    deliveries = grid.subscriptions.receive(name, request.wait_seconds)
    return EventBatch(
        events=[
            _event(each)
            for each in deliveries
            if _is_wanted(subscription, each) and _is_still_seen(grid, each)
        ],
        ack=[each.receipt for each in deliveries],
    )


def _event(delivery: Delivery) -> SessionEvent:
    """Without the owner: who asks knows who it is."""
    return SessionEvent.model_validate(delivery.detail)


def _is_wanted(subscription: Subscription, delivery: Delivery) -> bool:
    """The bus has filtered already; that it did so right is not what privacy may hang on."""
    detail = delivery.detail
    if detail.get("owner") != subscription.owner:
        logger.error("foreign event held back", subscription_id=subscription.subscription_id)
        return False
    return _fits(subscription.session_ids, detail.get("session_id")) and _fits(
        subscription.kinds, detail.get("kind")
    )


def _is_still_seen(grid: Grid, delivery: Delivery) -> bool:
    """Who left a collaboration is told nothing of its tasks, not even that one has ended."""
    if not delivery.detail.get("federation"):
        return True
    session = grid.table.read_session(str(delivery.detail.get("session_id")))
    return session is not None and is_member(grid, session)


def _fits(wanted: tuple[str, ...], value: object) -> bool:
    return not wanted or value in wanted


def unsubscribe(grid: Grid, owner: str, name: str) -> UnsubscribeResponse:
    """Remove it and what is in it. Raises NotFound if it is gone or another's."""
    _own(grid, owner, name)
    grid.subscriptions.delete(name)
    logger.info("subscription deleted", subscription_id=name)
    return UnsubscribeResponse(subscription_id=name)


def _own(grid: Grid, owner: str, name: str) -> Subscription:
    """In the same words for one that is not there and one of somebody else."""
    found = grid.subscriptions.find(name) if SUBSCRIPTION_ID.fullmatch(name) else None
    if found is None or found.owner != owner:
        raise NotFound(
            f"there is no subscription {name!r} of yours; unused for an hour, it is removed: "
            "make another one"
        )
    return found


def remove_stale(grid: Grid) -> int:
    """Remove what nobody uses any more; answers how many. One that resists is tried again."""
    stale = grid.subscriptions.stale(grid.clock.now(), STALE_LIMIT)
    for name in stale:
        try:
            grid.subscriptions.delete(name)
        except Exception:
            logger.exception("subscription could not be removed", subscription_id=name)
    return len(stale)
