"""FederationTable on DynamoDB, in the state table:

    F#<kind>    / <id>     an entity: its version, and its values as one JSON text
    FN#<name>   / NAME     who bears a unique name
    FL#<list>   / <id>     that an id stands in a list
    FC#<kind>   / NEXT     the last id that was given

Ids are padded, so that their order is that of the sort keys. An entity and its marks change in one
transaction. Names can be made of secrets (hashes of API keys): no message has one in it. Knows no
kind, and no rule about who may change what.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import boto3
from boto3.dynamodb.conditions import Attr, ConditionBase

from ..errors import Unavailable
from ..federation.entities import (
    MarkChange,
    can_be_borne,
    change_marks,
    read_values,
    write_values,
)
from ..ports import Entity, Marks
from ..ports.federation import NO_MARKS
from .rows import Item
from .transactions import (
    CONFLICT_TRIES,
    Write,
    delete,
    pause_seconds,
    put,
    repeat_conflicts,
    transact,
)
from .translate import CLIENT_CONFIG, translated

#: Of one BatchWriteItem, and of one BatchGetItem.
MOST_WRITES, MOST_READS = 25, 100
ID_DIGITS = 20
NEW = Attr("pk").not_exists()
ENTITY = "entity"


class AwsFederationTable:
    def __init__(self, name: str, resource: Any = None) -> None:
        """resource: DynamoDB of boto3; one with this process's own credentials when left out."""
        self._name = name
        resource = resource or boto3.resource("dynamodb", config=CLIENT_CONFIG)
        #: that of a resource converts values
        self._client = resource.meta.client
        repeat_conflicts(self._client)

    def next_id(self, kind: str) -> int:
        """Where an answer was lost, botocore asks again, and a number is skipped."""
        with self._translated():
            answer = self._client.update_item(
                TableName=self._name,
                Key={"pk": f"FC#{kind}", "sk": "NEXT"},
                UpdateExpression="ADD given_id :one",
                ExpressionAttributeValues={":one": 1},
                ReturnValues="UPDATED_NEW",
            )
        return int(answer["Attributes"]["given_id"])

    def _translated(self) -> Any:
        return translated(f"table {self._name}")

    def create(
        self, kind: str, id: int, values: Mapping[str, Any], marks: Marks = NO_MARKS
    ) -> Entity | None:
        text = write_values(kind, id, values)
        writes = {
            ENTITY: put(self._name, _write_entity(kind, id, 1, text), NEW),
            **self._write_marks(id, change_marks(marks, NO_MARKS), NEW),
        }
        return Entity(kind, id, 1, read_values(text)) if self._carry_out(writes, kind, id) else None

    def _write_marks(
        self, id: int, change: MarkChange, may_take: ConditionBase
    ) -> dict[str, Write]:
        """Names that are left begin with `left`, see `_carry_out`."""
        writes: dict[str, Write] = {}
        for number, name in enumerate(change.taken):
            item = {**_name_key(name), "id": id}
            writes[f"taken {number}"] = put(self._name, item, may_take)
        for number, name in enumerate(change.left):
            writes[f"left {number}"] = delete(self._name, _name_key(name), _borne_by(id))
        for number, listed in enumerate(change.joined):
            writes[f"joined {number}"] = put(self._name, _list_key(listed, id))
        for number, listed in enumerate(change.parted):
            writes[f"parted {number}"] = delete(self._name, _list_key(listed, id))
        return writes

    def _carry_out(self, writes: dict[str, Write], kind: str, id: int) -> bool:
        """A name that is to be left and that another bears, or nobody, is left out."""
        while refused := transact(self._client, writes, f"{kind} {id}"):
            if not all(name.startswith("left") for name in refused):
                return False
            writes = {name: write for name, write in writes.items() if name not in refused}
        return True

    def read(self, kind: str, id: int) -> Entity | None:
        if not _can_be_given(id):
            return None
        with self._translated():
            answer = self._client.get_item(
                TableName=self._name, Key=_entity_key(kind, id), ConsistentRead=True
            )
        return _read_entity(answer["Item"]) if "Item" in answer else None

    def read_many(self, kind: str, ids: Sequence[int]) -> list[Entity]:
        items: list[Item] = []

        def get(keys: Mapping[str, Any]) -> Any:
            answer = self._client.batch_get_item(RequestItems=keys)
            items.extend(answer["Responses"].get(self._name, ()))
            return answer.get("UnprocessedKeys")

        for part in _parts([id for id in ids if _can_be_given(id)], MOST_READS):
            keys = [_entity_key(kind, id) for id in part]
            self._repeat(get, {self._name: {"Keys": keys, "ConsistentRead": True}})
        found = {entity.id: entity for entity in map(_read_entity, items)}
        return [found[id] for id in ids if id in found]

    def _repeat(self, send: Callable[[Mapping[str, Any]], Any], batch: Mapping[str, Any]) -> None:
        """Until nothing of a batch is left undone: DynamoDB answers what it had no capacity for."""
        for tries in range(1, CONFLICT_TRIES + 1):
            with self._translated():
                batch = send(batch)
            if not batch:
                return
            time.sleep(pause_seconds(tries))
        raise Unavailable(f"table {self._name}: no capacity for a batch, {CONFLICT_TRIES} times")

    def read_all(self, kind: str) -> list[Entity]:
        pages = self._query("pk = :pk", {":pk": f"F#{kind}"})
        return [_read_entity(item) for page in pages for item in page["Items"]]

    def _query(self, condition: str, values: Item, **request: Any) -> Iterator[dict[str, Any]]:
        """Page by page; the condition is text, for boto3's builder is not made for threads."""
        request |= {
            "TableName": self._name,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": values,
            "ConsistentRead": True,
        }
        while True:
            with self._translated():
                page = self._client.query(**request)
            yield page
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def find(self, name: str) -> int | None:
        if not can_be_borne(name):
            return None
        with self._translated():
            answer = self._client.get_item(
                TableName=self._name, Key=_name_key(name), ConsistentRead=True
            )
        return int(answer["Item"]["id"]) if "Item" in answer else None

    def replace(
        self,
        old: Entity,
        values: Mapping[str, Any],
        added: Marks = NO_MARKS,
        removed: Marks = NO_MARKS,
    ) -> Entity | None:
        kind, id, version = old.kind, old.id, old.version + 1
        text = write_values(kind, id, values)
        change = change_marks(added, removed)
        item = _write_entity(kind, id, version, text)
        writes = {
            ENTITY: put(self._name, item, Attr("version").eq(old.version)),
            **self._write_marks(id, change, NEW | _borne_by(id)),
        }
        done = self._carry_out(writes, kind, id)
        return Entity(kind, id, version, read_values(text)) if done else None

    def delete(self, old: Entity, marks: Marks = NO_MARKS) -> bool:
        key, change = _entity_key(old.kind, old.id), change_marks(NO_MARKS, marks)
        writes = {
            ENTITY: delete(self._name, key, Attr("version").eq(old.version)),
            **self._write_marks(old.id, change, NEW),
        }
        return self._carry_out(writes, old.kind, old.id)

    def put_in(self, listed: str, ids: Sequence[int]) -> None:
        self._write_many(ids, lambda id: {"PutRequest": {"Item": _list_key(listed, id)}})

    def take_out(self, listed: str, ids: Sequence[int]) -> None:
        self._write_many(ids, lambda id: {"DeleteRequest": {"Key": _list_key(listed, id)}})

    def _write_many(self, ids: Sequence[int], write: Callable[[int], Write]) -> None:
        def send(writes: Mapping[str, Any]) -> Any:
            return self._client.batch_write_item(RequestItems=writes).get("UnprocessedItems")

        for part in _parts(ids, MOST_WRITES):
            self._repeat(send, {self._name: [write(id) for id in part]})

    def list_ids(
        self, listed: str, *, after: int = 0, limit: int | None = None, newest_first: bool = False
    ) -> list[int]:
        condition, values = "pk = :pk", {":pk": f"FL#{listed}"}
        if after > 0:
            condition += " AND sk < :after" if newest_first else " AND sk > :after"
            values[":after"] = _sort_key(after)
        request: Item = {"ScanIndexForward": not newest_first}
        if limit is not None:
            request["Limit"] = max(limit, 1)
        found: list[int] = []
        for page in self._query(condition, values, **request):
            found += [int(item["sk"]) for item in page["Items"]]
            if limit is not None and len(found) >= limit:
                break
        return found[:limit]

    def count(self, listed: str) -> int:
        pages = self._query("pk = :pk", {":pk": f"FL#{listed}"}, Select="COUNT")
        return sum(int(page["Count"]) for page in pages)


