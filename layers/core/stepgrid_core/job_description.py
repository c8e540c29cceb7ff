"""What a job looks like to its owner, and how it is ended.

    job id --> session (owner, worker) --> row, report --> job_states --> description

A job's id is its session's; that of one job of an array adds its number, as a task id does. What
can't be an id, is not there or is somebody else's gets the same answer.
"""

from dataclasses import dataclass

from .cancellation import cancel
from .contract import JobDescription, JobList, JobOutputs, JobSummary
from .description import end_overdue, is_own
from .errors import InvalidRequest, NotFound
from .job_outputs import outputs_of
from .job_states import array_counts, array_state, closed_state, reported, stages_of, state_of
from .listing import sort_key
from .names import JOB_ID, JOB_WORKER, shard_of, task_id
from .outputs import task_error
from .records import JobFacts, JobRecord, Session, Shard, count, work
from .states import TERMINAL_JOBS, JobState, TaskState
from .wiring import Grid

LIST_PAGE = 100
#: Pages of sessions that are read for one page of jobs: an owner may have many of other workers.
LIST_READS = 10


@dataclass(frozen=True, slots=True)
class Job:
    """A job that was found. index: None: an array as a whole."""

    session: Session
    facts: JobFacts
    index: int | None

    @property
    def job_id(self) -> str:
        if self.index is None or self.session.tasks == 1:
            return self.session.session_id
        return task_id(self.session.session_id, self.index)


def find_job(grid: Grid, owner: str, job_id: str) -> Job:
    """Raises NotFound. Whoever asks for a job whose deadline has passed ends it."""
    match = JOB_ID.fullmatch(job_id)
    session = grid.table.read_session(match["session"]) if match else None
    if session is not None and is_own(grid, session, owner) and end_overdue(grid, session):
        session = grid.table.read_session(session.session_id)
    job = session and match and is_own(grid, session, owner) and _job(session, match["index"])
    if not job:
        raise NotFound(f"there is no job {job_id[:80]!r} of yours; it may have expired")
    return job


def _job(session: Session, number: str | None) -> Job | None:
    if session.worker != JOB_WORKER or session.job is None:
        return None
    if number is None:
        return Job(session, session.job, 0 if session.tasks == 1 else None)
    index = int(number)
    return Job(session, session.job, index) if index < session.tasks else None


def describe_job(grid: Grid, owner: str, job_id: str) -> JobDescription:
    """State, times and outcome of a job, of one of an array, or of an array as a whole."""
    job = find_job(grid, owner, job_id)
    return _describe_array(grid, job) if job.index is None else _describe_one(grid, job, job.index)


def _describe_one(grid: Grid, job: Job, index: int) -> JobDescription:
    session = job.session
    number, slot = shard_of(index)
    shard = grid.table.read_shard(session.session_id, number)
    record = grid.table.read_job(session.session_id, index)
    state = state_of(session, shard.chunks[slot] if shard else None, record)
    over = state in TERMINAL_JOBS
    description = _describe(job, state)
    if record is None:
        closed_at = session.closed_at if over else None
        error = _error(grid, session, shard, slot) if state is JobState.FAILED else None
        return description.model_copy(update={"completed_at": closed_at, "error": error})
    error = record.error
    if state is JobState.FAILED and record.state is not JobState.FAILED:
        error = _error(grid, session, shard, slot) or error
    outcome = {
        "started_at": record.staging_inputs_at,
        "completed_at": (record.ended_at or session.closed_at) if over else None,
        "stages": stages_of(record),
        "exit_code": record.exit_code,
        "error": error,
        "error_code": record.error_code,
        "missing": list(record.missing),
    }
    return description.model_copy(update=outcome)


def _error(grid: Grid, session: Session, shard: Shard | None, slot: int) -> str | None:
    """What the grid says of a job that reported no failure itself."""
    if shard is None:
        return "its session ended before it began"
    error = task_error(grid, session, shard, slot)
    return None if error is None else f"{error['type']}: {error['message']}"


