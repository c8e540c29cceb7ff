"""Creating a task.

    body --> who may --> organizations, nodes, inputs --> was it sent a moment ago? --> its id
         --> session (rows that wait for nodes) --> backlogs of the nodes --> the task --> told

vantage6's clients repeat a POST whose answer was lost, or was no success, so a repeated request
finds the task that it made. Each step can be repeated; the task is there once its entity is, and a
session without one is ended by the sweeper. Knows no chunk rows and no sockets.
"""

import hashlib
import uuid

from ..ports import Marks
from ..records import FederationFacts
from . import notices
from .backlog import backlog_of
from .endings import ORPHAN_SECONDS, Aim, Ending, note_ended, note_ending
from .http import Call
from .records import FederatedTask, run_id
from .service import Federation
from .sessions import create_session, needs_object
from .task_ending import follow_parent
from .task_lists import lists_of
from .task_orders import Order, Origin, check_order, find_origin
from .task_repeats import make_note, reserve_id
from .task_request import check_inputs, read_request

#: How often the nodes of an organization may be lost in the middle of a run.
MAX_ATTEMPTS = 5


def create_task(call: Call) -> FederatedTask:
    """Raises Refused; then nothing was changed."""
    federation, body = call.federation, call.json()
    request = read_request(body)
    order = check_order(call, request)
    origin = find_origin(call, order)
    check_inputs(order.inputs, encrypted=order.collaboration.encrypted)
    note = make_note(origin, body)
    task_id = reserve_id(federation, origin, note)
    kept = federation.registry.find(FederatedTask, task_id)
    return kept if kept is not None else _store(federation, task_id, note.place, order, origin)


def _store(
    federation: Federation, task_id: int, place: int, order: Order, origin: Origin
) -> FederatedTask:
    now = federation.grid.clock.now()
    task = _new_task(now, task_id, place, order, origin)
    facts = FederationFacts(task_id, task.collaboration_id, task.organization_ids)
    has_object = needs_object(facts, order.inputs)
    if has_object:  # which nobody would find if there were no session
        ripe_at = now + ORPHAN_SECONDS
        note_ending(federation, Ending(task_id, Aim.CLEAR, task.session_id, ripe_at))
    create_session(
        federation.grid,
        origin.owner,
        session_id=task.session_id,
        facts=facts,
        inputs=order.inputs,
        name=task.name or None,
        tags={"federated_task": str(task_id)},
        timeout_seconds=order.request.timeout_seconds,
        max_attempts=MAX_ATTEMPTS,
    )
    federation.grid.each(lambda index: _announce(federation, task, index), range(len(order.inputs)))
    marks = Marks(lists=tuple(lists_of(task)))
    if federation.table.create(task.KIND, task_id, task.as_values(), marks) is not None:
        notices.new_task(federation, task)
        if origin.parent is not None:
            follow_parent(federation, task)
    if has_object:
        note_ended(federation, task_id, Aim.CLEAR)
    return task


def _announce(federation: Federation, task: FederatedTask, index: int) -> None:
    """To the node of one organization."""
    listed = backlog_of(task.organization_ids[index], task.collaboration_id)
    federation.table.put_in(listed, [run_id(task.id, index)])


def _new_task(now: float, task_id: int, place: int, order: Order, origin: Origin) -> FederatedTask:
    request, parent = order.request, origin.parent
    return FederatedTask(
        id=task_id,
        name=request.name,
        description=request.description,
        image=order.image,
        collaboration_id=order.collaboration.id,
        session_id=session_id_of(task_id, origin),
        organization_ids=order.organization_ids,
        init_org_id=origin.org_id,
        init_user_id=origin.user_id,
        job_id=parent.job_id if parent is not None else task_id,
        parent_id=parent.id if parent is not None else None,
        created_at=now,
        study_id=request.study_id,
        databases=request.databases,
        request=place,
    )


def session_id_of(task_id: int, origin: Origin) -> str:
    """The same task always has the same session."""
    said = hashlib.sha256(f"federated task\n{origin.owner}\n{task_id}".encode()).digest()
    return str(uuid.UUID(bytes=said[:16]))
