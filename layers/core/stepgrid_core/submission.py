"""Accepting a session.

    validate -> quota -> plan -> accept (slots, or a place in the queue; few shards with it)
             -> create_shards, where there are many
             -> start the execution, or see whether it is this one's turn -> 202

What depends on other sessions is accepted blocked, and looked at once more: see `dependencies`.

Every step can be repeated, and the sweeper finishes any prefix of them. Where the tasks come from
is the business of `material`.
"""

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from secrets import token_urlsafe

from .admission import NewSession, accept, admit_waiting, check_quota
from .announcement import tell
from .common_input import create_common_upload, keep_common
from .contract import (
    HOW_TO_FEDERATE,
    MIN_PART_BYTES,
    SessionOptions,
    SubmitRequest,
    Upload,
    UploadRequest,
)
from .dependencies import Dependencies, check, release
from .errors import Conflict, InvalidRequest, RequestTooLarge
from .job_files import create_file_upload
from .material import Material, gather, size_of
from .metrics import Metric
from .names import FEDERATION_WORKER, JOB_WORKER, input_key, session_id
from .packing import Packed
from .placement import Placement, place
from .ports import URL_SECONDS, Dispatch, Worker
from .queues import Queue
from .records import CommonRef, JobFacts, Session
from .recovery import revive
from .session_events import accepted, started
from .sharding import cut_lines, make_blob, make_shards
from .telemetry import logger
from .wiring import Grid

#: A session of so few shards is stored by one request. In a transaction a write costs twice as
#: much (DynamoDB, "Managing capacity for transactions"), so those of larger ones are put alone.
SHARDS_STORED_TOGETHER = 4


def create_upload(grid: Grid, owner: str, request: UploadRequest) -> Upload:
    """Presigned URLs under the owner's own folder. Nothing is stored by asking.

    Raises RequestTooLarge for parts of a file that would be larger than a session's input may be.
    """
    if request.common is not None:
        return create_common_upload(grid, owner, request.common)
    if request.file is not None:
        return create_file_upload(grid, owner, request.file)
    upload_id = request.upload_id or uuid.uuid4().hex
    key = input_key(owner, upload_id)
    if request.parts is not None:
        return _upload_parts(grid, upload_id, key, request)
    urls = [grid.payloads.presign_put(key)]
    return Upload(upload_id=upload_id, urls=urls, expires_in_seconds=URL_SECONDS)


def _upload_parts(grid: Grid, upload_id: str, key: str, request: UploadRequest) -> Upload:
    most_mib = grid.settings.max_input_mib
    if (request.first_part - 1) * MIN_PART_BYTES > most_mib * 1024 * 1024:
        raise RequestTooLarge(
            f"part {request.first_part} lies beyond {most_mib} MiB of input, the most that this "
            "grid takes; submit several sessions"
        )
    multipart_id = request.multipart_id or grid.payloads.start_multipart(key)
    numbers = range(request.first_part, request.first_part + (request.parts or 1))
    return Upload(
        upload_id=upload_id,
        multipart_id=multipart_id,
        urls=[grid.payloads.presign_part(key, multipart_id, number) for number in numbers],
        abort_url=grid.payloads.presign_abort(key, multipart_id),
        expires_in_seconds=URL_SECONDS,
    )


@dataclass(frozen=True, slots=True)
class Submitted:
    """The session that a submit made or found."""

    session: Session
    just_started: bool  #: by this very submit: nothing more is known of it


@dataclass(frozen=True, slots=True)
class Terms:
    """What a session is given beside what its request says."""

    queue: Queue | None = None
    job: JobFacts | None = None  #: its tasks are jobs
    output_days: int = 0  #: that their outputs are kept


NO_TERMS = Terms()


def check_worker(name: str) -> None:
    """Raises InvalidRequest for those whose sessions are made otherwise."""
    if name == JOB_WORKER:
        raise InvalidRequest(f"worker {JOB_WORKER!r} runs jobs, which POST /v1/jobs takes")
    if name == FEDERATION_WORKER:
        raise InvalidRequest(f"worker {FEDERATION_WORKER!r} is no function: {HOW_TO_FEDERATE}")


def submit(grid: Grid, owner: str, request: SubmitRequest, terms: Terms = NO_TERMS) -> Submitted:
    """Accept a session, or answer the one that the same token and tasks made before.

    Raises NotFound for an unknown worker or dependency, Conflict for a token used with other tasks,
    RequestTooLarge for more than one session may hold, QuotaExceeded over the owner's quota,
    InvalidRequest for options or input that can't be.
    """
    if terms.job is None:
        check_worker(request.worker)
    tasks = request.input.tasks if request.input else len(request.tasks or ())
    made = session_id(owner, request.client_token)
    dependencies = check(grid, owner, made, request.depends_on)
    size = size_of(request)
    placement = place(
        grid, owner, request.worker, tasks, request.options, size=size, queue=terms.queue
    )
    lane, limits = placement.lane, placement.limits
    check_quota(grid, owner, made, tasks, limits)
    _refuse_common(request, placement.worker)
    material = replace(gather(grid, owner, request), common=keep_common(grid, owner, request))
    session = _new_session(
        grid,
        owner,
        request,
        placement=placement,
        material=material,
        terms=terms,
        dependencies=dependencies,
    )
    boundaries = _boundaries(session, material.packed)
    blob = make_blob(boundaries, material.lines)
    shards = make_shards(session, boundaries)
    together = shards if len(shards) <= SHARDS_STORED_TOGETHER else ()
    stored = accept(grid, NewSession(session, blob, together), lane, limits)
    logger.info("session accepted", session_id=stored.session_id, tasks=stored.tasks)
    _refuse_other(request, session, stored)
    if not _is_new(session, stored):
        revive(grid, stored)
        return Submitted(stored, just_started=False)
    submitted = {Metric.TASKS_SUBMITTED: [stored.tasks]}
    grid.metrics.emit(stored.worker, submitted, session_id=stored.session_id)
    if not together:
        grid.table.create_shards(stored, shards)
    lines = cut_lines(material.lines, boundaries) if stored.route == "burst" else None
    return _begin(grid, stored, lines)


