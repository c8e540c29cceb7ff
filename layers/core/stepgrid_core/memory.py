"""The ports in memory: for tests and for `stepgrid.testing`. They pass the same contract suite.

Every method is atomic under one lock; nothing is ever eventually consistent here.
"""

import hashlib
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from secrets import token_hex
from typing import Any

from .budgets import Lane, Limits, Quota, Usage, exceeded
from .errors import InvalidRequest, NotFound, PayloadCorrupted
from .listing import (
    check_cursor,
    first_due,
    is_in,
    queue_place,
    running_mean,
    sort_key,
    steered,
)
from .metrics import Metric, Values, without_zeros
from .names import execution_name
from .names import session_id as make_session_id
from .ports import (
    Dispatch,
    ExecutionState,
    LogEvent,
    LogSearch,
    Page,
    Refusal,
    StoredObject,
    Swap,
    Waiting,
    Worker,
    WorkerRegistry,
    registered_worker,
)
from .records import NO_WORK, Chunk, Session, Shard, Work, closed
from .states import SessionState, TaskState


class VirtualClock:
    """Time that passes only when somebody sleeps or `advance`s it."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._now = now

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self._now += seconds


class MemoryStateTable:
    """Sessions and shards in dictionaries."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._sessions: dict[str, Session] = {}
        self._due: dict[str, float] = {}
        self._blobs: dict[tuple[str, str], bytes] = {}
        self._shards: dict[str, dict[int, Shard]] = {}
        self._latched: dict[str, set[int]] = {}
        self._task_seconds: dict[str, float] = {}
        self._progress: dict[str, int] = {}
        self._queues: dict[str, dict[str, str]] = {}
        self._stamps: dict[str, str] = {}
        #: what an administrator set: by owner, and by worker
        self.quotas: dict[str, Quota] = {}
        self.concurrency: dict[str, int] = {}

    def create_session(self, session: Session, blob: bytes, limits: Limits) -> Session | Refusal:
        with self._lock:
            stored = self._sessions.get(session.session_id)
            if stored is not None:
                return stored
            usage = self.read_usage(session.owner, session.worker)
            if exceeded(session.tasks, limits, usage):
                return Refusal.QUOTA
            if session.slots and not self._has_room(session, session.slots, limits, queued=False):
                return Refusal.NO_ROOM
            self._blobs[session.session_id, session.blob_id] = blob
            self._sessions[session.session_id] = session
            self._due[session.session_id] = first_due(session)
            if session.waiting:
                self._queue(session)
            return session

    def _has_room(self, session: Session, slots: int, limits: Limits, queued: bool) -> bool:
        lane = self.read_lane(session.worker)
        usage = self.read_usage(session.owner, session.worker)
        return (
            (queued or not lane.waiting)
            and (limits.worker_slots is None or lane.used + slots <= limits.worker_slots)
            and (limits.owner_slots is None or usage.slots + slots <= limits.owner_slots)
        )

    def _queue(self, session: Session) -> None:
        self._queues.setdefault(session.worker, {})[queue_place(session)] = session.session_id
        self._stamps[session.worker] = token_hex(8)

    def _leave_queue(self, session: Session) -> None:
        self._queues.get(session.worker, {}).pop(queue_place(session), None)

    def _open_sessions(self) -> list[Session]:
        return [session for session in self._sessions.values() if session.verdict is None]

    def read_lane(self, worker: str) -> Lane:
        with self._lock:
            return Lane(
                used=sum(s.slots for s in self._open_sessions() if s.worker == worker),
                waiting=self._stamps.get(worker, ""),
                concurrency=self.concurrency.get(worker),
                task_seconds=self._task_seconds.get(worker),
            )

    def read_usage(self, owner: str, worker: str) -> Usage:
        with self._lock:
            own = [session for session in self._open_sessions() if session.owner == owner]
            return Usage(
                sessions=len(own),
                tasks=sum(session.tasks for session in own),
                slots=sum(session.slots for session in own if session.worker == worker),
            )

    def read_quota(self, owner: str) -> Quota:
        return self.quotas.get(owner, Quota())

    def list_waiting(self, worker: str, after: str | None, limit: int) -> list[Waiting]:
        with self._lock:
            queue = sorted(self._queues.get(worker, {}).items())
            behind = [entry for entry in queue if after is None or entry[0] > after]
            return [Waiting(place, session_id) for place, session_id in behind[:limit]]

    def drop_waiting(self, worker: str, entry: Waiting) -> None:
        with self._lock:
            self._queues.get(worker, {}).pop(entry.place, None)

    def clear_waiting(self, worker: str, stamp: str) -> None:
        with self._lock:
            if self._stamps.get(worker) == stamp:
                del self._stamps[worker]

    def admit(
        self, session: Session, slots: int, limits: Limits, now: float, due_at: float
    ) -> Session | Refusal:
        with self._lock:
            if not self._is_as_read(session):
                return Refusal.CHANGED
            if not self._has_room(session, slots, limits, queued=True):
                return Refusal.NO_ROOM
            self._leave_queue(session)
            number = session.dispatches + 1
            return self._steer(
                session,
                due_at,
                waiting=False,
                slots=slots,
                dispatches=number,
                dispatched_at=now,
            )

    def pause(self, session: Session, due_at: float) -> bool:
        with self._lock:
            if not self._is_as_read(session):
                return False
            self._leave_queue(session)
            self._steer(session, due_at, paused=True, waiting=False, slots=0)
            return True

    def enqueue(self, session: Session, due_at: float) -> bool:
        with self._lock:
            if not self._is_as_read(session):
                return False
            self._queue(self._steer(session, due_at, paused=False, waiting=True))
            return True

    def set_priority(self, session: Session, priority: int) -> bool:
        with self._lock:
            if not self._is_as_read(session):
                return False
            self._leave_queue(session)
            changed = self._steer(session, None, priority=priority)
            if changed.waiting:
                self._queue(changed)
            return True

    def _is_as_read(self, session: Session) -> bool:
        stored = self._sessions.get(session.session_id)
        if stored is None or stored.verdict is not None:
            return False
        return steered(stored) == steered(session)

    def _steer(self, session: Session, due_at: float | None, **changes: Any) -> Session:
        changed = replace(self._sessions[session.session_id], **changes)
        self._sessions[session.session_id] = changed
        if due_at is not None:
            self._due[session.session_id] = due_at
        return changed

    def read_blob(self, session_id: str, blob_id: str) -> bytes:
        with self._lock:
            blob = self._blobs.get((session_id, blob_id))
        if blob is None:
            raise NotFound(f"session {session_id} has no stored input")
        return blob

    def create_shards(self, session: Session, shards: Sequence[Shard]) -> None:
        with self._lock:
            stored = self._shards.setdefault(session.session_id, {})
            for shard in shards:
                stored.setdefault(shard.number, shard)

    def read_session(self, session_id: str) -> Session | None:
        with self._lock:
            return self._sessions.get(session_id)

    def read_shard(self, session_id: str, number: int) -> Shard | None:
        with self._lock:
            return self._shards.get(session_id, {}).get(number)

    def read_shards(self, session_id: str, first: int = 0, limit: int | None = None) -> list[Shard]:
        with self._lock:
            stored = self._shards.get(session_id, {})
            last = math.inf if limit is None else first + limit - 1
            return [stored[number] for number in sorted(stored) if first <= number <= last]

    def swap_chunk(
        self,
        shard: Shard,
        slot: int,
        new: Chunk,
        inline: bytes | None = None,
        claimed_at: float | None = None,
    ) -> Swap:
        with self._lock:
            stored = self._stored(shard)
            if stored.chunks[slot] == new:
                return Swap(True, stored)
            if stored.chunks[slot] != shard.chunks[slot]:
                return Swap(False, stored)
            if stored.first_claim_at is None and claimed_at is not None:
                stored = replace(stored, first_claim_at=round(claimed_at, 3))
            return Swap(True, self._put(stored.with_chunk(slot, new, inline)))

    def swap_shard(self, old: Shard, new: Shard) -> Swap:
        with self._lock:
            stored = self._stored(old)
            if stored.chunks == new.chunks:
                return Swap(True, stored)
            if stored.chunks != old.chunks:
                return Swap(False, stored)
            return Swap(True, self._put(replace(stored, chunks=new.chunks)))

    def _stored(self, shard: Shard) -> Shard:
        stored = self.read_shard(shard.session_id, shard.number)
        if stored is None:
            raise NotFound(f"session {shard.session_id} has no shard {shard.number}")
        return stored

    def _put(self, shard: Shard) -> Shard:
        self._shards[shard.session_id][shard.number] = shard
        return shard

    def latch(self, session_id: str, shard: int, expires_at: int) -> int:
        with self._lock:
            latched = self._latched.setdefault(session_id, set())
            latched.add(shard)
            return len(latched)

    def mark_dispatched(self, session_id: str, dispatch: int, now: float, due_at: float) -> bool:
        with self._lock:
            session = self._sessions.get(session_id)
            if session is None or session.verdict or session.dispatches != dispatch - 1:
                return False
            self._sessions[session_id] = replace(session, dispatches=dispatch, dispatched_at=now)
            self._due[session_id] = due_at
            return True

    def mark_cancelling(self, session_id: str, due_at: float) -> None:
        with self._lock:
            session = self._sessions.get(session_id)
            if session is not None and session.verdict is None:
                self._sessions[session_id] = replace(session, cancelling=True)
                self._due[session_id] = due_at

    def raise_progress(self, session_id: str, percent: int) -> Session | None:
        with self._lock:
            session = self._sessions.get(session_id)
            if session is None or session.verdict or self._progress.get(session_id, 0) >= percent:
                return None
            self._progress[session_id] = percent
            return session

    def close_session(
        self,
        session_id: str,
        verdict: SessionState,
        counts: dict[TaskState, int],
        now: float,
        work: Work = NO_WORK,
    ) -> Session | None:
        with self._lock:
            session = self._sessions.get(session_id)
            if session is None or session.verdict is not None:
                return None
            session = closed(session, verdict, counts, now, work)
            self._sessions[session_id] = session
            self._due[session_id] = now
            return session

    def postpone(self, session_id: str, due_at: float | None) -> None:
        with self._lock:
            if due_at is None:
                self._due.pop(session_id, None)
            elif session_id in self._due:
                self._due[session_id] = due_at

    def due_sessions(self, now: float, limit: int) -> list[str]:
        with self._lock:
            due = sorted((at, session_id) for session_id, at in self._due.items() if at <= now)
            return [session_id for _, session_id in due[:limit]]

    def list_sessions(
        self, owner: str, state: SessionState | None, cursor: str | None, limit: int
    ) -> Page[Session]:
        with self._lock:
            own = [s for s in self._sessions.values() if s.owner == owner and not s.deleted]
        newest_first = sorted(own, key=sort_key, reverse=True)
        after = None if cursor is None else check_cursor(cursor)
        rest = [s for s in newest_first if after is None or sort_key(s) < after]
        found = [s for s in rest if state is None or is_in(s, state)]
        page = tuple(found[:limit])
        return Page(page, sort_key(page[-1]) if len(found) > limit else None)

    def delete_session(self, session: Session) -> None:
        with self._lock:
            for stored in (self._shards, self._latched, self._due):
                stored.pop(session.session_id, None)
            for name in [name for name in self._blobs if name[0] == session.session_id]:
                del self._blobs[name]
            if session.session_id in self._sessions:
                self._sessions[session.session_id] = replace(session, deleted=True)

    def record_task_seconds(self, worker: str, before: float | None, seconds: float) -> None:
        with self._lock:
            self._task_seconds[worker] = running_mean(before, seconds)


