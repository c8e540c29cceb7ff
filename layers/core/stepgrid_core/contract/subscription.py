"""News of sessions, and how to ask for it."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from ..names import CLIENT_TOKEN
from ..states import EventKind
from .model import CONTRACT_VERSION, Request, Response
from .session import MAX_WAIT_SECONDS, SessionDescription

#: sessions that one subscription may name: an event pattern has at most 2,048 characters
#: (EventBridge quotas), and an id with its quotes takes 39 of them
MAX_SUBSCRIBED_SESSIONS = 20
#: events in one answer; an SQS batch has no more
MAX_BATCH = 10


class SessionEvent(SessionDescription):
    """News of a session, as a subscription hands it out: the session as it was at that moment.

    It may come twice (drop what has a known `event_id`), late (`sequence` rises within a session)
    or never (the session itself is the truth).
    """

    contract_version: str = CONTRACT_VERSION
    event_id: str = Field(description="the same for every repeat of the same event")
    kind: EventKind
    sequence: int = Field(ge=0, le=100, description="of the session's events; 100: it has ended")
    at: float = Field(description="epoch seconds")
    percent: int | None = Field(
        None, ge=1, le=99, description="of progressed: at least so many of its tasks are settled"
    )


class BusEvent(SessionEvent):
    """The `detail` of an event on the bus. Its `source` is stepgrid, its detail-type `Session` and
    the kind, and its only resource the session's id.
    """

    owner: str = Field(description="the verified identity that the session belongs to")


class SubscribeRequest(Request):
    """POST /v1/subscriptions: which of the caller's own events to keep for it from now on."""

    client_token: str = Field(
        pattern=CLIENT_TOKEN, description="the same token and filters give the same subscription"
    )
    session_ids: list[Annotated[str, StringConstraints(max_length=128)]] | None = Field(
        None, min_length=1, max_length=MAX_SUBSCRIBED_SESSIONS, description="left out: all sessions"
    )
    kinds: list[EventKind] | None = Field(None, min_length=1, description="left out: all kinds")


class Subscription(Response):
    subscription_id: str
    idle_seconds: int = Field(description="it is removed if nobody asks for events for so long")


class ReceiveRequest(Request):
    """POST /v1/subscriptions/{subscription_id}/events: the next events, once there are any.

    Events that are not acknowledged come again.
    """

    wait_seconds: float = Field(0.0, ge=0, le=MAX_WAIT_SECONDS)
    ack: list[Annotated[str, StringConstraints(min_length=1, max_length=2048)]] = Field(
        default_factory=list, max_length=MAX_BATCH, description="of an earlier answer"
    )


class EventBatch(Response):
    events: list[SessionEvent]
    ack: list[str] = Field(description="send it with the next request, when these are done")


class UnsubscribeResponse(Response):
    subscription_id: str
    deleted: Literal[True] = True