def _begin(grid: Grid, stored: Session, lines: Sequence[str] | None) -> Submitted:
    """Start it, or let it wait for its turn."""
    if stored.blocked or stored.waiting:
        tell(grid, accepted(stored))
        _go_on(grid, stored)
        return Submitted(stored, just_started=False)
    grid.dispatcher.start(Dispatch(stored, stored.dispatches, range(stored.chunks), lines))
    tell(grid, accepted(stored), started(stored))
    return Submitted(stored, just_started=True)


def _go_on(grid: Grid, stored: Session) -> None:
    """Is it its turn? What it depends on may have ended since it was looked at first."""
    if stored.blocked:
        release(grid, stored)
    else:
        admit_waiting(grid, stored.lane)


def _is_new(session: Session, stored: Session) -> bool:
    """Did this very submit store it? Only where it was placed was decided on the way."""
    placed = ("slots", "waiting", "dispatches", "dispatched_at")
    return replace(session, **{name: getattr(stored, name) for name in placed}) == stored


def _refuse_other(request: SubmitRequest, session: Session, stored: Session) -> None:
    """Raises Conflict for a token that means another session."""
    if stored.deleted:
        raise Conflict(
            f"client_token {request.client_token!r} made a session that was deleted; "
            "use a new token"
        )
    if stored.digest != session.digest:
        raise Conflict(
            f"client_token {request.client_token!r} was used for session {stored.session_id} with "
            "other tasks, worker or options; use a new token"
        )


def _new_session(
    grid: Grid,
    owner: str,
    request: SubmitRequest,
    *,
    placement: Placement,
    material: Material,
    terms: Terms,
    dependencies: Dependencies,
) -> Session:
    options, worker, packed = request.options, placement.worker, material.packed
    retention_seconds = check_retention(grid, options)
    chosen = placement.having(packed.size, packed.stride, packed.offsets).plan()
    now = grid.clock.now()
    return Session(
        session_id=session_id(owner, request.client_token),
        owner=owner,
        worker=worker.name,
        function=worker.function,
        replicas=worker.replicas,
        target=worker.target,
        backend=placement.backend,
        backend_reason=placement.reason,
        container=placement.container,
        ticket=token_urlsafe(24) if placement.container else "",
        queue=terms.queue.name if terms.queue else "",
        output_days=terms.output_days,
        job=terms.job,
        tasks=packed.tasks,
        digest=_digest(request, packed, material.common, terms),
        input=material.input,
        layout=chosen.layout,
        route=chosen.route,
        children=chosen.children,
        max_concurrency=chosen.max_concurrency,
        watch_seconds=chosen.watch_seconds,
        task_timeout_seconds=placement.workload.task_timeout_seconds,
        max_attempts=options.max_attempts,
        priority=options.priority,
        created_at=now,
        deadline_at=now + options.timeout_seconds,
        expires_at=int(now + _kept_seconds(options, retention_seconds, terms) + 86_400),
        name=options.name,
        tags=dict(options.tags),
        common=material.common,
        depends_on=dependencies.ids,
        blocked=dependencies.blocked,
        worker_task_time=placement.measured,
        planned_task_time=placement.workload.task_time,
    )


def _kept_seconds(options: SessionOptions, retention_seconds: int, terms: Terms) -> int:
    """At least as long as the outputs of jobs, which are kept from when they are stored."""
    if not terms.output_days:
        return retention_seconds
    return max(retention_seconds, options.timeout_seconds + terms.output_days * 86_400)


def _refuse_common(request: SubmitRequest, worker: Worker) -> None:
    shared = request.common is not None or request.common_upload is not None
    if shared and worker.is_registered:
        raise InvalidRequest(
            f"worker {worker.name!r} is a registered function, which is given its task and nothing "
            "else; put what the tasks have in common into each task, or use a package worker"
        )


def check_retention(grid: Grid, options: SessionOptions) -> int:
    """State and results are removed so long after the submit, whatever the session does.

    Rows and objects are kept a day longer, so that a session may last as long as they do.
    """
    retention_seconds = grid.settings.retention_days * 86_400
    if options.timeout_seconds > retention_seconds:
        raise InvalidRequest(
            f"options.timeout_seconds is {options.timeout_seconds}; this grid keeps a session "
            f"{retention_seconds} s from its submit, so it may not last longer"
        )
    return retention_seconds


def _digest(request: SubmitRequest, packed: Packed, common: CommonRef | None, terms: Terms) -> str:
    """Of what the caller said, not of where the file lies: a new upload of it is the same."""
    options = request.options.model_dump(mode="json")
    if options["container"] is None:
        del options["container"]  # what an earlier version said of the same submit
    said = [request.worker, packed.sha256, packed.tasks, options]
    if common is not None:
        said.append(common.sha256)
    if request.depends_on:
        said.append(sorted(set(request.depends_on)))
    if terms.queue is not None:
        said.append([terms.queue.name, terms.output_days])
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _boundaries(session: Session, packed: Packed) -> list[int]:
    """Where each chunk begins in the input, and the input's end."""
    *firsts, _ = session.layout.first_tasks()
    return [*(packed.offsets[first // packed.stride] for first in firsts), packed.size]
