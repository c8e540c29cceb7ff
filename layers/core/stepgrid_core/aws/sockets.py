"""SocketTable in the state table: one item for each connection, and one for each of its rooms.

FS#<sid>   / SOCKET    who it is, and its outbox: texts "<event id> <room> <packet>"
FR#<room>  / <sid>     that it is in the room

Every change is one conditional UpdateItem. What a client takes is removed by its place in the list,
so that whoever appends meanwhile is in nobody's way.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from secrets import token_hex
from typing import Any

from botocore.exceptions import ClientError

from ..ports.sockets import OUTBOX_BYTES, OUTBOX_ENTRIES, TOLD_IDS, Append, Queued, Socket
from .items import typed, untyped
from .rows import Item
from .translate import code_of, make_client, translated

#: An item is read as gone when its time is over; the table removes it some time later.
LINGER_SECONDS = 3_600
EXISTS = "attribute_exists(pk)"


class AwsSockets:
    def __init__(self, table: str, client: Any = None) -> None:
        self._table = table
        self._client = client or make_client("dynamodb")

    def open(self, socket: Socket) -> None:
        with translated(f"table {self._table}"):
            self._client.put_item(TableName=self._table, Item=typed(_write(socket)))

    def read(self, sid: str) -> Socket | None:
        with translated(f"table {self._table}"):
            answer = self._client.get_item(
                TableName=self._table, Key=typed(_key(sid)), ConsistentRead=True
            )
        return _read(untyped(answer["Item"])) if "Item" in answer else None

    def prove(self, socket: Socket, bearer: str, ends_at: float, refusal: str = "") -> bool:
        refused = self._update(
            _key(socket.sid),
            "SET bearer = :new, bearer_ends_at = :ends, refusal = :refusal",
            "bearer = :old",
            {
                ":new": bearer,
                ":ends": _seconds(ends_at),
                ":refusal": refusal,
                ":old": socket.bearer,
            },
        )
        return refused is None

    def keep(self, sid: str, pinged_at: float, expires_at: float) -> bool:
        values = {
            ":pinged": _seconds(pinged_at),
            ":ends": _seconds(expires_at),
            ":removed": int(expires_at) + LINGER_SECONDS,
        }
        change = "SET pinged_at = :pinged, ends_at = :ends, expires_at = :removed"
        return self._update(_key(sid), change, EXISTS, values) is None

    def append(self, sid: str, queued: Sequence[Queued], now: float) -> Append:
        entries = [_entry(each) for each in queued]
        size = sum(len(each.text) for each in queued)
        known = [each.event_id for each in queued if each.event_id]
        values = {
            ":entries": entries,
            ":size": size,
            ":now": _seconds(now),
            ":room": OUTBOX_BYTES - size,
            ":places": OUTBOX_ENTRIES - len(entries),
        }
        condition = "ends_at > :now AND outbox_bytes <= :room AND size(outbox) <= :places"
        if known:
            values |= {":id": known[0], ":entry": entries[0]}
            condition += " AND NOT contains(told, :id) AND NOT contains(outbox, :entry)"
        change = "SET outbox = list_append(outbox, :entries) ADD outbox_bytes :size"
        refused = self._update(_key(sid), change, condition, values)
        return Append.DONE if refused is None else _reason(refused, queued, now)

    def take(self, socket: Socket, count: int) -> bool:
        """Each try bears a mark: a refusal may be the echo of our own write."""
        gone = socket.outbox[:count]
        ids = [each.event_id for each in gone if each.event_id]
        values = {
            ":old": socket.taken,
            ":new": socket.taken + count,
            ":size": -sum(len(each.text) for each in gone),
            ":told": [*socket.told, *ids][-TOLD_IDS:],
            ":taker": (taker := token_hex(8)),
        }
        # From behind: ministack 1.5.33 removes one after the other, and those behind move up.
        places = ", ".join(f"outbox[{place}]" for place in reversed(range(count)))
        change = (
            f"SET taken = :new, told = :told, taker = :taker REMOVE {places} ADD outbox_bytes :size"
        )
        refused = self._update(_key(socket.sid), change, "taken = :old", values)
        return refused is None or refused.get("taker") == taker

    def connect(self, sid: str, namespace: str) -> bool:
        return self._change_set(sid, "ADD namespaces", namespace)

    def disconnect(self, sid: str, namespace: str) -> None:
        self._change_set(sid, "DELETE namespaces", namespace)

    def enter(self, sid: str, room: str, expires_at: float) -> bool:
        """The connection first: whoever closes it removes what it finds there."""
        if not self._change_set(sid, "ADD rooms", room):
            return False
        item = {**_room_key(room, sid), "expires_at": int(expires_at) + LINGER_SECONDS}
        with translated(f"table {self._table}"):
            self._client.put_item(TableName=self._table, Item=typed(item))
        return True

    def leave(self, sid: str, room: str) -> None:
        self._forget(sid, [room])
        self._change_set(sid, "DELETE rooms", room)

    def members(self, room: str) -> list[str]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :room",
            ExpressionAttributeValues=typed({":room": _room_key(room, "")["pk"]}),
            ProjectionExpression="sk",
            ConsistentRead=True,
        )
        with translated(f"table {self._table}"):
            return [item["sk"]["S"] for page in pages for item in page["Items"]]

    def close(self, socket: Socket) -> bool:
        with translated(f"table {self._table}"):
            answer = self._client.delete_item(
                TableName=self._table, Key=typed(_key(socket.sid)), ReturnValues="ALL_OLD"
            )
        old = untyped(answer.get("Attributes", {}))
        self._forget(socket.sid, old.get("rooms", ()))
        return bool(old)

    def _forget(self, sid: str, rooms: Iterable[str]) -> None:
        for room in rooms:
            with translated(f"table {self._table}"):
                self._client.delete_item(TableName=self._table, Key=typed(_room_key(room, sid)))

    def _change_set(self, sid: str, verb: str, member: str) -> bool:
        """`verb` adds to a set, or deletes from it."""
        return self._update(_key(sid), f"{verb} :some", EXISTS, {":some": {member}}) is None

    def _update(self, key: Item, change: str, condition: str, values: Item) -> Item | None:
        """None: done. Else the item that refused; empty: there is none."""
        try:
            with translated(f"table {self._table}"):
                self._client.update_item(
                    TableName=self._table,
                    Key=typed(key),
                    UpdateExpression=change,
                    ConditionExpression=condition,
                    ExpressionAttributeValues=typed(values),
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
        except ClientError as error:
            if code_of(error) != "ConditionalCheckFailedException":
                raise
            return untyped(error.response.get("Item", {}))  # type: ignore[arg-type]
        return None


def _reason(refused: Item, queued: Sequence[Queued], now: float) -> Append:
    """Why nothing was appended to this item."""
    if not refused or refused["ends_at"] <= now:
        return Append.GONE
    kept = _read(refused)
    if any(each.event_id in kept.told or each in kept.outbox for each in queued if each.event_id):
        return Append.DONE
    return Append.FULL


def _key(sid: str) -> Item:
    return {"pk": f"FS#{sid}", "sk": "SOCKET"}


def _room_key(room: str, sid: str) -> Item:
    return {"pk": f"FR#{room}", "sk": sid}


def _seconds(at: float) -> Decimal:
    return Decimal(str(round(at, 3)))


def _entry(queued: Queued) -> str:
    return f"{queued.event_id} {queued.room} {queued.text}"


def _write(socket: Socket) -> Item:
    return {
        **_key(socket.sid),
        "version": socket.version,
        "bearer": socket.bearer,
        "bearer_ends_at": _seconds(socket.bearer_ends_at),
        "refusal": socket.refusal,
        "pinged_at": _seconds(socket.pinged_at),
        "ends_at": _seconds(socket.expires_at),
        "expires_at": int(socket.expires_at) + LINGER_SECONDS,
        "outbox": [_entry(each) for each in socket.outbox],
        "outbox_bytes": sum(len(each.text) for each in socket.outbox),
        "taken": socket.taken,
        "told": list(socket.told),
    }


def _read(item: Item) -> Socket:
    queued = [entry.split(" ", 2) for entry in item["outbox"]]
    return Socket(
        sid=item["pk"].removeprefix("FS#"),
        version=int(item["version"]),
        bearer=item["bearer"],
        bearer_ends_at=float(item["bearer_ends_at"]),
        refusal=item["refusal"],
        pinged_at=float(item["pinged_at"]),
        expires_at=float(item["ends_at"]),
        namespaces=frozenset(item.get("namespaces", ())),
        rooms=frozenset(item.get("rooms", ())),
        outbox=tuple(Queued(text, room, event_id) for event_id, room, text in queued),
        taken=int(item["taken"]),
        told=tuple(item["told"]),
    )
