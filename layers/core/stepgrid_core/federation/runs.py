"""What a node does with a run: begin it, say how it goes, end it.

    stepgrid's node    claims by `sync`, and shows its claim with every word on the run
    vantage6's node    just begins: the node itself is the claimant, for as long as it is heard of

A chunk's row decides; the record beside it is for people. A run that ended stays as it ended.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from ..data_plane import TaskFault
from ..records import Chunk, Session
from . import notices
from .backlog import drop_run
from .http import Call, Refused
from .presence import SILENT_LEASE_SECONDS, claimant_of
from .principals import NodePrincipal
from .records import Collaboration, FederatedTask, Node, RunRecord, run_id
from .run_rows import claim_of, claim_run, fail_untouched, finish_run, is_claim_of, read_run
from .service import Federation
from .statuses import (
    ACTIVE,
    COMPLETED,
    FAILED,
    INITIALIZING,
    OPEN,
    has_ended,
    has_failed,
)
from .task_access import own_run
from .task_request import is_ciphertext
from .task_state import RunState, read_task
from .times import read_time

MOST_LOG = 16_384
#: Of an answer of a function 6 MB can be used (Lambda quotas), in which this is text within text.
MOST_RESULT = 4_500_000
FINISHED = "Cannot update an already finished algorithm run!"
_TIMES = ("started_at", "finished_at")
LOST = "This run was given to another attempt; drop its result."


@dataclass(frozen=True, slots=True)
class Update:
    """What a node says of a run."""

    status: str | None
    result: str | None
    log: str
    started_at: float | None
    finished_at: float | None
    claim: str | None

    @property
    def ends(self) -> bool:
        """vantage6's nodes say so by the time, or only by the status."""
        return self.finished_at is not None or (self.status is not None and has_ended(self.status))

    @property
    def final_status(self) -> str:
        if self.status is None or self.status in OPEN:
            return COMPLETED
        return self.status


def update_run(call: Call, run: int) -> RunState:
    """Carry a node's word on a run out. Raises Refused."""
    task, index = own_run(call, run)
    update = read_update(call.json())
    federation = call.federation
    session = federation.grid.table.read_session(task.session_id)
    if session is None:
        raise Refused(HTTPStatus.NOT_FOUND, f"Run id={run} not found!")
    principal = call.principal
    assert isinstance(principal, NodePrincipal)
    if update.ends and not has_failed(update.final_status):  # of a failure no result is kept
        _refuse_readable(federation, task, update)
    work = Work(federation, task, session, index, principal.node)
    changed = work.end(update) if update.ends else work.go_on(update)
    if changed is not None:
        notices.status_update(federation, task, changed)
    return read_task(federation, task).runs[index]


def read_update(body: Mapping[str, Any]) -> Update:
    """Raises Refused."""
    errors: dict[str, list[str]] = {}
    texts = {}
    for name in ("status", "result", "log", "claim"):
        texts[name] = body.get(name)
        if texts[name] is not None and not isinstance(texts[name], str):
            errors[name] = ["Not a valid string."]
    if isinstance(texts["status"], str) and not texts["status"].isprintable():
        errors["status"] = ["Has characters that can't be printed."]
    times = {name: read_time(str(body[name])) for name in _TIMES if body.get(name) is not None}
    errors |= {name: ["Not a valid datetime."] for name, time in times.items() if time is None}
    if errors:
        raise Refused(HTTPStatus.BAD_REQUEST, "Request body is incorrect", errors)
    if texts["result"] and len(texts["result"]) > MOST_RESULT:
        raise Refused(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"The result has {len(texts['result'])} characters, and {MOST_RESULT} is the most; "
            "have the algorithm return less.",
        )
    log = (texts["log"] or "")[-MOST_LOG:]
    return Update(
        (texts["status"] or "")[:64] or None,
        texts["result"],
        log,
        times.get("started_at"),
        times.get("finished_at"),
        texts["claim"],
    )


def _refuse_readable(federation: Federation, task: FederatedTask, update: Update) -> None:
    """Where members agreed that nobody here can read results, none is taken that anybody could."""
    if not update.result or is_ciphertext(update.result):
        return
    collaboration = federation.registry.find(Collaboration, task.collaboration_id)
    if collaboration is not None and collaboration.encrypted:
        raise Refused(
            HTTPStatus.BAD_REQUEST,
            "The collaboration requires encryption, but the result is not encrypted; "
            "encrypt it for the organization that asked.",
        )


