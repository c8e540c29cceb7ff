"""Where connections of Socket.IO are kept, because no process lives as long as they do."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

#: What waits for a client that does not come is bounded: it has to start anew then.
OUTBOX_ENTRIES = 500
OUTBOX_BYTES = 200_000
#: Ids of the events that a connection was told last; a repeat of one of them is dropped.
TOLD_IDS = 32


@dataclass(frozen=True, slots=True)
class Queued:
    """A packet on its way to a client."""

    text: str
    room: str = ""  #: through which it came; empty: it is for this connection alone
    event_id: str = ""  #: the same for each repeat; empty: it never comes twice


@dataclass(frozen=True, slots=True)
class Socket:
    """One connection. It bears no token, only what one proved when it was made."""

    sid: str  #: a secret: whoever knows it is the client
    version: int  #: of Engine.IO
    bearer: str  #: kind and id of its principal, "node:3"; empty: nobody is proved to be there
    bearer_ends_at: float  #: when the token ends that proved it
    refusal: str  #: the event that tells why it has no bearer
    pinged_at: float
    expires_at: float  #: unless it is heard of before
    namespaces: frozenset[str] = frozenset()
    rooms: frozenset[str] = frozenset()
    outbox: tuple[Queued, ...] = ()
    taken: int = 0  #: how many left the outbox so far
    told: tuple[str, ...] = ()  #: event ids, the newest last


class Append(StrEnum):
    DONE = "done"  #: also if it was there already
    GONE = "gone"
    FULL = "full"


class SocketTable(Protocol):
    """Reads are strongly consistent."""

    def open(self, socket: Socket) -> None:
        """Keep a new connection, with what is in its outbox; it is in no room."""

    def read(self, sid: str) -> Socket | None:
        """In one read. It may have expired."""

    def prove(self, socket: Socket, bearer: str, ends_at: float, refusal: str = "") -> bool:
        """Change who it is. False if that has changed already, or it is gone."""

    def keep(self, sid: str, pinged_at: float, expires_at: float) -> bool:
        """It was heard of. False if it is gone."""

    def append(self, sid: str, queued: Sequence[Queued], now: float) -> Append:
        """Put behind what is in the outbox, all or nothing, unless it is gone, expired or full.

        Of several entries, none may have an event id.
        """

    def take(self, socket: Socket, count: int) -> bool:
        """Remove the first `count` of the outbox. False if others took any of them, or it is gone.

        Only who took them may hand them out.
        """

    def connect(self, sid: str, namespace: str) -> bool:
        """False if it is gone."""

    def disconnect(self, sid: str, namespace: str) -> None: ...

    def enter(self, sid: str, room: str, expires_at: float) -> bool:
        """False if it is gone."""

    def leave(self, sid: str, room: str) -> None:
        """Also of a connection that is gone."""

    def members(self, room: str) -> list[str]:
        """Some may be gone."""

    def close(self, socket: Socket) -> bool:
        """Forget it, and that it was in rooms. False if it was gone already."""


class NoSockets:
    """Of a federation without them: nobody is ever connected."""

    def open(self, socket: Socket) -> None:
        return None

    def read(self, sid: str) -> Socket | None:
        return None

    def prove(self, socket: Socket, bearer: str, ends_at: float, refusal: str = "") -> bool:
        return False

    def keep(self, sid: str, pinged_at: float, expires_at: float) -> bool:
        return False

    def append(self, sid: str, queued: Sequence[Queued], now: float) -> Append:
        return Append.GONE

    def take(self, socket: Socket, count: int) -> bool:
        return False

    def connect(self, sid: str, namespace: str) -> bool:
        return False

    def disconnect(self, sid: str, namespace: str) -> None:
        return None

    def enter(self, sid: str, room: str, expires_at: float) -> bool:
        return False

    def leave(self, sid: str, room: str) -> None:
        return None

    def members(self, room: str) -> list[str]:
        return []

    def close(self, socket: Socket) -> bool:
        return False
