"""StateTable on DynamoDB: every write of a row is one conditional UpdateItem.

A refused write gets the item as it is (ReturnValuesOnConditionCheckFailure), so "was it me?" needs
no further read. Uses the resource client for its types; knows no rule about states.

Conditions of more than one attribute that several threads may write at once are built here: all
threads share the resource's own builder, and it would mix their placeholders up.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from boto3.dynamodb.conditions import Attr, ConditionBase, ConditionExpressionBuilder, Key
from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import ClientError

from ..errors import NotFound
from ..listing import check_cursor, sort_key
from ..ports import Page, Swap
from ..records import Chunk, ContainerUse, Session, Shard
from ..states import SessionState
from . import rows
from .job_table import JobTable
from .rows import SESSION, Item, decimal, session_key, shard_key
from .session_table import OPEN
from .transactions import key_condition
from .translate import code_of, translated

WRITERS = 16
#: Of 1 MB each; a list that finds less in them answers what it has, and where to go on.
LIST_QUERIES = 8


class AwsStateTable(JobTable):
    """Sessions and budgets by SessionTable, jobs by JobTable; blobs, shards, latch, lists here."""

    def _create(self, item: Item) -> bool:
        """Put unless the key is taken."""
        try:
            with translated(f"table {self._name}"):
                self._table.put_item(Item=item, ConditionExpression="attribute_not_exists(pk)")
        except ClientError as error:
            if code_of(error) != "ConditionalCheckFailedException":
                raise
            return False
        return True

    def read_blob(self, session_id: str, blob_id: str) -> bytes:
        item = self._get(session_key(session_id, f"BLOB#{blob_id}"))
        if item is None:
            raise NotFound(f"session {session_id} has no stored input")
        return bytes(item["blob"])

    def create_shards(self, session: Session, shards: Sequence[Shard]) -> None:
        items = [rows.write_shard(shard, session.expires_at) for shard in shards]
        if len(items) == 1:
            self._create(items[0])
            return
        with ThreadPoolExecutor(min(WRITERS, len(items))) as pool:
            list(pool.map(self._create, items))

    def read_shard(self, session_id: str, number: int) -> Shard | None:
        item = self._get(shard_key(session_id, number))
        return None if item is None else rows.read_shard(item)

    def read_session_and_shards(
        self, session_id: str, limit: int
    ) -> tuple[Session | None, list[Shard]]:
        pk, last = shard_key(session_id, limit - 1).values()
        items = self._query(
            Key("pk").eq(pk) & Key("sk").between(SESSION, last),
            ConsistentRead=True,
        )
        if not items or items[0]["sk"] != SESSION:
            return None, []
        return rows.read_session(items[0]), [rows.read_shard(item) for item in items[1:]]

    def read_shards(self, session_id: str, first: int = 0, limit: int | None = None) -> list[Shard]:
        last = 99_999 if limit is None else first + limit - 1
        pk, lowest = shard_key(session_id, first).values()
        highest = shard_key(session_id, last)["sk"]
        items = self._query(
            Key("pk").eq(pk) & Key("sk").between(lowest, highest),
            ConsistentRead=True,
        )
        return [rows.read_shard(item) for item in items]

    def swap_chunk(
        self,
        shard: Shard,
        slot: int,
        new: Chunk,
        inline: bytes | None = None,
        claimed_at: float | None = None,
    ) -> Swap:
        values = {f"c{slot}": rows.write_chunk(new)}
        extra = {} if inline is None else {f"r{slot}": inline}
        old = {f"c{slot}": rows.write_chunk(shard.chunks[slot])}
        once = {} if claimed_at is None else {rows.FIRST_CLAIM: decimal(round(claimed_at, 3))}
        return self._swap(shard, old, values, extra, once)

    def swap_shard(self, old: Shard, new: Shard) -> Swap:
        return self._swap(old, _row_texts(old), _row_texts(new), {})

    def _swap(
        self, shard: Shard, old: Item, new: Item, extra: Item, once: Item | None = None
    ) -> Swap:
        condition: ConditionBase | None = None
        for name, row in old.items():
            same = Attr(name).eq(row)
            condition = same if condition is None else condition & same
        key = shard_key(shard.session_id, shard.number)
        item = self._update(key, {**new, **extra}, condition, once=once)
        if not isinstance(item, _Refused):
            return Swap(True, rows.read_shard(item))
        if item.stored is None:
            raise NotFound(f"session {shard.session_id} has no shard {shard.number}")
        won = all(item.stored[name] == row for name, row in new.items())
        return Swap(won, rows.read_shard(item.stored))

    def _update(
        self,
        key: Item,
        values: Item,
        condition: ConditionBase | None,
        remove: str = "",
        once: Item | None = None,
    ) -> "Item | _Refused":
        """Set attributes under a condition, those in `once` only if they are not there yet.

        Answers the new item, or the one that refused.
        """
        kept = once or {}
        values = {**values, **kept}
        names = {f"#{n}": name for n, name in enumerate(values)}
        sets = ", ".join(
            f"#{n} = if_not_exists(#{n}, :{n})" if name in kept else f"#{n} = :{n}"
            for n, name in enumerate(values)
        )
        request: dict[str, Any] = {
            "Key": key,
            "UpdateExpression": f"SET {sets}" + (f" REMOVE {remove}" if remove else ""),
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": {f":{n}": v for n, v in enumerate(values.values())},
            "ReturnValues": "ALL_NEW",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if condition is not None:
            built = ConditionExpressionBuilder().build_expression(condition)
            request["ConditionExpression"] = built.condition_expression
            names.update(built.attribute_name_placeholders)
            request["ExpressionAttributeValues"].update(built.attribute_value_placeholders)
        try:
            with translated(f"table {self._name}"):
                return dict(self._table.update_item(**request)["Attributes"])
        except ClientError as error:
            if code_of(error) != "ConditionalCheckFailedException":
                raise
            return _Refused(_deserialised(error.response.get("Item")))

    def latch(self, session_id: str, shard: int, expires_at: int) -> int:
        with translated(f"table {self._name}"):
            answer = self._table.update_item(
                Key=session_key(session_id, "LATCH"),
                UpdateExpression="ADD shards :shard SET expires_at = :at",
                ExpressionAttributeValues={":shard": {shard}, ":at": expires_at},
                ReturnValues="ALL_NEW",
            )
        shards: set[Any] = answer["Attributes"]["shards"]  # type: ignore[assignment]
        return len(shards)

    def mark_dispatched(self, session_id: str, dispatch: int, now: float, due_at: float) -> bool:
        values = {"dispatches": dispatch, "dispatched_at": decimal(now), "due_at": decimal(due_at)}
        may_run = Attr("paused").ne(True) & Attr("waiting").ne(True) & Attr("blocked").ne(True)
        condition = OPEN & Attr("dispatches").eq(dispatch - 1) & may_run
        item = self._update(session_key(session_id), values, condition)
        return not isinstance(item, _Refused)

    def mark_failing(self, session_id: str, reason: str, due_at: float) -> None:
        values = {"reason": reason, "due_at": decimal(due_at)}
        first = Attr("blocked").eq(True) & Attr("reason").not_exists()
        self._update(session_key(session_id), values, OPEN & first)

    def list_dependents(self, session_id: str, after: str | None, limit: int) -> list[str]:
        pk, last = session_key(session_id, "DEP#~").values()
        first = f"DEP#{after}\0" if after is not None else "DEP#"
        with translated(f"table {self._name}"):
            page = self._table.query(
                **key_condition(Key("pk").eq(pk) & Key("sk").between(first, last)),
                ConsistentRead=True,
                Limit=limit,
            )
        return [str(item["sk"]).removeprefix("DEP#") for item in page["Items"]]

    def mark_cancelling(self, session_id: str, due_at: float) -> None:
        values = {"cancelling": True, "due_at": decimal(due_at)}
        self._update(session_key(session_id), values, OPEN)

    def raise_progress(self, session_id: str, percent: int) -> Session | None:
        lower = Attr("progress").not_exists() | Attr("progress").lt(percent)
        item = self._update(session_key(session_id), {"progress": percent}, OPEN & lower)
        return None if isinstance(item, _Refused) else rows.read_session(item)

    def postpone(self, session_id: str, due_at: float | None) -> None:
        if due_at is not None:
            due = Attr("due_key").exists()
            self._update(session_key(session_id), {"due_at": decimal(due_at)}, due)
            return
        try:
            with translated(f"table {self._name}"):
                self._table.update_item(
                    Key=session_key(session_id),
                    UpdateExpression="REMOVE due_key, due_at",
                    ConditionExpression=Attr("pk").exists(),
                )
        except ClientError as error:
            if code_of(error) != "ConditionalCheckFailedException":
                raise

    def due_sessions(self, now: float, limit: int) -> list[str]:
        found: list[Item] = []
        for partition in range(rows.DUE_PARTITIONS):
            with translated(f"table {self._name}"):
                page = self._table.query(
                    IndexName="by-due",
                    **key_condition(
                        Key("due_key").eq(f"DUE#{partition}") & Key("due_at").lte(decimal(now))
                    ),
                    Limit=limit,
                )
            found.extend(page["Items"])
        found.sort(key=lambda item: item["due_at"])
        return [item["pk"].removeprefix("S#") for item in found[:limit]]

    def list_sessions(
        self, owner: str, state: SessionState | None, cursor: str | None, limit: int
    ) -> Page[Session]:
        request: dict[str, Any] = {
            "IndexName": "by-owner",
            "KeyConditionExpression": Key("owner_key").eq(f"O#{owner}"),
            "ScanIndexForward": False,
        }
        if cursor is not None:
            request["ExclusiveStartKey"] = {
                **session_key(check_cursor(cursor)[18:]),
                "owner_key": f"O#{owner}",
                "owner_sort": cursor,
            }
        if state is None:
            request["Limit"] = limit + 1
        else:
            request["FilterExpression"] = _state_filter(state)
        found: list[Session] = []
        for _ in range(LIST_QUERIES):
            with translated(f"table {self._name}"):
                page = self._table.query(**request)
            found.extend(rows.read_session(item) for item in page["Items"])
            if len(found) > limit:
                return Page(tuple(found[:limit]), sort_key(found[limit - 1]))
            if "LastEvaluatedKey" not in page:
                return Page(tuple(found), None)
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
        return Page(tuple(found), str(request["ExclusiveStartKey"]["owner_sort"]))

    def note_container(self, session: Session, use: ContainerUse) -> None:
        with translated(f"table {self._name}"):
            self._table.put_item(Item=rows.write_container(session, use))

    def read_containers(self, session_id: str) -> list[ContainerUse]:
        pk, first = rows.container_key(session_id, "").values()
        items = self._query(
            Key("pk").eq(pk) & Key("sk").begins_with(first),
            ConsistentRead=True,
        )
        return [rows.read_container(item) for item in items]

    def delete_session(self, session: Session) -> None:
        items = self._query(
            Key("pk").eq(session_key(session.session_id)["pk"]),
            ProjectionExpression="pk, sk",
        )
        with translated(f"table {self._name}"), self._table.batch_writer() as batch:
            for item in items:
                if item["sk"] != SESSION:
                    batch.delete_item(Key={"pk": item["pk"], "sk": item["sk"]})
        # Last: until then the owner finds it, and can repeat a delete that was cut off.
        self._update(
            session_key(session.session_id),
            {"deleted": True},
            Attr("pk").exists(),
            remove="owner_key, owner_sort, due_key, due_at",
        )


class _Refused:
    """A conditional write that did not happen, and the item that was in its way."""

    def __init__(self, stored: Item | None) -> None:
        self.stored = stored


def _row_texts(shard: Shard) -> Item:
    return {f"c{slot}": rows.write_chunk(chunk) for slot, chunk in enumerate(shard.chunks)}


def _state_filter(state: SessionState) -> ConditionBase:
    if state in (SessionState.PENDING, SessionState.RUNNING):
        return Attr("verdict").not_exists()
    return Attr("verdict").eq(state.value)


def _deserialised(item: Any) -> Item | None:
    """The resource client converts answers, but not the item inside an error."""
    if not item:
        return None
    read = TypeDeserializer().deserialize
    return {name: read(value) if _is_typed(value) else value for name, value in item.items()}


def _is_typed(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in TYPE_NAMES


TYPE_NAMES = frozenset({"S", "N", "B", "SS", "NS", "BS", "M", "L", "NULL", "BOOL"})
