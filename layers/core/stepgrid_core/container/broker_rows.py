"""Rows of a session as a container reaches them: by asking the broker."""

import base64
from typing import Any

from ..errors import REQUEST_ERRORS, InvalidRequest, Unavailable
from ..invocation import SessionFacts
from ..ports import Broker, RowSwap, Swap
from ..records import Chunk, Session, Shard


class Desk:
    """The broker, asked in the name of one container."""

    def __init__(self, broker: Broker, who: dict[str, Any]) -> None:
        """who: session_id, ticket, container, dispatch, started_at."""
        self._broker = broker
        self._who = who

    def ask(self, action: str, **question: Any) -> dict[str, Any]:
        """Raises Unavailable, NotFound for a session that is gone, InvalidRequest for a mistake."""
        answer = self._broker.ask({**self._who, "action": action, **question})
        error = answer.get("error")
        if error is None:
            return answer
        if error["code"] == "unavailable":
            raise Unavailable(error["message"])
        raise REQUEST_ERRORS.get(error["code"], InvalidRequest)(error["message"])


class BrokerRows:
    """See ports.Rows; what follows from a change, the broker does with the change."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._slots: dict[int, int] = {}
        self._blobs: dict[str, bytes] = {}

    def hold(self, shard: Shard, slot: int) -> None:
        """This is the row that the next looks are about: a look renews its lease."""
        self._slots = {shard.number: slot}

    def read(self, session_id: str, number: int) -> Shard | None:
        answer = self._desk.ask("look", shard=number, slot=self._slots[number])
        return Shard.read(answer["shard"]) if answer["shard"] else None

    def swap(
        self,
        shard: Shard,
        slot: int,
        new: Chunk,
        inline: bytes | None = None,
        claimed_at: float | None = None,
    ) -> Swap:
        answer = self._desk.ask(
            "swap",
            shard=shard.number,
            slot=slot,
            old=shard.chunks[slot].as_dict(),
            new=new.as_dict(),
        )
        return Swap(answer["won"], Shard.read(answer["shard"]))

    def read_blob(self, session_id: str, blob_id: str) -> bytes:
        """Asked for once: the chunks of a session share it, and a container has one session."""
        if blob_id not in self._blobs:
            self._blobs[blob_id] = base64.b64decode(self._desk.ask("blob")["blob"])
        return self._blobs[blob_id]

    def changed(self, facts: SessionFacts, shard: Shard) -> None:
        """The broker has seen to it."""

    def committed(self, facts: SessionFacts, before: Chunk, shard: Shard, slot: int) -> None:
        """The broker has seen to it."""

    def commit_and_close(self, session: Session, commit: RowSwap) -> bool:
        return False