class MemoryPayloadStore:
    """Objects in a dictionary; URLs are `memory:` and the key."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._objects: dict[str, bytes] = {}
        self._parts: dict[str, dict[int, bytes]] = {}

    def put(self, key: str, body: bytes) -> StoredObject:
        with self._lock:
            self._objects[key] = body
        return StoredObject(len(body), _etag(body))

    def put_part(self, key: str, multipart_id: str, number: int, body: bytes) -> str:
        """What a client does with a presigned part URL; answers the part's ETag."""
        with self._lock:
            self._parts[multipart_id][number] = body
        return _etag(body)

    def list_keys(self) -> list[str]:
        """What there is; for tests of what must leave no trace."""
        with self._lock:
            return sorted(self._objects)

    def get(self, key: str) -> bytes:
        with self._lock:
            body = self._objects.get(key)
        if body is None:
            raise NotFound(f"there is no object {key}")
        return body

    def get_range(self, key: str, start: int, length: int, etag: str) -> bytes:
        body = self.get(key)
        if _etag(body) != etag:
            raise PayloadCorrupted(f"object {key} was replaced after it was submitted")
        return body[start : start + length]

    def head(self, key: str) -> StoredObject | None:
        with self._lock:
            body = self._objects.get(key)
        return None if body is None else StoredObject(len(body), _etag(body))

    def peek(self, keys: Sequence[str]) -> dict[str, bytes]:
        return {}

    def delete_prefix(self, prefix: str) -> list[str]:
        with self._lock:
            keys = [key for key in self._objects if key.startswith(prefix)]
            for key in keys:
                del self._objects[key]
        return keys

    def presign_get(self, key: str) -> str:
        return f"memory:{key}"

    def presign_put(self, key: str) -> str:
        return f"memory:{key}"

    def start_multipart(self, key: str) -> str:
        with self._lock:
            multipart_id = make_session_id(key, str(len(self._parts)))
            self._parts[multipart_id] = {}
        return multipart_id

    def presign_part(self, key: str, multipart_id: str, number: int) -> str:
        return f"memory:{key}#{multipart_id}#{number}"

    def complete_multipart(self, key: str, multipart_id: str, etags: Sequence[str]) -> None:
        with self._lock:
            parts = self._parts.get(multipart_id)
            if parts is None:
                if key in self._objects:
                    return
                raise InvalidRequest(f"there is no multipart upload {multipart_id[:64]!r} of {key}")
            numbers = range(1, len(etags) + 1)
            stored = [_etag(parts[n]) if n in parts else None for n in numbers]
            if not etags or stored != [etag.strip('"') for etag in etags]:
                raise InvalidRequest(f"the etags are not those of the parts uploaded for {key}")
            self._objects[key] = b"".join(parts[number] for number in numbers)
            del self._parts[multipart_id]