def _can_be_given(id: int) -> bool:
    """Of any other nothing is there; of a longer one the table would not even take the key."""
    return id >= 0 and len(_sort_key(id)) == ID_DIGITS


def _sort_key(id: int) -> str:
    return f"{id:0{ID_DIGITS}d}"


def _entity_key(kind: str, id: int) -> Item:
    return {"pk": f"F#{kind}", "sk": _sort_key(id)}


def _name_key(name: str) -> Item:
    return {"pk": f"FN#{name}", "sk": "NAME"}


def _list_key(listed: str, id: int) -> Item:
    return {"pk": f"FL#{listed}", "sk": _sort_key(id)}


def _borne_by(id: int) -> ConditionBase:
    return Attr("id").eq(id)


def _write_entity(kind: str, id: int, version: int, text: str) -> Item:
    return {**_entity_key(kind, id), "version": version, "values": text}


def _read_entity(item: Item) -> Entity:
    kind, version = str(item["pk"]).removeprefix("F#"), int(item["version"])
    return Entity(kind, int(item["sk"]), version, read_values(item["values"]))


def _parts(ids: Sequence[int], size: int) -> Iterator[list[int]]:
    """Each id once, for a batch refuses to name an item twice."""
    once = list(dict.fromkeys(ids))
    for first in range(0, len(once), size):
        yield once[first : first + size]
