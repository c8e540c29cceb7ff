"""How records are written as DynamoDB items, and read again. Pure.

S#<session> / SESSION      the session; what never changes is one JSON text, the rest attributes
S#<session> / BLOB#<id>    its tasks or chunk boundaries
S#<session> / SHARD#<k>    chunk rows c0 .. c15; under 1 KB, so that a swap is one write unit
S#<session> / CONTAINER#<t> a container that has run chunks of it, and for how long
S#<session> / DEP#<id>     one for each session that depends on it
S#<session> / JOB#<index>  how far a job has come; its JobRecord is one JSON text
S#<session> / LATCH        the set of terminal shards (apart: no index copies it)
W#<worker>  / WORKER       measured task time, slots in use, whether anybody waits, limit;
                           of a registered function also what worker_registry keeps
W#<worker>  / WAIT#<place> one for each session in its queue, in order of rank
O#<owner>   / USAGE        open sessions and their tasks
O#<owner>   / LANE#<name>  slots that the owner holds on one worker
O#<owner>   / QUOTA        what an administrator allowed this owner

FS#..., FR#... are connections of Socket.IO and their rooms: see `sockets`.
"""

import json
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from ..budgets import Lane, Quota
from ..layout import Layout
from ..listing import sort_key
from ..records import (
    Chunk,
    ContainerSize,
    ContainerUse,
    Ending,
    JobRecord,
    Output,
    Session,
    Shard,
)
from ..states import ChunkState, SessionState, TaskState
from ..task_time import TaskTime

Item = dict[str, Any]

#: Attributes of a session that change after it was created.
MUTABLE = (
    "priority",
    "dispatches",
    "dispatched_at",
    "slots",
    "waiting",
    "blocked",
    "has_dependents",
    "paused",
    "cancelling",
    "deleted",
    "verdict",
    "closed_at",
    "reason",
    "counts",
    "first_claim_at",
    "task_seconds",
)
DUE_PARTITIONS = 4
#: Of a shard: when any of its rows was claimed first.
FIRST_CLAIM = "f"
#: Of a chunk row; those at its end that are not set are left out.
FIELDS = 13


#: Sort key of the session's own item; just before those of its shards.
SESSION = "SESSION"


def session_key(session_id: str, sort: str = SESSION) -> Item:
    return {"pk": f"S#{session_id}", "sk": sort}


def shard_key(session_id: str, number: int) -> Item:
    return session_key(session_id, f"SHARD#{number:05d}")


def job_key(session_id: str, index: int) -> Item:
    return session_key(session_id, f"JOB#{index:05d}")


def worker_key(name: str) -> Item:
    return {"pk": f"W#{name}", "sk": "WORKER"}


def waiting_key(worker: str, place: str) -> Item:
    return {"pk": f"W#{worker}", "sk": f"WAIT#{place}"}


def dependent_key(session_id: str, dependent: str) -> Item:
    return session_key(session_id, f"DEP#{dependent}")


def owner_key(owner: str, sort: str) -> Item:
    return {"pk": f"O#{owner}", "sk": sort}


def usage_key(owner: str) -> Item:
    return owner_key(owner, "USAGE")


def owner_lane_key(owner: str, worker: str) -> Item:
    return owner_key(owner, f"LANE#{worker}")


def read_lane(item: Item | None) -> Lane:
    item = item or {}
    concurrency = item.get("concurrency")
    return Lane(
        used=int(item.get("used_slots", 0)),
        waiting=item.get("waiting_stamp", ""),
        concurrency=None if concurrency is None else int(concurrency),
        task_time=_read_task_time(item),
    )


def write_task_time(time: TaskTime) -> Item:
    return {"task_seconds": decimal(time.mean), "slow_task_seconds": decimal(time.slow)}


def _read_task_time(item: Item) -> TaskTime | None:
    mean = _number(item, "task_seconds")
    return None if mean is None else TaskTime(mean, float(item["slow_task_seconds"]))


def write_quota(owner: str, quota: Quota) -> Item:
    said = {name: value for name, value in asdict(quota).items() if value is not None}
    return {**owner_key(owner, "QUOTA"), **said}


def read_quota(item: Item | None) -> Quota:
    found = {name: (item or {}).get(name) for name in ("sessions", "tasks", "slots")}
    return Quota(**{name: None if value is None else int(value) for name, value in found.items()})


def due_key(session_id: str) -> str:
    """Open sessions are spread over a few index partitions."""
    return f"DUE#{int(session_id[:2], 16) % DUE_PARTITIONS}"


def decimal(number: float) -> Decimal:
    return Decimal(str(number))


def write_session(session: Session, due_at: float) -> Item:
    fixed = {name: value for name, value in session.as_dict().items() if name not in MUTABLE}
    return {
        **session_key(session.session_id),
        "owner_key": f"O#{session.owner}",
        "owner_sort": sort_key(session),
        "due_key": due_key(session.session_id),
        "due_at": decimal(due_at),
        "data": json.dumps(fixed, separators=(",", ":")),
        "dispatches": session.dispatches,
        "dispatched_at": decimal(session.dispatched_at),
        "priority": session.priority,
        "slots": session.slots,
        "waiting": session.waiting,
        "blocked": session.blocked,
        "paused": session.paused,
        "expires_at": session.expires_at,
    }


