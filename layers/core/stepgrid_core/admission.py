"""Who starts now and who waits: sessions share the budget of their worker.

    submit --> accept --+--> slots --------------------------------> start
                        |--> queue --> admit_waiting --> slots ---> start
                        |      ^            ^
                        `--> blocked        |        (until its dependencies are over)
                                            |
    session closed or paused --> wake ------'        (and the sweeper, every minute)

Slots and places in the queue are part of the session's own transaction, so a crash loses none. A
session that has slots but whose execution was not started is found by the sweeper.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .announcement import tell
from .budgets import Lane, Limits, Usage, exceeded, slots_for, wanted_slots
from .closing import close
from .contract import QuotaDescription
from .ending import complete_shards
from .errors import NotFound, QuotaExceeded
from .holding import let_chunks_go
from .listing import LOOK_AGAIN_SECONDS
from .ports import Dispatch, Refusal, Waiting
from .records import Session, Shard, pending_chunks
from .session_events import started
from .telemetry import logger
from .wiring import Grid

#: Entries of a queue that are read at once.
QUEUE_PAGE = 50
#: A session that changes while it is admitted is read again, so often at most.
ADMIT_TRIES = 3


def limits_of(grid: Grid, owner: str, lane_name: str, lane: Lane) -> Limits:
    """What an administrator set for this owner and lane, otherwise what the grid's settings say.

    0 in the settings means no limit.
    """
    settings, quota = grid.settings, grid.table.read_quota(owner)

    def choose(special: int | None, general: int) -> int | None:
        return special if special is not None else general or None

    return Limits(
        sessions=choose(quota.sessions, settings.owner_sessions),
        tasks=choose(quota.tasks, settings.owner_tasks),
        owner_slots=choose(quota.slots, settings.owner_concurrency),
        worker_slots=choose(lane.concurrency, settings.lane_concurrency(lane_name)),
    )


def check_quota(grid: Grid, owner: str, session_id: str, tasks: int, limits: Limits) -> None:
    """Raises QuotaExceeded, before anything of the session is stored.

    A submit that is repeated is not refused: its session is there already.
    """
    if limits.sessions is None and limits.tasks is None:
        return
    reason = exceeded(tasks, limits, grid.table.read_usage(owner, ""))
    if reason and grid.table.read_session(session_id) is None:
        raise QuotaExceeded(reason)


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session with all that is stored beside it in the same transaction."""

    session: Session
    blob: bytes
    shards: Sequence[Shard] = ()


def accept(grid: Grid, new: NewSession, lane: Lane, limits: Limits) -> Session:
    """Store a new session with slots or with a place in the queue; answers what is stored.

    `lane` may be a little old: as long as it shows room for all that the session could use, that is
    believed, and the transaction finds out. Otherwise it is read again: a limit may be another.
    Somebody else may take the last slots in between: then it waits, and is admitted in its turn.
    A blocked session gets neither. Raises QuotaExceeded, NotFound if what it depends on is gone.
    """
    session = new.session
    if session.blocked:
        return _accepted(grid, session, _store(grid, new, limits), limits)
    stored: Session | Refusal = Refusal.NO_ROOM
    slots = _slots_now(grid, session, lane, limits)
    if slots == wanted_slots(session, Limits()):
        stored = _store(grid, new, limits, slots=slots)
    if stored is Refusal.NO_ROOM:
        lane = grid.table.read_lane(session.lane)
        limits = limits_of(grid, session.owner, session.lane, lane)
        slots = _slots_now(grid, session, lane, limits)
        stored = _store(grid, new, limits, slots=slots) if slots else Refusal.NO_ROOM
    if stored is Refusal.NO_ROOM:
        stored = _store(grid, new, limits, waiting=True)
    return _accepted(grid, session, stored, limits)


def accept_without_slots(grid: Grid, new: NewSession, limits: Limits) -> Session:
    """Store a session that takes none of any worker's slots, and so waits for none.

    Raises QuotaExceeded.
    """
    return _accepted(grid, new.session, _store(grid, new, limits), limits)


