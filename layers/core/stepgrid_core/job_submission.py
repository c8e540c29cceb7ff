"""Accepting a job: it becomes a session of one task, an array of jobs one of many.

    queue --> walltime, size --> inputs --> retention --> submission.submit, with the queue's terms

The job's spec travels as the session's common input. What is told of jobs is kept beside the
session, because the spec's object does not live as long. Knows nothing of containers.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from .codec import encode
from .common_input import INLINE_COMMON_BYTES
from .contract import (
    MAX_SESSION_TIMEOUT_SECONDS,
    MAX_TASK_TIMEOUT_SECONDS,
    ContainerOptions,
    JobRequest,
    JobSpec,
    SessionOptions,
    SubmitRequest,
)
from .errors import InvalidRequest, NotFound, RequestTooLarge
from .job_files import check_inputs
from .names import JOB_WORKER
from .queues import Queue, find_queue, read_queues
from .records import JobFacts
from .settings import Settings
from .submission import Terms, submit
from .wiring import Grid

#: What a job is given beyond its walltime, to fetch its inputs and store its outputs.
STAGING_SECONDS = 2 * 3600
MAX_JOB_ATTEMPTS = 3
#: The folders whose objects the bucket removes after so many days; see names.job_output_key.
OUTPUT_DAYS = (1, 7, 30, 90, 365)
#: Of the outputs that a job names: they are kept beside its session, which is read often.
MOST_OUTPUT_NAMES_BYTES = 16 * 1024
#: Of its arguments and of its inputs, which are kept there to be shown.
MOST_SHOWN_BYTES = 8 * 1024
#: Containers that one session may ask for (contract.ContainerOptions).
MOST_CONTAINERS = 1000
DAY_SECONDS = 86_400


def submit_job(grid: Grid, owner: str, request: JobRequest) -> str:
    """Accept a job, or find the one that the same token and job made before; answers its id.

    Raises InvalidRequest for a queue, walltime, size, input or retention that can't be had,
    RequestTooLarge for a job of too many bytes, NotFound in a grid without jobs, and what
    `submission.submit` raises.
    """
    if grid.dispatcher.find_worker(JOB_WORKER) is None:
        raise NotFound("this grid runs no jobs: it was deployed without containers")
    queue = find_queue(read_queues(grid.settings.queues), request.queue, owner)
    walltime_seconds = choose_walltime(request.walltime_seconds, queue)
    check_resources(request.resources, queue)
    check_inputs(grid, owner, request.inputs)
    facts = _facts(request, walltime_seconds)
    days = choose_days(request.retention_days, grid.settings)
    session_request = SubmitRequest(
        client_token=request.client_token,
        worker=JOB_WORKER,
        tasks=[{"index": index, "count": request.array} for index in range(request.array)],
        common=_spec(request, walltime_seconds),
        depends_on=request.depends_on,
        options=_options(request, queue, walltime_seconds, grid.settings),
    )
    terms = Terms(queue=queue, job=facts, output_days=days)
    return submit(grid, owner, session_request, terms).session.session_id


def choose_walltime(asked: int | None, queue: Queue) -> int:
    """Raises InvalidRequest for more than the queue gives."""
    most = queue.max_walltime_seconds
    if asked is None:
        return min(queue.walltime_seconds, most)
    if asked > most:
        raise InvalidRequest(
            f"walltime_seconds is {asked}; queue {queue.name!r} gives a job {most} s at most"
        )
    return asked


def check_resources(asked: ContainerOptions | None, queue: Queue) -> None:
    """Raises InvalidRequest for a larger container than those of the queue."""
    if asked is None:
        return
    if asked.count is not None:
        raise InvalidRequest("resources.count: a job has one container; use array for more jobs")
    for name in ("vcpu", "memory_mib", "storage_gib"):
        wished, given = getattr(asked, name), getattr(queue, name)
        if wished is not None and wished > given:
            raise InvalidRequest(
                f"resources.{name} is {wished:g}; queue {queue.name!r} gives a job {given:g}"
            )


def choose_days(asked: int | None, settings: Settings) -> int:
    """How long outputs are kept. Left out: as long as sessions are, or somewhat longer.

    Raises InvalidRequest for more than the grid allows.
    """
    most = settings.max_output_days
    possible = [days for days in OUTPUT_DAYS if days <= most] or list(OUTPUT_DAYS[:1])
    if asked is None:
        enough = (days for days in possible if days >= settings.retention_days)
        return next(enough, possible[-1])
    if asked not in possible:
        raise InvalidRequest(
            f"retention_days is {asked}; this grid keeps outputs {possible[-1]} days at most"
        )
    return asked


def session_seconds(walltime_seconds: int, settings: Settings) -> int:
    """How long a job may wait, run and be staged, all together: as long as its input is kept."""
    most = min(settings.retention_days * DAY_SECONDS, MAX_SESSION_TIMEOUT_SECONDS)
    if walltime_seconds + STAGING_SECONDS > most:
        raise InvalidRequest(
            f"walltime_seconds is {walltime_seconds}; with {STAGING_SECONDS} s for its files the "
            f"job would outlive its session, which this grid keeps {most} s"
        )
    return most


def _options(
    request: JobRequest, queue: Queue, walltime_seconds: int, settings: Settings
) -> SessionOptions:
    # Each job has a container to itself, as many at once as the queue lets run.
    count = min(request.array, queue.concurrency, MOST_CONTAINERS)
    resources = request.resources or ContainerOptions.model_validate({})
    options: dict[str, Any] = {
        "name": request.name,
        "tags": request.tags,
        "timeout_seconds": session_seconds(walltime_seconds, settings),
        "task_timeout_seconds": min(walltime_seconds + STAGING_SECONDS, MAX_TASK_TIMEOUT_SECONDS),
        "max_attempts": MAX_JOB_ATTEMPTS,
        "chunk_size": 1,
        "backend": "fargate",
        "container": resources.model_copy(update={"count": count}),
    }
    return SessionOptions.model_validate(options)


def _spec(request: JobRequest, walltime_seconds: int) -> dict[str, Any]:
    """The JSON of a contract.JobSpec. Raises RequestTooLarge."""
    spec = request.model_dump(mode="json", include=set(JobSpec.model_fields))
    spec["walltime_seconds"] = walltime_seconds
    size = len(encode(spec))
    if size > INLINE_COMMON_BYTES:
        raise RequestTooLarge(
            f"the job has {size} bytes; this grid takes {INLINE_COMMON_BYTES}: put what is large "
            "into a file (POST /v1/uploads with file) and name it in inputs"
        )
    return spec


def _facts(request: JobRequest, walltime_seconds: int) -> JobFacts:
    size = len("".join(request.outputs).encode())
    if size > MOST_OUTPUT_NAMES_BYTES:
        raise InvalidRequest(
            f"outputs: the names have {size} bytes together, and {MOST_OUTPUT_NAMES_BYTES} is the "
            "most; use patterns"
        )
    return JobFacts(
        executable=request.executable,
        walltime_seconds=walltime_seconds,
        outputs=tuple(request.outputs),
        script_name=None if request.script is None else request.script_name,
        depends_on=tuple(request.depends_on),
        args=first_of(request.args),
        inputs=first_of([each.url for each in request.inputs]),
    )


def first_of(texts: Sequence[str]) -> tuple[str, ...]:
    """As many as are shown with a job."""
    sizes = accumulate(len(text.encode()) for text in texts)
    return tuple(text for text, size in zip(texts, sizes, strict=True) if size <= MOST_SHOWN_BYTES)