def _etag(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


@dataclass
class MemoryDispatcher:
    """Remembers what was started; whoever runs the executions takes them from `started`."""

    workers: dict[str, Worker] = field(default_factory=dict)
    started: list[Dispatch] = field(default_factory=list)
    states: dict[tuple[str, int], ExecutionState] = field(default_factory=dict)
    woken: list[str] = field(default_factory=list)
    registry: WorkerRegistry | None = None
    relay: str = "relay"

    def wake(self, worker: str) -> None:
        self.woken.append(worker)

    def start(self, dispatch: Dispatch) -> None:
        name = (dispatch.session.session_id, dispatch.number)
        if name not in self.states:
            self.states[name] = ExecutionState.RUNNING
            self.started.append(dispatch)

    def look(self, session: Session) -> ExecutionState:
        name = (session.session_id, session.dispatches)
        return self.states.get(name, ExecutionState.ABSENT)

    def locate(self, session: Session) -> str:
        return f"memory:execution:{execution_name(session.session_id, session.dispatches)}"

    def stop(self, session: Session) -> None:
        name = (session.session_id, session.dispatches)
        if name in self.states:
            self.states[name] = ExecutionState.ENDED

    def find_worker(self, name: str) -> Worker | None:
        return {worker.name: worker for worker in self.list_workers()}.get(name)

    def list_workers(self) -> list[Worker]:
        if self.registry is None:
            return sorted(self.workers.values(), key=lambda worker: worker.name)
        registered = (registered_worker(r, self.relay) for r in self.registry.list_registered())
        found = {worker.name: worker for worker in (*registered, *self.workers.values())}
        return sorted(found.values(), key=lambda worker: worker.name)


class MemoryLogReader:
    """Lines in a list, in the order in which they were added; cursors are places in it."""

    def __init__(self) -> None:
        self._events: list[LogEvent] = []

    def add(self, at: float, text: str) -> None:
        """A worker writes a line, as JSON text."""
        self._events.append(LogEvent(at, text))

    def search(self, search: LogSearch, cursor: str | None, limit: int) -> Page[LogEvent]:
        if cursor is not None and not cursor.isdecimal():
            raise InvalidRequest("this is no cursor of a log page, or it is too old")
        start = int(cursor or 0)
        until = float("inf") if search.until is None else search.until
        found = [e for e in self._events if search.since <= e.at <= until]
        found.sort(key=lambda event: event.at)
        end = start + limit
        return Page(tuple(found[start:end]), str(end) if len(found) > end else None)


class MemoryMetrics:
    """Keeps what was emitted: worker, values, properties."""

    def __init__(self) -> None:
        self.emitted: list[tuple[str, dict[Metric, list[float]], dict[str, Any]]] = []

    def emit(self, worker: str, values: Values, **properties: Any) -> None:
        told = {metric: list(found) for metric, found in without_zeros(values).items()}
        if told:
            self.emitted.append((worker, told, properties))

    def total(self, metric: Metric) -> float:
        """The sum of all values of a metric."""
        return sum(sum(told.get(metric, ())) for _, told, _ in self.emitted)