def read_session(item: Item) -> Session:
    verdict, counts, closed_at = (item.get(name) for name in ("verdict", "counts", "closed_at"))
    changing = {
        "dispatches": int(item["dispatches"]),
        "dispatched_at": float(item["dispatched_at"]),
        "priority": int(item["priority"]),
        "slots": int(item.get("slots", 0)),
        "waiting": bool(item.get("waiting", False)),
        "blocked": bool(item.get("blocked", False)),
        "has_dependents": bool(item.get("has_dependents", False)),
        "paused": bool(item.get("paused", False)),
        "cancelling": bool(item.get("cancelling", False)),
        "deleted": bool(item.get("deleted", False)),
        "verdict": SessionState(verdict) if verdict else None,
        "closed_at": float(closed_at) if closed_at is not None else None,
        "reason": item.get("reason"),
        "counts": {TaskState(name): int(n) for name, n in counts.items()} if counts else None,
        "first_claim_at": _number(item, "first_claim_at"),
        "task_seconds": _number(item, "task_seconds"),
    }
    return Session.read({**json.loads(item["data"]), **changing})


def write_job(session_id: str, index: int, record: JobRecord, expires_at: int) -> Item:
    return {
        **job_key(session_id, index),
        "attempt": record.attempt,
        "terminal": record.terminal,
        "data": json.dumps(record.as_dict(), separators=(",", ":"), sort_keys=True),
        "expires_at": expires_at,
    }


def read_job(item: Item) -> JobRecord:
    return JobRecord.read(json.loads(item["data"]))


def write_ending(ending: Ending) -> Item:
    """What changes of a session that is closed; the sweeper looks at it until its end is told."""
    claimed_at = ending.work.first_claim_at
    first = {} if claimed_at is None else {"first_claim_at": decimal(claimed_at)}
    return {
        **first,
        "verdict": ending.verdict.value,
        "counts": {state.value: n for state, n in ending.counts.items()},
        "closed_at": decimal(ending.at),
        "due_at": decimal(ending.at),
        "waiting": False,
        "blocked": False,
        "task_seconds": decimal(ending.work.task_seconds),
    }


def _number(item: Item, name: str) -> float | None:
    return float(item[name]) if name in item else None


def write_shard(shard: Shard, expires_at: int) -> Item:
    item: Item = {
        **shard_key(shard.session_id, shard.number),
        "t": str(Layout.of(chunk.tasks for chunk in shard.chunks)),
        "o": ",".join(str(number) for number in (shard.start, *shard.lengths)),
        "expires_at": expires_at,
    }
    for slot, chunk in enumerate(shard.chunks):
        item[f"c{slot}"] = write_chunk(chunk)
    for slot, data in shard.inline.items():
        item[f"r{slot}"] = data
    if shard.first_claim_at is not None:
        item[FIRST_CLAIM] = decimal(shard.first_claim_at)
    return item


def read_shard(item: Item) -> Shard:
    tasks = list(Layout.read(item["t"]).sizes())
    start, *lengths = (int(number) for number in item["o"].split(","))
    slots = range(len(tasks))
    return Shard(
        session_id=item["pk"].removeprefix("S#"),
        number=int(item["sk"].removeprefix("SHARD#")),
        chunks=tuple(read_chunk(item[f"c{slot}"], tasks[slot]) for slot in slots),
        start=start,
        lengths=tuple(lengths),
        inline={slot: bytes(item[f"r{slot}"]) for slot in slots if f"r{slot}" in item},
        first_claim_at=_number(item, FIRST_CLAIM),
    )


def container_key(session_id: str, token: str) -> Item:
    return session_key(session_id, f"CONTAINER#{token}")


def write_container(session: Session, use: ContainerUse) -> Item:
    return {
        **container_key(session.session_id, use.token),
        "size": json.dumps(asdict(use.size), separators=(",", ":")),
        "started_at": decimal(use.started_at),
        "seen_at": decimal(use.seen_at),
        "expires_at": session.expires_at,
    }


def read_container(item: Item) -> ContainerUse:
    return ContainerUse(
        token=str(item["sk"]).removeprefix("CONTAINER#"),
        size=ContainerSize(**json.loads(item["size"])),
        started_at=float(item["started_at"]),
        seen_at=float(item["seen_at"]),
    )


def write_chunk(chunk: Chunk) -> str:
    """A row as text: equal exactly if the chunks are equal. What is rarely set comes last."""
    output = chunk.output
    fields = (
        chunk.state.value,
        chunk.attempt,
        chunk.finished,
        chunk.failed,
        chunk.milliseconds,
        f"{output.attempt}.{output.part}.{output.size}.{output.digest}" if output else 0,
        chunk.token or 0,
        chunk.lease_until,
        chunk.losses,
        chunk.idle_losses,
        0 if chunk.suspect is None else f"@{chunk.suspect}",
        chunk.suspect_starts,
        chunk.retrying,
    )
    return "|".join(str(field) if field else "" for field in fields).rstrip("|")


def read_chunk(row: str, tasks: int) -> Chunk:
    fields = row.split("|")
    fields += [""] * (FIELDS - len(fields))
    state, attempt, finished, failed, milliseconds, output, token, lease, *rare = fields
    losses, idle_losses, suspect, suspect_starts, retrying = rare
    return Chunk(
        tasks=tasks,
        state=ChunkState(state),
        attempt=int(attempt or 0),
        token=token,
        lease_until=int(lease or 0),
        finished=int(finished or 0),
        failed=int(failed or 0),
        retrying=int(retrying or 0),
        output=_read_output(output),
        losses=int(losses or 0),
        idle_losses=int(idle_losses or 0),
        suspect=int(suspect.removeprefix("@")) if suspect else None,
        suspect_starts=int(suspect_starts or 0),
        milliseconds=int(milliseconds or 0),
    )


def _read_output(text: str) -> Output | None:
    if not text:
        return None
    attempt, part, size, digest = text.split(".")
    return Output(int(attempt), int(part), int(size), digest)
