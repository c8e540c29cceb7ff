"""Runs of nodes in the cloud: the grid does them itself, by a worker that their organization named.

    advance(run) --> claim --> note --> session of one task --> its worker
                 `-> the session has ended --> the run's end --> forget session and note
                 `-> the run is over, or not the node's any more --> cancel, forget

`advance` looks at what there is and does what comes next, so that it may be called by anybody, at
any time, twice at once, and again after a crash at any point. Once the note is gone, all is done.
"""

from contextlib import suppress
from dataclasses import dataclass

from pydantic import ValidationError

from ..cancellation import cancel_open
from ..contract import MAX_SESSION_TIMEOUT_SECONDS, SubmitRequest
from ..errors import Conflict, NotFound, QuotaExceeded, RequestError
from ..names import session_id
from ..outputs import forget_session
from ..ports import Marks
from ..records import Chunk, Session
from ..submission import submit
from ..telemetry import logger
from . import notices
from .backlog import drop_run
from .cloud_answers import read_verdict
from .cloud_nodes import LEASE_SECONDS, CloudPlace, cloud_claimant, owner_of, token_of
from .cloud_tasks import Origin, UnreadableInput, Verdict, make_task
from .http import Refused
from .records import (
    CloudRun,
    Collaboration,
    FederatedTask,
    Node,
    Organization,
    RunRecord,
    run_place,
)
from .run_moves import was_finished_by
from .run_rows import (
    claim_of,
    claim_run,
    give_back_run,
    is_claim_of,
    read_result,
    read_run,
    renew_run,
)
from .runs import Update, Work
from .service import Federation
from .sessions import read_input
from .statuses import ACTIVE, COMPLETED, FAILED, NOT_ALLOWED, START_FAILED

#: The list of the runs that have a note.
OPEN_RUNS = Marks(lists=("cloud-runs",))


@dataclass(frozen=True, slots=True)
class Place:
    """A run of a node in the cloud, with all that belongs to it."""

    task: FederatedTask
    session: Session  #: of the federated task
    index: int
    node: Node
    cloud: CloudPlace
    row: Chunk

    def holds(self, claim: str) -> bool:
        """Is the run the claim's, or did it end by it?"""
        return is_claim_of(claim, self.row) or was_finished_by(claim, self.row)


def advance(federation: Federation, run: int) -> None:
    """Do what comes next of a run; nothing if it is none of a node in the cloud."""
    note, place = federation.registry.find(CloudRun, run), _find(federation, run)
    if note is not None and not _is_good(note, place):
        if not _abandon(federation, note):
            return
        note = None
    if place is None:
        return
    if note is None:
        note = _begin(federation, run, place)
    if note is not None:
        _go_on(federation, note, place)


def _is_good(note: CloudRun, place: Place | None) -> bool:
    return place is not None and place.node.id == note.node_id and place.holds(note.claim)


def _find(federation: Federation, run: int) -> Place | None:
    """None for what is gone, and for runs of other nodes."""
    grid, registry = federation.grid, federation.registry
    task_id, index = run_place(run)
    task = registry.find(FederatedTask, task_id)
    if task is None or index >= len(task.organization_ids):
        return None
    node = registry.node_of(task.organization_ids[index], task.collaboration_id)
    cloud = CloudPlace.of(node) if node is not None else None
    session = grid.table.read_session(task.session_id) if cloud is not None else None
    if node is None or cloud is None or session is None or session.deleted:
        return None
    try:
        row = read_run(grid, session, index)
    except NotFound:
        return None  # its task is being deleted
    return Place(task, session, index, node, cloud, row)


def _begin(federation: Federation, run: int, place: Place) -> CloudRun | None:
    """Take the run. None if it is over, or a program holds it that was in the node's place."""
    claimant = cloud_claimant(place.node)
    row = claim_run(federation.grid, place.session, place.index, claimant, LEASE_SECONDS)
    if row is None:
        if read_run(federation.grid, place.session, place.index).terminal:
            drop_run(federation, place.task, place.index, run)
        return None
    claim, owner = claim_of(row), owner_of(place.node.id)
    made = session_id(owner, token_of(run, claim))
    note = CloudRun(run, place.node.id, claim, made)
    federation.registry.create(note, OPEN_RUNS)
    return note


def _go_on(federation: Federation, note: CloudRun, place: Place) -> None:
    """Of a run that is the note's to do."""
    grid = federation.grid
    verdict = _committed(federation, note, place)
    if verdict is None:
        session = grid.table.read_session(note.session_id)
        if session is None:
            verdict = _submit(federation, note, place)
        elif session.verdict is not None:
            verdict = read_verdict(grid, session, encrypted=_is_encrypted(federation, place.task))
        else:
            renew_run(grid, place.session, place.index, note.claim, LEASE_SECONDS)
            _tell_active(federation, note, place, session.created_at)
    if verdict is not None and _end(federation, note, place, verdict):
        _abandon(federation, note)


