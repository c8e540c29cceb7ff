"""The state table in dictionaries: sessions, shards, budgets and queues."""

import math
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..budgets import Lane, Limits, Quota, Usage, exceeded
from ..errors import NotFound
from ..listing import check_cursor, first_due, is_in, sort_key, steered
from ..ports import Closing, Page, Refusal, RowSwap, Swap, Waiting
from ..records import Chunk, ContainerUse, Ending, JobRecord, Session, Shard, closed
from ..states import SessionState
from ..task_time import TaskTime, learn
from .waiting_queues import WaitingQueues


class MemoryStateTable:
    """Sessions and shards in dictionaries."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._sessions: dict[str, Session] = {}
        self._due: dict[str, float] = {}
        self._blobs: dict[tuple[str, str], bytes] = {}
        self._shards: dict[str, dict[int, Shard]] = {}
        self._containers: dict[str, dict[str, ContainerUse]] = {}
        self._latched: dict[str, set[int]] = {}
        self._jobs: dict[str, dict[int, JobRecord]] = {}
        self._task_times: dict[str, TaskTime] = {}
        self._progress: dict[str, int] = {}
        self._dependents: dict[str, set[str]] = {}
        self._queues = WaitingQueues()
        #: what an administrator set: by owner, and by worker
        self.quotas: dict[str, Quota] = {}
        self.concurrency: dict[str, int] = {}

    def create_session(
        self, session: Session, blob: bytes, limits: Limits, shards: Sequence[Shard] = ()
    ) -> Session | Refusal:
        with self._lock:
            stored = self._sessions.get(session.session_id)
            if stored is not None:
                return stored
            if session.blocked and not self._may_depend(session):
                return Refusal.DEPENDENCY
            usage = self.read_usage(session.owner, session.lane)
            if exceeded(session.tasks, limits, usage):
                return Refusal.QUOTA
            if session.slots and not self._has_room(session, session.slots, limits, queued=False):
                return Refusal.NO_ROOM
            self._blobs[session.session_id, session.blob_id] = blob
            self._sessions[session.session_id] = session
            self._due[session.session_id] = first_due(session)
            self.create_shards(session, shards)
            if session.waiting:
                self._queues.join(session)
            if session.blocked:
                self._hang_on(session)
            return session

    def _may_depend(self, session: Session) -> bool:
        found = [self._sessions.get(dependency) for dependency in session.depends_on]
        return all(one and one.owner == session.owner and not one.deleted for one in found)

    def _hang_on(self, session: Session) -> None:
        for dependency in session.depends_on:
            self._dependents.setdefault(dependency, set()).add(session.session_id)
            marked = replace(self._sessions[dependency], has_dependents=True)
            self._sessions[dependency] = marked

    def _has_room(self, session: Session, slots: int, limits: Limits, queued: bool) -> bool:
        lane = self.read_lane(session.lane)
        usage = self.read_usage(session.owner, session.lane)
        return (
            (queued or not lane.waiting)
            and (limits.worker_slots is None or lane.used + slots <= limits.worker_slots)
            and (limits.owner_slots is None or usage.slots + slots <= limits.owner_slots)
        )

    def _open_sessions(self) -> list[Session]:
        return [session for session in self._sessions.values() if session.verdict is None]

    def read_lane(self, worker: str, max_age_seconds: float = 0.0) -> Lane:
        with self._lock:
            return Lane(
                used=sum(s.slots for s in self._open_sessions() if s.lane == worker),
                waiting=self._queues.stamp(worker),
                concurrency=self.concurrency.get(worker),
                task_time=self._task_times.get(worker),
            )

    def read_usage(self, owner: str, worker: str) -> Usage:
        with self._lock:
            own = [session for session in self._open_sessions() if session.owner == owner]
            return Usage(
                sessions=len(own),
                tasks=sum(session.tasks for session in own),
                slots=sum(session.slots for session in own if session.lane == worker),
            )

    def read_quota(self, owner: str) -> Quota:
        return self.quotas.get(owner, Quota())

    def list_waiting(self, worker: str, after: str | None, limit: int) -> list[Waiting]:
        with self._lock:
            return self._queues.entries(worker, after, limit)

    def drop_waiting(self, worker: str, entry: Waiting) -> None:
        with self._lock:
            self._queues.drop(worker, entry)

    def clear_waiting(self, worker: str, stamp: str) -> None:
        with self._lock:
            self._queues.clear(worker, stamp)

    def admit(
        self, session: Session, slots: int, limits: Limits, now: float, due_at: float
    ) -> Session | Refusal:
        with self._lock:
            if not self._is_as_read(session):
                return Refusal.CHANGED
            if not self._has_room(session, slots, limits, queued=True):
                return Refusal.NO_ROOM
            self._queues.leave(session)
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
            self._queues.leave(session)
            self._steer(session, due_at, paused=True, waiting=False, slots=0)
            return True

    def enqueue(self, session: Session, due_at: float) -> bool:
        with self._lock:
            if not self._is_as_read(session):
                return False
            waits = not session.blocked
            self._let_wait(self._steer(session, due_at, paused=False, waiting=waits))
            return True

    def unblock(self, session: Session, due_at: float) -> bool:
        with self._lock:
            if not self._is_as_read(session):
                return False
            waits = not session.paused
            self._let_wait(self._steer(session, due_at, blocked=False, waiting=waits))
            return True

    def _let_wait(self, session: Session) -> None:
        if session.waiting:
            self._queues.join(session)

    def mark_failing(self, session_id: str, reason: str, due_at: float) -> None:
        with self._lock:
            session = self._sessions.get(session_id)
            if session and session.verdict is None and session.blocked and not session.reason:
                self._steer(session, due_at, reason=reason)

    def list_dependents(self, session_id: str, after: str | None, limit: int) -> list[str]:
        with self._lock:
            behind = (one for one in self._dependents.get(session_id, ()) if one > (after or ""))
            return sorted(behind)[:limit]

    def set_priority(self, session: Session, priority: int) -> bool:
        with self._lock:
            if not self._is_as_read(session):
                return False
            self._queues.leave(session)
            changed = self._steer(session, None, priority=priority)
            if changed.waiting:
                self._queues.join(changed)
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

    def read_session_and_shards(
        self, session_id: str, limit: int
    ) -> tuple[Session | None, list[Shard]]:
        with self._lock:
            return self.read_session(session_id), self.read_shards(session_id, limit=limit)

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

    def put_job(self, session_id: str, index: int, record: JobRecord, expires_at: int) -> bool:
        with self._lock:
            jobs = self._jobs.setdefault(session_id, {})
            stored = jobs.get(index)
            if stored is not None and not stored.is_replaced_by(record):
                return stored == record
            jobs[index] = record
            return True

    def read_job(self, session_id: str, index: int) -> JobRecord | None:
        return self.read_jobs(session_id, index, 1).get(index)

    def read_jobs(self, session_id: str, first: int, limit: int) -> dict[int, JobRecord]:
        with self._lock:
            jobs = self._jobs.get(session_id, {})
            return {index: jobs[index] for index in sorted(jobs) if first <= index < first + limit}

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
            if session.paused or session.waiting or session.blocked:
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

    def close_session(self, session_id: str, ending: Ending) -> Closing | None:
        with self._lock:
            session = self._sessions.get(session_id)
            if session is None or session.verdict is not None:
                return None
            freed = session.slots and self._queues.stamp(session.lane)
            others_wait = session.waiting or bool(freed)
            self._queues.leave(session)
            session = closed(session, ending)
            self._sessions[session_id] = session
            self._due[session_id] = ending.at
            learned = learn(session.worker_task_time, ending.work.measurement)
            if learned and session.slots:
                self._task_times[session.lane] = learned
            return Closing(session, others_wait)

    def commit_and_close(self, session: Session, commit: RowSwap, ending: Ending) -> Closing | None:
        with self._lock:
            if not self._is_as_read(session) or self._queues.stamp(session.lane):
                return None
            stored, slot = self._stored(commit.shard), commit.slot
            if stored.chunks[slot] != commit.shard.chunks[slot]:
                return None
            self._put(stored.with_chunk(slot, commit.new, commit.inline))
            return self.close_session(session.session_id, ending)

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

    def note_container(self, session: Session, use: ContainerUse) -> None:
        with self._lock:
            self._containers.setdefault(session.session_id, {})[use.token] = use

    def read_containers(self, session_id: str) -> list[ContainerUse]:
        with self._lock:
            return [use for _, use in sorted(self._containers.get(session_id, {}).items())]

    def delete_session(self, session: Session) -> None:
        with self._lock:
            kept = (
                self._shards,
                self._latched,
                self._due,
                self._containers,
                self._dependents,
                self._jobs,
            )
            for stored in kept:
                stored.pop(session.session_id, None)
            for name in [name for name in self._blobs if name[0] == session.session_id]:
                del self._blobs[name]
            if session.session_id in self._sessions:
                self._sessions[session.session_id] = replace(session, deleted=True)
