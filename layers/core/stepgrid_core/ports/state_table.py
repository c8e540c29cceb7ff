"""Where sessions and shards are kept, and what they hold of budgets."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from ..budgets import Lane, Limits, Quota, Usage
from ..records import Chunk, ContainerUse, Ending, JobRecord, Session, Shard
from ..states import SessionState
from .page import Page


@dataclass(frozen=True, slots=True)
class Swap:
    """What became of a conditional write: did ours win, and what is stored now."""

    won: bool
    shard: Shard


class Refusal(StrEnum):
    """Why a session was not stored or not started: nothing was changed."""

    QUOTA = "quota"  #: of its owner: open sessions, or tasks in them
    NO_ROOM = "no room"  #: too few slots are left, or others wait for them already
    CHANGED = "changed"  #: the session is no longer as it was read
    DEPENDENCY = "dependency"  #: what it depends on is not there, or not its owner's


@dataclass(frozen=True, slots=True)
class Waiting:
    """An entry in the queue of a worker."""

    place: str  #: sorts by rank; as a cursor it leads to those behind
    session_id: str
    owner: str
    stamp: str  #: new whenever a session begins to wait, also in the same place


@dataclass(frozen=True, slots=True)
class RowSwap:
    """One row of a shard as it was read, and what is to take its place."""

    shard: Shard
    slot: int
    new: Chunk
    inline: bytes | None = None  #: its output, where that is kept in the shard

    @property
    def after(self) -> Shard:
        return self.shard.with_chunk(self.slot, self.new, self.inline)


@dataclass(frozen=True, slots=True)
class Closing:
    """A session that was closed just now."""

    session: Session
    others_wait: bool  #: perhaps for what it held, in the queue of its worker


class StateTable(Protocol):
    """Sessions and shards. Reads are strongly consistent unless said otherwise.

    Whatever changes what a session holds of a budget changes the session in the same transaction:
    budgets are the sums over open sessions at any moment, whoever dies.
    """

    def create_session(
        self, session: Session, blob: bytes, limits: Limits, shards: Sequence[Shard] = ()
    ) -> Session | Refusal:
        """Store all of these, or nothing if the id is taken; answer the session that is stored.

        The blob is what the shards can be made from again: the tasks themselves where the table
        keeps them, otherwise the chunk boundaries. The session holds its `slots` from then on, or
        if it is `waiting` gets its place in the queue. If it is `blocked`, each session that it
        depends on has it among its dependents.
        """

    def read_blob(self, session_id: str, blob_id: str) -> bytes:
        """What was stored with the session. Raises NotFound."""

    def create_shards(self, session: Session, shards: Sequence[Shard]) -> None:
        """Store those that are not there yet; never touches one that is."""

    def read_session(self, session_id: str) -> Session | None: ...

    def read_session_and_shards(
        self, session_id: str, limit: int
    ) -> tuple[Session | None, list[Shard]]:
        """The session and its shards before number `limit`, by one request where they are small.

        The session is not younger than the shards: if it is closed, they are final.
        """

    def read_shard(self, session_id: str, number: int) -> Shard | None: ...

    def read_shards(self, session_id: str, first: int = 0, limit: int | None = None) -> list[Shard]:
        """In order of their numbers, from `first` on; at most `limit` numbers."""

    def swap_chunk(
        self,
        shard: Shard,
        slot: int,
        new: Chunk,
        inline: bytes | None = None,
        claimed_at: float | None = None,
    ) -> Swap:
        """One row, only if it is still `shard.chunks[slot]`; other rows may have changed.

        Also won if what is stored is `new`: then the answer to our own write got lost.
        With the row, the first `claimed_at` (epoch seconds) that
        is given for any row of the shard is kept as its `first_claim_at`.
        Raises NotFound if there is no such shard.
        """

    def swap_shard(self, old: Shard, new: Shard) -> Swap:
        """All rows at once, only if none of them changed."""

    def put_job(self, session_id: str, index: int, record: JobRecord, expires_at: int) -> bool:
        """Keep how far a job has come, in place of what was kept before.

        False if that is of a later attempt, or another end of the same one: nothing was changed.
        """

    def read_job(self, session_id: str, index: int) -> JobRecord | None: ...

    def read_jobs(self, session_id: str, first: int, limit: int) -> dict[int, JobRecord]:
        """What there is of jobs `first` to `first + limit - 1`, by their index."""

    def latch(self, session_id: str, shard: int, expires_at: int) -> int:
        """Note that a shard is terminal; answers how many are. Repeating it changes nothing.

        What it keeps is removed some time after `expires_at` (epoch seconds).
        """

    def mark_dispatched(self, session_id: str, dispatch: int, now: float, due_at: float) -> bool:
        """Raise `dispatches` from `dispatch` - 1 to `dispatch`.

        False if somebody else did, or it is paused, waiting or blocked: then it has no right to
        run.
        """

    def read_lane(self, worker: str, max_age_seconds: float = 0.0) -> Lane:
        """As it is, or as it was at most so long ago."""

    def read_usage(self, owner: str, worker: str) -> Usage: ...

    def read_quota(self, owner: str) -> Quota:
        """What an administrator allowed this owner; may be a minute old."""

    def list_waiting(self, worker: str, after: str | None, limit: int) -> list[Waiting]:
        """The queue of a worker in order of rank, from behind the place `after`."""

    def drop_waiting(self, worker: str, entry: Waiting) -> None:
        """Remove an entry whose session waits no longer; if it does again, that is another one."""

    def clear_waiting(self, worker: str, stamp: str) -> None:
        """Note that nobody waits, unless somebody began to since `stamp` was read (see Lane)."""

    def admit(
        self, session: Session, slots: int, limits: Limits, now: float, due_at: float
    ) -> Session | Refusal:
        """Take a waiting session out of the queue and give it slots, as its next dispatch."""

    def pause(self, session: Session, due_at: float) -> bool:
        """Give back its slots, or its place in the queue; False if it is not as it was read."""

    def enqueue(self, session: Session, due_at: float) -> bool:
        """A paused session waits again, for slots or still for its dependencies.

        False if it is not as it was read.
        """

    def unblock(self, session: Session, due_at: float) -> bool:
        """A blocked session waits for slots from now on, or is only paused.

        False if it is not as it was read.
        """

    def mark_failing(self, session_id: str, reason: str, due_at: float) -> None:
        """So that whoever ends a blocked session knows why; the first reason stays."""

    def list_dependents(self, session_id: str, after: str | None, limit: int) -> list[str]:
        """Ids of the sessions that were made to wait for this one, in order, from behind `after`.

        Also of those that wait no longer.
        """

    def set_priority(self, session: Session, priority: int) -> bool:
        """Also moves it in the queue; False if it is not as it was read."""

    def mark_cancelling(self, session_id: str, due_at: float) -> None:
        """So that a cancel which dies half-way is finished by the sweeper."""

    def raise_progress(self, session_id: str, percent: int) -> Session | None:
        """Only who raises it first so far gets the session, and only while it is open."""

    def close_session(self, session_id: str, ending: Ending) -> Closing | None:
        """Only the first closes: it gets the session, everybody after it None.

        What the session held of budgets is free from then on, and so is its place in a queue. The
        running mean of its worker moves on from what it was at the submit (see Lane).
        """

    def commit_and_close(self, session: Session, commit: RowSwap, ending: Ending) -> Closing | None:
        """Write the last open row of a session and its end, both or neither.

        As swap_chunk and close_session do one after the other. None if nothing was changed: the row
        or the session is not as it was read, or somebody waits for its slots.
        """

    def postpone(self, session_id: str, due_at: float | None) -> None:
        """When the sweeper is to look again; None: never."""

    def due_sessions(self, now: float, limit: int) -> list[str]:
        """Ids of sessions whose time to look has come (eventually consistent)."""

    def list_sessions(
        self, owner: str, state: SessionState | None, cursor: str | None, limit: int
    ) -> Page[Session]:
        """Newest first (eventually consistent). Raises InvalidRequest for a bad cursor."""

    def note_container(self, session: Session, use: ContainerUse) -> None:
        """Keep it with its session, in place of what was said of the same token."""

    def read_containers(self, session_id: str) -> list[ContainerUse]:
        """All that were noted, in order of their tokens."""

    def delete_session(self, session: Session) -> None:
        """Remove shards, blob, latch and jobs; the session that is left says only: it is deleted.

        An old execution of it may still claim chunks: a new session of the same id would get them.
        """