def _committed(federation: Federation, note: CloudRun, place: Place) -> Verdict | None:
    """What the run ended with, by this very claim: whoever committed it did not get further."""
    row = read_run(federation.grid, place.session, place.index)
    if not was_finished_by(note.claim, row):
        return None
    outcome = read_result(federation.grid, place.session, place.index)
    assert outcome is not None
    if outcome.fault is not None:
        return Verdict(outcome.fault.type, outcome.fault.message)
    return Verdict(COMPLETED, result=outcome.result)


def _done(place: Place, note: CloudRun) -> str:
    """For the log; by the session the operator finds what the worker printed."""
    return f"done by worker {place.cloud.worker} in session {note.session_id}"


def _submit(federation: Federation, note: CloudRun, place: Place) -> Verdict | None:
    """The session that does the run. A verdict if there can be none."""
    if not place.cloud.allows(place.task.image):
        words = f"image {place.task.image} is none of those that node {place.node.name} allows"
        return Verdict(NOT_ALLOWED, words)
    grid = federation.grid
    try:
        request = _request(federation, note, place)
        made = submit(grid, owner_of(place.node.id), request).session
    except UnreadableInput as error:
        return Verdict(FAILED, str(error))
    except (Conflict, QuotaExceeded) as error:
        # Somebody else is quicker, or has ended it already; or there is no room yet.
        logger.warning("run not begun, the sweeper will", run_id=note.id, reason=error.message)
        return None
    except RequestError as error:
        return Verdict(START_FAILED, error.message)
    logger.info("run begun in the cloud", run_id=note.id, session_id=note.session_id)
    _tell_active(federation, note, place, made.created_at)
    return None


def _tell_active(federation: Federation, note: CloudRun, place: Place, started_at: float) -> None:
    """Unless that was told before, or the run was killed this moment."""
    told = federation.registry.find(RunRecord, note.id)
    if told is not None and told.status == ACTIVE and note.claim.startswith(f"{told.attempt}."):
        return
    update = Update(ACTIVE, None, "", started_at, None, note.claim)
    with suppress(Refused):
        changed = _work(federation, place).go_on(update)
        if changed is not None:
            notices.status_update(federation, place.task, changed)


def _request(federation: Federation, note: CloudRun, place: Place) -> SubmitRequest:
    """Raises UnreadableInput."""
    text = read_input(federation.grid, place.session, place.index)
    origin = None
    if _is_encrypted(federation, place.task):
        asked = federation.registry.find(Organization, place.task.init_org_id)
        origin = Origin(place.task.init_org_id, asked.public_key if asked is not None else "")
    retention_seconds = federation.grid.settings.retention_days * 86_400.0
    lasts = place.session.deadline_at - place.session.created_at
    lasts = min(lasts, retention_seconds, MAX_SESSION_TIMEOUT_SECONDS)
    task = make_task(place.task, place.index, text, origin)
    try:
        return SubmitRequest.model_validate(
            {
                "client_token": token_of(note.id, note.claim),
                "worker": place.cloud.worker,
                "tasks": [task],
                "options": place.cloud.options(note.id, lasts),
            }
        )
    except ValidationError:
        raise UnreadableInput("the input is nested too deeply") from None


def _is_encrypted(federation: Federation, task: FederatedTask) -> bool:
    found = federation.registry.find(Collaboration, task.collaboration_id)
    return found is not None and found.encrypted


def _end(federation: Federation, note: CloudRun, place: Place, verdict: Verdict) -> bool:
    """Commit it. False if it was not the claim's to end: whoever comes next sees to that."""
    log = verdict.log or _done(place, note)
    now = federation.grid.clock.now()
    update = Update(verdict.status, verdict.result, log, None, now, note.claim)
    try:
        changed = _work(federation, place).end(update)
    except Refused:
        return False
    if changed is not None:
        notices.status_update(federation, place.task, changed)
    return True


def _work(federation: Federation, place: Place) -> Work:
    return Work(federation, place.task, place.session, place.index, place.node)


def _abandon(federation: Federation, note: CloudRun) -> bool:
    """End and forget the session, then the note. False if that has to wait."""
    grid, registry = federation.grid, federation.registry
    session = grid.table.read_session(note.session_id)
    if session is not None and session.verdict is None:
        cancel_open(grid, session)
        session = grid.table.read_session(note.session_id)
        if session is not None and session.verdict is None:
            return False
    if session is not None and not session.deleted:
        if session.input.key is not None:  # nobody else's: it has the run's id in it
            grid.payloads.delete_prefix(session.input.key)
        forget_session(grid, session)
    _give_back(federation, note)
    registry.delete(note, OPEN_RUNS)
    return True


def _give_back(federation: Federation, note: CloudRun) -> None:
    """Where the node is gone, or has a program now, whoever comes next may have the run."""
    task_id, index = run_place(note.id)
    task = federation.registry.find(FederatedTask, task_id)
    session = federation.grid.table.read_session(task.session_id) if task is not None else None
    if session is not None and session.verdict is None:
        give_back_run(federation.grid, session, index, note.claim)
