"""Pure decisions about who may run: slots of a worker, quotas of an owner, order of the queue.

A *slot* is one chunk that runs at once. A session holds its slots from its start to its end; the
slots of all sessions of a worker stay within the worker's *budget*. Who finds no room waits.

    rank = created_at - priority x HEAD_START_SECONDS         the lowest rank starts first

So a more urgent session starts before those that wait, but passes only those that have not waited
for longer than its head start: nobody starves. This module knows no table and no clock.
"""

from dataclasses import dataclass

from .records import Session
from .task_time import TaskTime

#: What one step of priority is worth against waiting: with 9 steps, at most 90 minutes.
HEAD_START_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be held at once; None: as much as anybody likes."""

    sessions: int | None = None  #: open sessions of the owner
    tasks: int | None = None  #: tasks in the owner's open sessions
    owner_slots: int | None = None  #: slots of the owner on one worker
    worker_slots: int | None = None  #: slots of everybody on the worker

    @property
    def slots(self) -> int | None:
        """That one session can have on the worker, if nobody else is there."""
        known = [slots for slots in (self.owner_slots, self.worker_slots) if slots is not None]
        return min(known, default=None)


@dataclass(frozen=True, slots=True)
class Quota:
    """What an administrator set for one owner, in place of the grid's numbers."""

    sessions: int | None = None
    tasks: int | None = None
    slots: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What an owner's open sessions hold; `slots` on one worker."""

    sessions: int = 0
    tasks: int = 0
    slots: int = 0


@dataclass(frozen=True, slots=True)
class Lane:
    """A worker as its sessions share it."""

    used: int = 0  #: slots that sessions hold
    #: changes with every session that begins to wait; empty while none does
    waiting: str = ""
    #: slots that an administrator set for this worker, in place of the grid's number
    concurrency: int | None = None
    task_time: TaskTime | None = None  #: measured by the sessions before


def grant(wanted: int, used: int, limit: int | None) -> int:
    """Slots for a session that wants so many, or 0: it waits.

    Half of what it wants is enough to start: a large session need not wait until its worker is
    quite idle, and does not crawl to its end on one slot either.
    """
    if limit is None:
        return wanted
    wanted = min(wanted, limit)
    room = limit - used
    return min(wanted, room) if room >= -(-wanted // 2) else 0


def wanted_slots(session: Session, limits: Limits) -> int:
    """Never more than there are: otherwise the session would wait for ever."""
    most = min(session.chunks, session.max_concurrency)
    return max(1, most if limits.slots is None else min(most, limits.slots))


def slots_for(session: Session, limits: Limits, lane: Lane, usage: Usage) -> int:
    """What the session may take now, of the worker's budget and of its owner's part in it."""
    wanted = wanted_slots(session, limits)
    of_owner = grant(wanted, usage.slots, limits.owner_slots)
    of_worker = grant(wanted, lane.used, limits.worker_slots)
    return min(of_owner, of_worker)


def rank(session: Session) -> float:
    """Its place in the queue of its worker: the lowest starts first."""
    return session.created_at - session.priority * HEAD_START_SECONDS


def exceeded(tasks: int, limits: Limits, usage: Usage) -> str | None:
    """Which quota of its owner a session of so many tasks would break, in words; None if none."""
    if limits.tasks is not None and tasks > limits.tasks:
        return (
            f"the session has {tasks} tasks; this grid allows you {limits.tasks} at once: "
            "cut it into smaller ones"
        )
    if limits.sessions is not None and usage.sessions + 1 > limits.sessions:
        return (
            f"you have {usage.sessions} open sessions; this grid allows you {limits.sessions}: "
            "wait for one to end, or cancel one"
        )
    if limits.tasks is not None and usage.tasks + tasks > limits.tasks:
        return (
            f"the session has {tasks} tasks and your open sessions have {usage.tasks}; "
            f"this grid allows you {limits.tasks} at once: wait for one to end, or cancel one"
        )
    return None
