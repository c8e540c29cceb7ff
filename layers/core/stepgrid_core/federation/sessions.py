"""The session that a federated task is: one chunk of one task for each organization.

    create_session --> quota --> inputs, where they are many --> session, shards --> told

Nothing is started. No execution waits for the nodes: the rows do, for as long as it takes, and
nothing is paid meanwhile. See docs/decisions/0039.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

from ..admission import NewSession, accept_without_slots, check_quota, limits_of
from ..announcement import tell
from ..budgets import Lane
from ..ending import complete_shards
from ..errors import Conflict, InvalidRequest, NotFound
from ..layout import Layout
from ..material import check_size
from ..metrics import Metric
from ..names import FEDERATION_WORKER, run_inputs_key, shard_of
from ..planning import INLINE_INPUT_BYTES
from ..records import FederationFacts, InputRef, Session
from ..session_events import accepted, started
from ..sharding import make_blob, make_shards
from ..submission import SHARDS_STORED_TOGETHER
from ..telemetry import logger
from ..wiring import Grid

#: Also what is said for "without a limit": nodes may be away for months, and vantage6 knows no end.
LIFE_SECONDS = 100 * 365 * 86_400.0
BACKEND = ROUTE = "node"
#: The middle one; nothing of these sessions waits in a queue.
PRIORITY = 4
_REASON = "its tasks are runs of a federated task, which the nodes of its organizations take"


def create_session(
    grid: Grid,
    owner: str,
    *,
    session_id: str,
    facts: FederationFacts,
    inputs: Sequence[str],
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
    timeout_seconds: float | None = None,
    max_attempts: int = 3,
) -> Session:
    """Store it, or answer the one that is there of the same id and content.

    inputs: one for each organization. Raises QuotaExceeded, RequestTooLarge, and Conflict for an id
    that was used for something else.
    """
    lines = _lines(facts, inputs)
    data = b"".join(lines)
    check_size(grid, len(lines), len(data))
    session = _new_session(grid, owner, session_id, facts, data)
    session = replace(
        session,
        digest=_digest(facts, data, name, tags or {}, timeout_seconds, max_attempts),
        deadline_at=session.created_at + (timeout_seconds or LIFE_SECONDS),
        max_attempts=max_attempts,
        name=name,
        tags=dict(tags or {}),
    )
    return _store(grid, session, lines)


def needs_object(facts: FederationFacts, inputs: Sequence[str]) -> bool:
    """Are they so many that they are stored before the session is, in a place of their own?"""
    return sum(map(len, _lines(facts, inputs))) > INLINE_INPUT_BYTES


def read_input(grid: Grid, session: Session, index: int) -> str:
    """What one organization was given. Raises NotFound."""
    if session.input.key is None:
        lines = grid.table.read_blob(session.session_id, session.blob_id).split(b"\n")
        return str(json.loads(lines[index])["input"])
    number, slot = shard_of(index)
    shard = grid.table.read_shard(session.session_id, number)
    if shard is None:
        complete_shards(grid, session)
        shard = grid.table.read_shard(session.session_id, number)
    if shard is None:
        raise NotFound(f"session {session.session_id} has no run {index}")
    start, length = shard.byte_range(slot)
    blocks = grid.payloads.open_range(session.input.key, start, length, session.input.etag)
    return str(json.loads(b"".join(blocks))["input"])


def _lines(facts: FederationFacts, inputs: Sequence[str]) -> list[bytes]:
    ids = facts.organization_ids
    if not ids or len(ids) != len(inputs):
        raise InvalidRequest(
            f"federated task {facts.task_id} has {len(ids)} organizations and {len(inputs)} inputs"
        )
    pairs = zip(ids, inputs, strict=True)
    return [
        json.dumps({"organization_id": id, "input": said}).encode() + b"\n" for id, said in pairs
    ]


def _new_session(
    grid: Grid, owner: str, session_id: str, facts: FederationFacts, data: bytes
) -> Session:
    """With all that does not depend on what its caller chose."""
    now = grid.clock.now()
    tasks = len(facts.organization_ids)
    return Session(
        session_id=session_id,
        owner=owner,
        worker=FEDERATION_WORKER,
        function="",
        tasks=tasks,
        digest="",
        input=InputRef(None, "", len(data)),
        layout=Layout.even(tasks, 1),
        route=ROUTE,
        children="",
        max_concurrency=tasks,
        watch_seconds=0,
        task_timeout_seconds=LIFE_SECONDS,
        max_attempts=1,
        priority=PRIORITY,
        created_at=now,
        deadline_at=now,
        # Kept until it is deleted, as vantage6 keeps tasks: so it may not expire before its runs.
        expires_at=int(now + 2 * LIFE_SECONDS),
        backend=BACKEND,
        backend_reason=_REASON,
        federation=facts,
    )


def _digest(facts: FederationFacts, data: bytes, *options: object) -> str:
    said = [facts.task_id, facts.collaboration_id, hashlib.sha256(data).hexdigest(), *options]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _store(grid: Grid, session: Session, lines: Sequence[bytes]) -> Session:
    limits = limits_of(grid, session.owner, session.lane, Lane())
    check_quota(grid, session.owner, session.session_id, session.tasks, limits)
    data = b"".join(lines)
    session = replace(session, input=_keep_inputs(grid, session, data))
    boundaries = [0, *accumulate(map(len, lines))]
    shards = make_shards(session, boundaries)
    together = shards if len(shards) <= SHARDS_STORED_TOGETHER else ()
    blob = make_blob(boundaries, data if session.input.key is None else None)
    stored = accept_without_slots(grid, NewSession(session, blob, together), limits)
    _refuse_other(session, stored)
    if not together:
        grid.table.create_shards(stored, shards)
    if stored == session:
        _tell(grid, stored)
    return stored


def _keep_inputs(grid: Grid, session: Session, data: bytes) -> InputRef:
    """Not where those of other sessions are: the bucket removes these after some days."""
    if len(data) <= INLINE_INPUT_BYTES:
        return InputRef(None, "", len(data))
    key = run_inputs_key(session.session_id, hashlib.sha256(data).hexdigest())
    stored = grid.payloads.put(key, data)
    return InputRef(key, stored.etag, len(data))


def _refuse_other(session: Session, stored: Session) -> None:
    if stored.deleted:
        raise Conflict(f"session {stored.session_id} was deleted; a new task has another id")
    if stored.digest != session.digest or stored.owner != session.owner:
        raise Conflict(f"session {stored.session_id} was made of other inputs; use another id")


def _tell(grid: Grid, stored: Session) -> None:
    logger.info("session accepted", session_id=stored.session_id, tasks=stored.tasks)
    submitted = {Metric.TASKS_SUBMITTED: [stored.tasks]}
    grid.metrics.emit(stored.worker, submitted, session_id=stored.session_id)
    tell(grid, accepted(stored), started(replace(stored, dispatched_at=stored.created_at)))