class Work:
    """One run in the hands of its node."""

    def __init__(
        self, federation: Federation, task: FederatedTask, session: Session, index: int, node: Node
    ) -> None:
        self._federation = federation
        self._grid = federation.grid
        self._task = task
        self._session = session
        self._index = index
        self._node = node

    @property
    def _run_id(self) -> int:
        return run_id(self._task.id, self._index)

    def go_on(self, update: Update) -> RunRecord | None:
        """It was begun, or is further. None if that is nothing new."""
        _, chunk = self._hold(update)
        old = self._record(chunk)
        status = update.status or (ACTIVE if update.started_at else INITIALIZING)
        new = RunRecord(
            id=self._run_id,
            status=status,
            attempt=chunk.attempt,
            node_id=self._node.id,
            started_at=update.started_at or (old.started_at if old else None),
            log=update.log or (old.log if old else ""),
        )
        keep_record(self._federation, new)
        return new if old is None or old.status != status else None

    def end(self, update: Update) -> RunRecord | None:
        """None if it had ended exactly so before: the answer to that got lost."""
        claim, chunk = self._hold(update, ending=True)
        now = self._grid.clock.now()
        old, status = self._record(chunk), update.final_status
        started_at = update.started_at or (old.started_at if old else None)
        finished_at = update.finished_at or now
        fault = TaskFault(status, update.log[-2_000:]) if has_failed(status) else None
        milliseconds = max(0.0, finished_at - (started_at or finished_at)) * 1000
        result = None if fault else update.result or ""
        was_open = not chunk.terminal
        if not finish_run(
            self._grid,
            self._session,
            self._index,
            claim,
            result=result,
            fault=fault,
            milliseconds=milliseconds,
        ):
            raise self._refusal(update)
        new = RunRecord(
            id=self._run_id,
            status=status,
            attempt=chunk.attempt,
            node_id=self._node.id,
            started_at=started_at,
            finished_at=finished_at,
            log=update.log,
        )
        keep_record(self._federation, new)
        drop_run(self._federation, self._task, self._index, self._run_id)
        if fault is not None:  # also when it is said again: whoever heard it first may have died
            self._fail_siblings(status)
        return new if was_open else None

    def _hold(self, update: Update, ending: bool = False) -> tuple[str, Chunk]:
        """The claim under which the node speaks, and the row as it is. Raises Refused."""
        chunk = read_run(self._grid, self._session, self._index)
        if update.claim is not None:
            if not ending and (chunk.terminal or not is_claim_of(update.claim, chunk)):
                raise self._refusal(update)
            return update.claim, chunk
        if chunk.terminal:
            raise Refused(HTTPStatus.BAD_REQUEST, FINISHED)
        claimant = claimant_of(self._node)
        held = claim_run(self._grid, self._session, self._index, claimant, SILENT_LEASE_SECONDS)
        if held is None:
            raise self._refusal(update)
        return claim_of(held), held

    def _refusal(self, update: Update) -> Refused:
        if update.claim is None:
            return Refused(HTTPStatus.BAD_REQUEST, FINISHED)
        return Refused(HTTPStatus.CONFLICT, LOST)

    def _record(self, chunk: Chunk) -> RunRecord | None:
        """Of this attempt."""
        found = self._federation.registry.find(RunRecord, self._run_id)
        return found if found is not None and found.attempt == chunk.attempt else None

    def _fail_siblings(self, status: str) -> None:
        """As vantage6 has it since 4.14: what nobody has begun need not be begun any more."""
        reason = f"run id={self._run_id} of the same task ended with status '{status}'"
        for index in fail_untouched(self._grid, self._session, reason):
            sibling = run_id(self._task.id, index)
            drop_run(self._federation, self._task, index, sibling)
            notices.status_update(self._federation, self._task, RunRecord(sibling, FAILED, 1))


def keep_record(federation: Federation, record: RunRecord) -> None:
    """Unless what is there is of a later attempt, or the end of the same one."""
    table = federation.table
    while True:
        old = table.read(record.KIND, record.id)
        if old is None:
            if table.create(record.KIND, record.id, record.as_values()) is not None:
                return
            continue
        kept = RunRecord.read(old.id, old.values)
        ended = kept.attempt == record.attempt and kept.finished_at is not None
        if kept.attempt > record.attempt or ended:
            return
        if table.replace(old, record.as_values()) is not None:
            return
