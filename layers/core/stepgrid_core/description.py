"""What a session looks like to its owner: states, counts and timings, derived from its rows."""

from collections.abc import Sequence

from . import records
from .contract import (
    ContainerUse,
    FederationDescription,
    LoginDescription,
    SessionDescription,
    SessionList,
    SessionSummary,
    SessionTimings,
    TaskCounts,
    WorkerDescription,
    WorkerList,
)
from .ending import end_all
from .errors import NotFound
from .long_poll import poll
from .names import JOB_WORKER, SESSION_ID
from .placement import max_task_timeout
from .ports import Worker
from .records import Session, Work, count, untouched, work
from .states import ChunkState, SessionState, TaskState
from .wiring import Grid

LIST_PAGE = 100
#: A worker publishes what has finished when the deadline passes: it is given so long for that.
DEADLINE_GRACE_SECONDS = 1.0


def own_session(grid: Grid, owner: str, session_id: str) -> Session:
    """Raises NotFound, in the same words for one that is not there and one of somebody else."""
    session = grid.table.read_session(session_id) if may_exist(session_id) else None
    return check_owner(grid, session, owner, session_id)


def may_exist(session_id: str) -> bool:
    """No key of the table is longer than 2 KiB: what can't be an id is not even asked for."""
    return SESSION_ID.fullmatch(session_id) is not None


def check_owner(grid: Grid, session: Session | None, owner: str, session_id: str) -> Session:
    """What was read of a session, if it is the owner's to see; raises as `own_session`."""
    if session is None or not is_own(grid, session, owner):
        raise NotFound(f"there is no session {session_id!r} of yours; it may have expired")
    return session


def is_own(grid: Grid, session: Session, owner: str) -> bool:
    """May the owner see it?"""
    return session.owner == owner and not session.deleted and is_member(grid, session)


def is_member(grid: Grid, session: Session) -> bool:
    """Is its owner still in the collaboration, where it was asked in one?"""
    return session.federation is None or grid.members.may_read(session)


def describe(
    grid: Grid, owner: str, session_id: str, wait_seconds: float = 0.0
) -> SessionDescription:
    """State, counts and timings; waits up to `wait_seconds` for the session to end.

    Whoever asks for a session whose deadline has passed ends it: the sweeper comes once a minute.
    """

    def look() -> Session:
        session = own_session(grid, owner, session_id)
        return own_session(grid, owner, session_id) if end_overdue(grid, session) else session

    return describe_read(grid, poll(grid.clock, wait_seconds, look, has_ended))


def describe_read(grid: Grid, session: Session) -> SessionDescription:
    """State, counts and timings of a session that was read just now."""
    counts, done = _look(grid, session)
    return show(session, counts, _execution(grid, session), done, _containers(grid, session))


def describe_started(grid: Grid, session: Session) -> SessionDescription:
    """One that was started just now, without a read: nothing is known to have run."""
    return show(session, untouched(session), _execution(grid, session))


def _execution(grid: Grid, session: Session) -> str | None:
    return grid.dispatcher.locate(session) if session.dispatches else None


def _containers(grid: Grid, session: Session) -> list[ContainerUse]:
    """Those that have asked for work, in order. A session on Lambda is asked for none."""
    if session.container is None:
        return []
    found = grid.table.read_containers(session.session_id)
    return [_show_container(use) for use in sorted(found, key=lambda use: use.started_at)]


def _show_container(use: records.ContainerUse) -> ContainerUse:
    return ContainerUse(
        vcpu=use.size.vcpu,
        memory_mib=use.size.memory_mib,
        storage_gib=use.size.storage_gib,
        spot=use.size.spot,
        architecture=use.size.architecture,
        started_at=use.started_at,
        seen_at=use.seen_at,
    )


def has_ended(session: Session) -> bool:
    return session.verdict is not None


def end_overdue(grid: Grid, session: Session) -> bool:
    """End a session whose deadline has passed; True if it did: read it again."""
    overdue = grid.clock.now() >= session.deadline_at + DEADLINE_GRACE_SECONDS
    if has_ended(session) or session.cancelling or not overdue:
        return False
    end_all(grid, session, ChunkState.EXPIRED)
    return True


def _look(grid: Grid, session: Session) -> tuple[dict[TaskState, int], Work | None]:
    """Counts, and what the rows of an open session tell of its time."""
    if session.counts is not None:
        return session.counts, None
    shards = grid.table.read_shards(session.session_id)
    counts = count(chunk for shard in shards for chunk in shard.chunks)
    missing = session.tasks - sum(counts.values())  # shards that the submit has yet to write
    counts[TaskState.PENDING] += missing
    return counts, work(shards)


