"""The session items of the state table, and the budgets that they hold a part of.

Each change of a session's slots, place or end is one transaction with the items that count them:

    O#<owner> / USAGE, LANE#<worker>     W#<worker> / WORKER, WAIT#<place>

so what is counted is at every moment what open sessions hold. Knows no rule about who may start.
"""

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from secrets import token_hex
from typing import Any

import boto3
from boto3.dynamodb.conditions import Attr, ConditionBase, Key

from ..budgets import Lane, Limits, Quota, Usage
from ..errors import NotFound
from ..listing import first_due, queue_place, steered
from ..ports import Closing, Refusal, RowSwap, Waiting
from ..records import Ending, Session, Shard, closed
from ..task_time import learn
from . import rows
from .dependents import hang_on
from .rows import (
    Item,
    decimal,
    owner_lane_key,
    session_key,
    shard_key,
    usage_key,
    waiting_key,
    worker_key,
)
from .transactions import (
    Write,
    delete,
    key_condition,
    put,
    repeat_conflicts,
    transact,
    update,
)
from .translate import CLIENT_CONFIG, translated

#: An owner's quota is read again after so many seconds.
QUOTA_SECONDS = 60.0
OPEN = Attr("pk").exists() & Attr("verdict").not_exists()
NEW = Attr("pk").not_exists()
NOBODY_WAITS = Attr("waiting_stamp").not_exists()
#: Names of what `listing.steered` answers.
STEERED = (
    "waiting",
    "paused",
    "slots",
    "priority",
    "dispatches",
    "blocked",
    "has_dependents",
)