def _describe_array(grid: Grid, job: Job) -> JobDescription:
    session = job.session
    tasks, started_at = session.counts, session.first_claim_at
    if tasks is None:
        shards = grid.table.read_shards(session.session_id)
        tasks = count(chunk for shard in shards for chunk in shard.chunks)
        tasks[TaskState.PENDING] += session.tasks - sum(tasks.values())
        started_at = work(shards).first_claim_at
    counts = array_counts(tasks)
    failed = counts.get(JobState.FAILED, 0)
    more = {
        "started_at": started_at,
        "completed_at": session.closed_at,
        "counts": counts,
        "error": f"{failed} of {session.tasks} jobs failed" if failed else None,
    }
    return _describe(job, array_state(session, counts)).model_copy(update=more)


def _describe(job: Job, state: JobState) -> JobDescription:
    session, facts = job.session, job.facts
    return JobDescription(
        job_id=job.job_id,
        state=state,
        name=session.name,
        queue=session.queue,
        executable=facts.executable,
        array=session.tasks if job.index is None else 1,
        walltime_seconds=facts.walltime_seconds,
        created_at=session.created_at,
        args=list(facts.args),
        script_name=facts.script_name,
        inputs=list(facts.inputs),
        depends_on=list(facts.depends_on),
        tags=session.tags,
        error_code=None,
        counts=None,
    )


def list_jobs(grid: Grid, owner: str, cursor: str | None) -> JobList:
    """The owner's jobs, newest first; an array is one line.

    A page may have fewer than there are, and even none, as long as it has a cursor.
    """
    found: list[Session] = []
    for _ in range(LIST_READS):
        page = grid.table.list_sessions(owner, None, cursor, LIST_PAGE)
        found += [session for session in page.items if _job(session, None)]
        cursor = page.next
        if cursor is None or len(found) >= LIST_PAGE:
            break
    if len(found) > LIST_PAGE:
        found = found[:LIST_PAGE]
        cursor = sort_key(found[-1])
    return JobList(jobs=grid.each(lambda session: _summarise(grid, session), found), cursor=cursor)


def _summarise(grid: Grid, session: Session) -> JobSummary:
    return JobSummary(
        job_id=session.session_id,
        state=_listed_state(grid, session),
        name=session.name,
        queue=session.queue,
        array=session.tasks,
        created_at=session.created_at,
        completed_at=session.closed_at,
    )


def _listed_state(grid: Grid, session: Session) -> JobState:
    """By one read at most, and none once it is closed: an open one by what its first job says."""
    if session.verdict is not None:
        return closed_state(session)
    record: JobRecord | None = None
    if session.dispatches:
        record = grid.table.read_job(session.session_id, 0)
    if session.tasks == 1:
        return reported(record)
    return JobState.PENDING if record is None else JobState.PROCESSING


def list_outputs(grid: Grid, owner: str, job_id: str) -> JobOutputs:
    """What a job left behind, and what it should have left.

    Raises InvalidRequest for an array as a whole: its jobs have ids of their own.
    """
    job = find_job(grid, owner, job_id)
    if job.index is None:
        raise InvalidRequest(
            f"job {job.job_id} is an array of {job.session.tasks}; ask for one of its jobs, "
            f"for example {task_id(job.session.session_id, 0)}"
        )
    record = grid.table.read_job(job.session.session_id, job.index)
    return JobOutputs(job_id=job.job_id, outputs=outputs_of(grid, job.session, job.index, record))


def cancel_job(grid: Grid, owner: str, job_id: str) -> JobDescription:
    """End a job, or an array; answers what has become of it. One that has ended stays as it is.

    Raises InvalidRequest for one job of an array: they are one session.
    """
    job = find_job(grid, owner, job_id)
    session_id = job.session.session_id
    if job.index is not None and job.session.tasks > 1:
        raise InvalidRequest(
            f"job {job.job_id} is one of an array, which is ended as a whole: cancel {session_id}"
        )
    cancel(grid, owner, [session_id])
    return describe_job(grid, owner, session_id)