def timings(session: Session, done: Work | None) -> SessionTimings:
    """`done`: of an open session whose rows were read; a closed one has it written down."""
    first_claim_at = done.first_claim_at if done else session.first_claim_at
    queue_seconds = run_seconds = None
    if first_claim_at is not None:
        # Clocks of two machines: the difference may be a little below zero.
        queue_seconds = max(0.0, first_claim_at - session.created_at)
        if session.closed_at is not None:
            run_seconds = max(0.0, session.closed_at - first_claim_at)
    return SessionTimings(
        created_at=session.created_at,
        deadline_at=session.deadline_at,
        dispatched_at=session.dispatched_at or None,
        first_claim_at=first_claim_at,
        closed_at=session.closed_at,
        queue_seconds=queue_seconds,
        run_seconds=run_seconds,
        task_seconds=done.task_seconds if done else session.task_seconds,
    )


def show(
    session: Session,
    counts: dict[TaskState, int],
    execution: str | None = None,
    done: Work | None = None,
    containers: Sequence[ContainerUse] = (),
) -> SessionDescription:
    return SessionDescription(
        session_id=session.session_id,
        state=current_state(session, counts),
        worker=session.worker,
        tasks=session.tasks,
        counts=_show_counts(counts),
        timings=timings(session, done),
        chunk_size=session.layout.largest,
        chunks=session.chunks,
        layout=str(session.layout),
        route=session.route,
        backend=session.backend,
        backend_reason=session.backend_reason or None,
        containers=list(containers),
        reason=session.reason if session.verdict is SessionState.FAILED else None,
        depends_on=list(session.depends_on),
        blocked=session.blocked,
        priority=session.priority,
        waiting=session.waiting,
        paused=session.paused,
        slots=session.slots,
        max_attempts=session.max_attempts,
        task_timeout_seconds=session.task_timeout_seconds,
        execution=execution,
        name=session.name,
        tags=session.tags,
        federation=_show_federation(session),
    )


def _show_federation(session: Session) -> FederationDescription | None:
    facts = session.federation
    if facts is None:
        return None
    return FederationDescription(
        task_id=facts.task_id,
        collaboration_id=facts.collaboration_id,
        organization_ids=list(facts.organization_ids),
    )


def _show_counts(counts: dict[TaskState, int]) -> TaskCounts:
    return TaskCounts.model_validate({str(state): n for state, n in counts.items()})


def current_state(session: Session, counts: dict[TaskState, int]) -> SessionState:
    """Closed sessions have a verdict; an open one runs as soon as anything was claimed."""
    if session.verdict is not None:
        return session.verdict
    untouched = counts[TaskState.PENDING] == session.tasks
    return SessionState.PENDING if untouched else SessionState.RUNNING


def list_sessions(
    grid: Grid, owner: str, state: SessionState | None, cursor: str | None
) -> SessionList:
    """The owner's sessions, newest first."""
    page = grid.table.list_sessions(owner, state, cursor, LIST_PAGE)
    federated = [session for session in page.items if session.federation is not None]
    may_see = grid.each(lambda session: is_member(grid, session), federated)
    hidden = {one.session_id for one, seen in zip(federated, may_see, strict=True) if not seen}
    shown = [session for session in page.items if session.session_id not in hidden]
    return SessionList(sessions=[_summarise(session) for session in shown], cursor=page.next)


def _summarise(session: Session) -> SessionSummary:
    counts = session.counts
    return SessionSummary(
        session_id=session.session_id,
        state=session.verdict or "open",
        worker=session.worker,
        tasks=session.tasks,
        created_at=session.created_at,
        closed_at=session.closed_at,
        counts=None if counts is None else _show_counts(counts),
        name=session.name,
    )


def list_workers(grid: Grid) -> WorkerList:
    """All but that of jobs, to which no session can be sent."""
    workers = [one for one in grid.dispatcher.list_workers() if one.name != JOB_WORKER]
    default = grid.settings.default_worker
    return WorkerList(
        default=default if any(worker.name == default for worker in workers) else None,
        workers=[_describe_worker(grid, worker) for worker in workers],
    )


def _describe_worker(grid: Grid, worker: Worker) -> WorkerDescription:
    lane = grid.table.read_lane(worker.name)
    return WorkerDescription(
        name=worker.name,
        backends=worker.backends,
        timeout_seconds=worker.timeout_seconds,
        memory_mib=worker.memory_mib,
        max_task_timeout_seconds=max_task_timeout(worker),
        task_seconds=lane.task_time.mean if lane.task_time else None,
        kind="function" if worker.is_registered else "package",
        runtime=worker.runtime,
        concurrency=lane.concurrency,
    )


def describe_login(grid: Grid) -> LoginDescription:
    """Where users log in. Raises NotFound where there are none, as in memory."""
    settings = grid.settings
    if not settings.user_pool_id:
        raise NotFound("this grid has no login: sign requests with AWS credentials")
    return LoginDescription(
        region=settings.user_pool_id.partition("_")[0],  # a pool's id is <region>_<name>
        user_pool_id=settings.user_pool_id,
        user_pool_client_id=settings.user_pool_client_id,
        identity_pool_id=settings.identity_pool_id,
        aws_endpoint_url=settings.aws_endpoint_url,
    )