class SessionTable:
    """The part of AwsStateTable that knows sessions and budgets."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._table = boto3.resource("dynamodb", config=CLIENT_CONFIG).Table(name)
        repeat_conflicts(self._table.meta.client)
        self._quotas: dict[str, tuple[float, Quota]] = {}
        self._lanes: dict[str, tuple[float, Lane]] = {}

    def create_session(
        self, session: Session, blob: bytes, limits: Limits, shards: Sequence[Shard] = ()
    ) -> Session | Refusal:
        writes = self._creation(session, blob, limits)
        for shard in shards:
            item = rows.write_shard(shard, session.expires_at)
            writes[f"shard {shard.number}"] = put(self._name, item)
        refused = self._transact(writes, session.session_id)
        if not refused:
            return session
        if "session" in refused:
            stored = self.read_session(session.session_id)
            if stored is None:
                raise NotFound(f"session {session.session_id} expired while it was sent again")
            return stored
        if any(name.startswith("dependency") for name in refused):
            return Refusal.DEPENDENCY
        return Refusal.QUOTA if "usage" in refused else Refusal.NO_ROOM

    def _creation(self, session: Session, blob: bytes, limits: Limits) -> dict[str, Write]:
        blob_key = session_key(session.session_id, f"BLOB#{session.blob_id}")
        stored = {**blob_key, "blob": blob, "expires_at": session.expires_at}
        writes = {
            "session": put(self._name, rows.write_session(session, first_due(session)), NEW),
            "blob": put(self._name, stored),
            "usage": self._change_usage(session, 1, _within_quota(session, limits)),
        }
        if session.blocked:
            return {**writes, **hang_on(self._name, session)}
        if session.waiting:
            return {**writes, **self._join_queue(session)}
        if session.slots:
            writes |= self._take_slots(session, session.slots, limits, NOBODY_WAITS)
        return writes

    def _change_usage(
        self, session: Session, sign: int, condition: ConditionBase | None = None
    ) -> Write:
        counted = {"open_sessions": sign, "open_tasks": sign * session.tasks}
        return update(self._name, usage_key(session.owner), add=counted, condition=condition)

    def _take_slots(
        self,
        session: Session,
        slots: int,
        limits: Limits,
        more: ConditionBase | None = None,
        change: Item | None = None,
    ) -> dict[str, Write]:
        room = _room("used_slots", slots, limits.worker_slots)
        whose = owner_lane_key(session.owner, session.lane)
        return {
            "lane": update(
                self._name,
                worker_key(session.lane),
                change=change,
                add={"used_slots": slots},
                condition=_both(room, more),
            ),
            "owner lane": update(
                self._name,
                whose,
                add={"used_slots": slots},
                condition=_room("used_slots", slots, limits.owner_slots),
            ),
        }

    def _join_queue(self, session: Session) -> dict[str, Write]:
        entry = {
            **waiting_key(session.lane, queue_place(session)),
            "session_id": session.session_id,
            "owner": session.owner,
            "stamp": token_hex(8),
            "expires_at": session.expires_at,
        }
        stamp = {"waiting_stamp": entry["stamp"]}
        return {
            "entry": put(self._name, entry),
            "lane": update(self._name, worker_key(session.lane), change=stamp),
        }

    def _leave_queue(self, session: Session) -> dict[str, Write]:
        if not session.waiting:
            return {}
        return {"left": delete(self._name, waiting_key(session.lane, queue_place(session)))}

    def _transact(self, writes: dict[str, Write], session_id: str) -> frozenset[str]:
        return transact(self._table.meta.client, writes, f"session {session_id}")

    def read_session(self, session_id: str) -> Session | None:
        item = self._get(session_key(session_id))
        return None if item is None else rows.read_session(item)

    def _get(self, key: Item) -> Item | None:
        with translated(f"table {self._name}"):
            return self._table.get_item(Key=key, ConsistentRead=True).get("Item")

    def _query(self, condition: ConditionBase, **request: Any) -> list[Item]:
        """All pages."""
        request |= key_condition(condition)
        items: list[Item] = []
        while True:
            with translated(f"table {self._name}"):
                page = self._table.query(**request)
            items.extend(page["Items"])
            if "LastEvaluatedKey" not in page:
                return items
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def read_lane(self, worker: str, max_age_seconds: float = 0.0) -> Lane:
        read_at, lane = self._lanes.get(worker, (-math.inf, Lane()))
        now = time.monotonic()
        # What was never measured is read each time: the first measurement changes most.
        if lane.task_time is None or now - read_at >= max_age_seconds:
            lane = rows.read_lane(self._get(worker_key(worker)))
            self._lanes[worker] = (now, lane)
        return lane

    def read_usage(self, owner: str, worker: str) -> Usage:
        usage = self._get(usage_key(owner)) or {}
        lane = (self._get(owner_lane_key(owner, worker)) or {}) if worker else {}
        return Usage(
            sessions=int(usage.get("open_sessions", 0)),
            tasks=int(usage.get("open_tasks", 0)),
            slots=int(lane.get("used_slots", 0)),
        )

    def read_quota(self, owner: str) -> Quota:
        known = self._quotas.get(owner)
        if known is not None and time.monotonic() < known[0]:
            return known[1]
        quota = rows.read_quota(self._get(rows.owner_key(owner, "QUOTA")))
        self._quotas[owner] = (time.monotonic() + QUOTA_SECONDS, quota)
        return quota

    def list_waiting(self, worker: str, after: str | None, limit: int) -> list[Waiting]:
        first = f"WAIT#{after}\0" if after is not None else "WAIT#"
        with translated(f"table {self._name}"):
            page = self._table.query(
                **key_condition(
                    Key("pk").eq(worker_key(worker)["pk"]) & Key("sk").between(first, "WAIT#~")
                ),
                ConsistentRead=True,
                Limit=limit,
            )
        return [
            Waiting(
                place=str(item["sk"]).removeprefix("WAIT#"),
                session_id=str(item["session_id"]),
                owner=str(item["owner"]),
                stamp=str(item["stamp"]),
            )
            for item in page["Items"]
        ]

    def drop_waiting(self, worker: str, entry: Waiting) -> None:
        key = waiting_key(worker, entry.place)
        condition = Attr("stamp").eq(entry.stamp)
        with translated(f"table {self._name}"), suppress(self._refused):
            self._table.delete_item(Key=key, ConditionExpression=condition)

    def clear_waiting(self, worker: str, stamp: str) -> None:
        with translated(f"table {self._name}"), suppress(self._refused):
            self._table.update_item(
                Key=worker_key(worker),
                UpdateExpression="REMOVE waiting_stamp",
                ConditionExpression=Attr("waiting_stamp").eq(stamp),
            )

    @property
    def _refused(self) -> type[Exception]:
        return self._table.meta.client.exceptions.ConditionalCheckFailedException

    def admit(
        self, session: Session, slots: int, limits: Limits, now: float, due_at: float
    ) -> Session | Refusal:
        number = session.dispatches + 1
        change = {
            "waiting": False,
            "slots": slots,
            "dispatches": number,
            "dispatched_at": decimal(now),
            "due_at": decimal(due_at),
        }
        writes = {
            "session": self._change(session, change),
            **self._leave_queue(session),
            **self._take_slots(session, slots, limits),
        }
        refused = self._transact(writes, session.session_id)
        if not refused:
            return replace(
                session, waiting=False, slots=slots, dispatches=number, dispatched_at=now
            )
        return Refusal.CHANGED if "session" in refused else Refusal.NO_ROOM

    def _change(self, session: Session, change: dict[str, Any]) -> Write:
        """Only if it is open and steered as it was read, see listing.steered."""
        as_read = OPEN
        for name, value in zip(STEERED, steered(session), strict=True):
            # What an earlier version stored lacks those that it did not know.
            same = Attr(name).eq(value)
            as_read &= same if value else same | Attr(name).not_exists()
        key = session_key(session.session_id)
        return update(self._name, key, change=change, condition=as_read)

    def pause(self, session: Session, due_at: float) -> bool:
        change = {"paused": True, "waiting": False, "slots": 0, "due_at": decimal(due_at)}
        writes = {
            "session": self._change(session, change),
            **self._leave_queue(session),
            **self._give_slots(session),
        }
        return not self._transact(writes, session.session_id)

    def enqueue(self, session: Session, due_at: float) -> bool:
        waits = not session.blocked
        change = {"paused": False, "waiting": waits, "due_at": decimal(due_at)}
        return self._let_wait(session, replace(session, paused=False, waiting=waits), change)

    def unblock(self, session: Session, due_at: float) -> bool:
        waits = not session.paused
        change = {"blocked": False, "waiting": waits, "due_at": decimal(due_at)}
        return self._let_wait(session, replace(session, blocked=False, waiting=waits), change)

    def _let_wait(self, session: Session, changed: Session, change: dict[str, Any]) -> bool:
        writes = {"session": self._change(session, change)}
        if changed.waiting:
            writes |= self._join_queue(changed)
        return not self._transact(writes, session.session_id)

    def set_priority(self, session: Session, priority: int) -> bool:
        writes = {
            "session": self._change(session, {"priority": priority}),
            **self._leave_queue(session),
        }
        if session.waiting:
            writes |= self._join_queue(replace(session, priority=priority))
        return not self._transact(writes, session.session_id)

    def close_session(self, session_id: str, ending: Ending) -> Closing | None:
        """What it holds is read first; whoever changes that in between makes it read again."""
        while True:
            session = self.read_session(session_id)
            if session is None or session.verdict is not None:
                return None
            writes, others_wait = self._closing(session, ending), session.waiting
            while refused := self._transact(writes, session_id):
                if "session" in refused:
                    break
                if "usage" in refused:
                    del writes["usage"]
                if "lane" in refused:
                    writes["lane"] = self._give_slots(session, ending, None)["lane"]
                    others_wait = True
            else:
                return Closing(closed(session, ending), others_wait)

    def commit_and_close(self, session: Session, commit: RowSwap, ending: Ending) -> Closing | None:
        writes = {"shard": self._swap_row(commit), **self._closing(session, ending)}
        refused = self._transact(writes, session.session_id)
        return None if refused else Closing(closed(session, ending), others_wait=False)

    def _swap_row(self, commit: RowSwap) -> Write:
        slot, shard = commit.slot, commit.shard
        inline = {} if commit.inline is None else {f"r{slot}": commit.inline}
        return update(
            self._name,
            shard_key(shard.session_id, shard.number),
            change={f"c{slot}": rows.write_chunk(commit.new), **inline},
            condition=Attr(f"c{slot}").eq(rows.write_chunk(shard.chunks[slot])),
        )

    def _closing(self, session: Session, ending: Ending) -> dict[str, Write]:
        return {
            "session": self._change(session, rows.write_ending(ending)),
            **self._leave_queue(session),
            **self._give_slots(session, ending, NOBODY_WAITS),
            "usage": self._change_usage(session, -1, _was_counted(session)),
        }

    def _give_slots(
        self, session: Session, ending: Ending | None = None, condition: ConditionBase | None = None
    ) -> dict[str, Write]:
        """Slots back to the worker, and what it learns of an ending."""
        if not session.slots:
            return {}
        learned = ending and learn(session.worker_task_time, ending.work.measurement)
        change = rows.write_task_time(learned) if learned else {}
        return self._take_slots(session, -session.slots, Limits(), condition, change)


def _was_counted(session: Session) -> ConditionBase:
    """An earlier version counted nothing: then there is nothing to take away."""
    return Attr("open_sessions").gte(1) & Attr("open_tasks").gte(session.tasks)


def _within_quota(session: Session, limits: Limits) -> ConditionBase | None:
    sessions = _room("open_sessions", 1, limits.sessions)
    return _both(sessions, _room("open_tasks", session.tasks, limits.tasks))


def _room(name: str, amount: int, limit: int | None) -> ConditionBase | None:
    """So much more fits under the limit; what was never counted is 0."""
    if limit is None:
        return None
    fits: ConditionBase = Attr(name).lte(limit - amount)
    return fits | Attr(name).not_exists() if amount <= limit else fits


def _both(one: ConditionBase | None, other: ConditionBase | None) -> ConditionBase | None:
    if one is None or other is None:
        return one or other
    return one & other