def _accepted(grid: Grid, session: Session, stored: Session | Refusal, limits: Limits) -> Session:
    if stored is Refusal.DEPENDENCY:
        names = ", ".join(session.depends_on)
        raise NotFound(f"not all of these are sessions of yours; they may have expired: {names}")
    if isinstance(stored, Refusal):
        check_quota(grid, session.owner, session.session_id, session.tasks, limits)
        raise QuotaExceeded("you have as much at work as this grid allows you; try again later")
    return stored


def _store(
    grid: Grid, new: NewSession, limits: Limits, *, slots: int = 0, waiting: bool = False
) -> Session | Refusal:
    session = replace(new.session, waiting=waiting)
    if slots:
        session = replace(session, slots=slots, dispatches=1, dispatched_at=session.created_at)
    return grid.table.create_session(session, new.blob, limits, new.shards)


def _slots_now(grid: Grid, session: Session, lane: Lane, limits: Limits) -> int:
    if lane.waiting:
        return 0
    return slots_for(session, limits, lane, _usage(grid, session, limits))


def _usage(grid: Grid, session: Session, limits: Limits) -> Usage:
    """Read only where an owner's part of a worker is limited."""
    if limits.owner_slots is None:
        return Usage()
    return grid.table.read_usage(session.owner, session.lane)


def admit_waiting(grid: Grid, worker: str) -> int:
    """Start waiting sessions in order until the worker has no room; answers how many.

    A session that only its owner's quota keeps back lets those of other owners pass, but none of
    the same owner: those are passed over unread, so that a long queue of one owner costs little.
    """
    stamp = grid.table.read_lane(worker).waiting
    after: str | None = None
    started, kept_back = 0, set[str]()
    while entries := grid.table.list_waiting(worker, after, QUEUE_PAGE):
        for entry in entries:
            if entry.owner in kept_back:
                continue
            outcome = _admit(grid, worker, entry)
            if outcome is Refusal.NO_ROOM:
                return started
            if outcome is Refusal.QUOTA:
                kept_back.add(entry.owner)
            started += outcome is None
        after = entries[-1].place
    if stamp and not kept_back:
        grid.table.clear_waiting(worker, stamp)
    return started


def _admit(grid: Grid, worker: str, entry: Waiting) -> Refusal | None:
    """None: it runs. QUOTA: its owner may not have more now. CHANGED: it waits no longer."""
    for _ in range(ADMIT_TRIES):
        session = grid.table.read_session(entry.session_id)
        if session is None or not _waits(session, grid.clock.now()):
            grid.table.drop_waiting(worker, entry)
            return Refusal.CHANGED
        lane = grid.table.read_lane(worker)
        limits = limits_of(grid, session.owner, session.lane, lane)
        slots = slots_for(session, limits, lane, _usage(grid, session, limits))
        if not slots:
            alone = replace(limits, owner_slots=None)
            return Refusal.QUOTA if slots_for(session, alone, lane, Usage()) else Refusal.NO_ROOM
        now = grid.clock.now()
        admitted = grid.table.admit(session, slots, limits, now, now + LOOK_AGAIN_SECONDS)
        if isinstance(admitted, Session):
            start(grid, admitted)
            return None
    return Refusal.NO_ROOM


def _waits(session: Session, now: float) -> bool:
    return session.waiting and session.verdict is None and now < session.deadline_at


def start(grid: Grid, session: Session) -> None:
    """Start an execution for what is to run of a session that was admitted from the queue."""
    shards = let_chunks_go(grid, session, complete_shards(grid, session))
    if shards is None:
        return
    if close(grid, shards) is not None:
        return  # all that was left has ended while it was paused
    logger.info("session started", session_id=session.session_id, slots=session.slots)
    grid.dispatcher.start(Dispatch(session, session.dispatches, pending_chunks(shards)))
    if session.dispatches == 1:
        tell(grid, started(session))


def show_quota(grid: Grid, owner: str) -> QuotaDescription:
    usage, limits = grid.table.read_usage(owner, ""), limits_of(grid, owner, "", Lane())
    return QuotaDescription(
        owner=owner,
        sessions=usage.sessions,
        max_sessions=limits.sessions,
        tasks=usage.tasks,
        max_tasks=limits.tasks,
        max_concurrency=limits.owner_slots,
    )
