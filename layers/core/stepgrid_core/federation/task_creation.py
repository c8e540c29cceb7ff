"""Creating a task.

    body --> who may --> organizations, nodes, inputs --> was it sent a moment ago? --> its id
         --> session (rows that wait for nodes) --> backlogs of the nodes --> the task --> told

vantage6's clients repeat a POST whose answer was lost, or was no success, so a repeated request
finds the task that it made. Each step can be repeated; the task is there once its entity is, and a
session without one is ended by the sweeper. Knows no chunk rows and no sockets.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from ..ports import Entity, Marks
from ..records import FederationFacts
from . import notices
from .access import reach_of
from .backlog import backlog_of
from .http import Call, Refused
from .permissions import Reach, lacking
from .principals import ContainerPrincipal, UserPrincipal
from .records import MAX_RUNS, Collaboration, FederatedTask, Study, run_id
from .registry import Registry
from .rules import Operation
from .service import Federation
from .sessions import create_session
from .task_request import TaskRequest, check_inputs, read_request

#: A client that got no answer sends the same again for so long; see also note_prepared.
REPEAT_SECONDS = 60.0
#: How often the nodes of an organization may be lost in the middle of a run.
MAX_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Origin:
    """In whose name a task is created, and where it belongs."""

    who: str
    owner: str
    org_id: int
    user_id: int | None
    parent: FederatedTask | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """A request that was found to be in order."""

    request: TaskRequest
    collaboration: Collaboration
    organization_ids: tuple[int, ...]
    inputs: tuple[str, ...]
    image: str


@dataclass(frozen=True, slots=True)
class Note:
    """By what a request is known when it comes again. lasts: it has a token, which never ends."""

    place: int
    digest: str
    lasts: bool


def create_task(call: Call) -> FederatedTask:
    """Raises Refused; then nothing was changed."""
    federation, body = call.federation, call.json()
    request = read_request(body)
    order = _check(call, request)
    origin = _origin(call, order)
    _check_inputs(order)
    note = _note(origin, body)
    task_id = _reserve(federation, origin, note)
    kept = federation.registry.find(FederatedTask, task_id)
    return kept if kept is not None else _store(federation, task_id, note.place, order, origin)


def note_prepared(call: Call) -> None:
    """Clients ask for GET /blobstream/status before each new task, and never before a repeat.

    So two equal tasks that are meant as two are told from one that was sent twice.
    """
    federation, principal = call.federation, call.principal
    if isinstance(principal, UserPrincipal):
        now = federation.grid.clock.now()
        _keep(federation, "preparation", principal.user.id, {"at": now})


def note_known(call: Call, task: FederatedTask) -> None:
    """Who asks for results has got the task's id: the same request is another task from now on."""
    federation = call.federation
    if federation.grid.clock.now() - task.created_at > REPEAT_SECONDS:
        return
    noted = federation.table.read("request", task.request)
    if noted is not None and noted.values["task_id"] == task.id and not noted.values.get("known"):
        federation.table.replace(noted, {**noted.values, "known": True})


def _check(call: Call, request: TaskRequest) -> Order:
    registry, reach = call.federation.registry, reach_of(call)
    if isinstance(call.principal, UserPrincipal):
        reach.require("task", Operation.CREATE)
    study = _find_study(registry, reach, request)
    collaboration = _find_collaboration(registry, reach, request, study)
    ids, inputs = _choose(request, registry, collaboration, study)
    _check_members(collaboration, study, ids)
    _check_nodes(registry, collaboration, ids)
    return Order(request, collaboration, ids, inputs, request.image)


def _find_study(registry: Registry, reach: Reach, request: TaskRequest) -> Study | None:
    if request.study_id is None:
        return None
    study = registry.find(Study, request.study_id)
    if study is None or not _is_known(reach, study.collaboration_id):
        raise Refused(HTTPStatus.NOT_FOUND, f"Study id={request.study_id} not found")
    if request.collaboration_id not in (None, study.collaboration_id):
        raise Refused(
            HTTPStatus.BAD_REQUEST,
            f"Study id={study.id} is not one of collaboration id={request.collaboration_id}.",
        )
    return study


def _is_known(reach: Reach, collaboration_id: int) -> bool:
    """Of any other one nothing is told, neither its members nor that it is there."""
    takes_part = collaboration_id in reach.collaboration_ids
    return takes_part or reach.may_collaboration(Operation.VIEW, collaboration_id)


def _find_collaboration(
    registry: Registry, reach: Reach, request: TaskRequest, study: Study | None
) -> Collaboration:
    """Raises Refused unless the caller's organization takes part in it."""
    id = study.collaboration_id if study is not None else request.collaboration_id
    collaboration = registry.find(Collaboration, id or 0)
    if collaboration is None or not _is_known(reach, collaboration.id):
        raise Refused(HTTPStatus.NOT_FOUND, f"Collaboration id={id} not found!")
    if collaboration.id not in reach.collaboration_ids:
        raise lacking("You can only create tasks for collaborations you are participating in!")
    return collaboration


def _choose(
    request: TaskRequest, registry: Registry, collaboration: Collaboration, study: Study | None
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Who is to run it; all that have a node, where the old form names none."""
    if request.organizations is None:
        of_study = study.organization_ids if study is not None else collaboration.organization_ids
        ids = tuple(id for id in of_study if registry.node_of(id, collaboration.id) is not None)
        return ids, (request.input,) * len(ids)
    ids = tuple(id for id, _ in request.organizations)
    if len(set(ids)) != len(ids):
        raise Refused(HTTPStatus.BAD_REQUEST, "An organization was supplied twice.")
    return ids, tuple(input for _, input in request.organizations)


def _check_members(collaboration: Collaboration, study: Study | None, ids: Sequence[int]) -> None:
    if not ids:
        raise Refused(HTTPStatus.BAD_REQUEST, "No organizations provided in the request.")
    if len(ids) > MAX_RUNS:
        raise Refused(HTTPStatus.BAD_REQUEST, f"A task goes to {MAX_RUNS} organizations at most.")
    if not set(ids) <= set(collaboration.organization_ids):
        raise Refused(
            HTTPStatus.BAD_REQUEST,
            "At least one of the supplied organizations in not within the collaboration.",
        )
    if study is not None and not set(ids) <= set(study.organization_ids):
        raise Refused(
            HTTPStatus.BAD_REQUEST,
            "At least one of the supplied organizations in not within the specified study.",
        )


def _check_nodes(registry: Registry, collaboration: Collaboration, ids: Sequence[int]) -> None:
    missing = [str(id) for id in ids if registry.node_of(id, collaboration.id) is None]
    if missing:
        raise Refused(
            HTTPStatus.BAD_REQUEST,
            "Cannot create this task because there are no nodes registered for the following "
            f"organization(s): {', '.join(missing)}.",
        )


def _origin(call: Call, order: Order) -> Origin:
    """Raises Refused for who may create no task there."""
    principal = call.principal
    if isinstance(principal, ContainerPrincipal):
        return _container_origin(call.federation, principal, order)
    assert isinstance(principal, UserPrincipal)
    if not reach_of(call).may_create_task(order.collaboration.id):
        raise lacking()
    user = principal.user
    return Origin(f"user:{user.id}", principal.owner, user.organization_id, user.id)


def _container_origin(
    federation: Federation, principal: ContainerPrincipal, order: Order
) -> Origin:
    """A container makes subtasks of its own task, with its own image, while that is at work."""
    parent = federation.registry.find(FederatedTask, principal.task_id)
    session = federation.grid.table.read_session(parent.session_id) if parent is not None else None
    if (
        parent is None
        or session is None
        or session.verdict is not None
        or order.collaboration.id != principal.collaboration_id
        or order.image != principal.image
    ):
        raise Refused(HTTPStatus.UNAUTHORIZED, "Container-token is not valid")
    who = f"container:{principal.node.id}:{principal.task_id}"
    return Origin(who, session.owner, principal.organization_id, parent.init_user_id, parent)


def _check_inputs(order: Order) -> None:
    check_inputs(order.inputs, encrypted=order.collaboration.encrypted)


def _note(origin: Origin, body: Mapping[str, Any]) -> Note:
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    token = body.get("client_token")
    name = f"{origin.who}\ntoken {token}" if token else f"{origin.who}\n{digest}"
    place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:6])
    return Note(place, digest, lasts=bool(token))


def _reserve(federation: Federation, origin: Origin, note: Note) -> int:
    """The id of the task: a new one, or that of the same request before. Raises Refused."""
    table = federation.table
    while True:
        old, now = table.read("request", note.place), federation.grid.clock.now()
        if old is not None and _is_repeat(federation, origin, old, now):
            if old.values["digest"] != note.digest:
                message = "This client_token was used for another task; use a new one."
                raise Refused(HTTPStatus.CONFLICT, message)
            return int(old.values["task_id"])
        task_id = table.next_id(FederatedTask.KIND)
        values = {"task_id": task_id, "at": now, "digest": note.digest, "lasts": note.lasts}
        new = table.replace(old, values) if old else table.create("request", note.place, values)
        if new is not None:
            return task_id


def _is_repeat(federation: Federation, origin: Origin, old: Entity, now: float) -> bool:
    if old.values["lasts"]:
        return True
    at = float(old.values["at"])
    if now - at > REPEAT_SECONDS or old.values.get("known"):
        return False
    prepared = None
    if origin.parent is None and origin.user_id is not None:
        prepared = federation.table.read("preparation", origin.user_id)
    return prepared is None or float(prepared.values["at"]) <= at


def _store(
    federation: Federation, task_id: int, place: int, order: Order, origin: Origin
) -> FederatedTask:
    task = _new_task(federation.grid.clock.now(), task_id, place, order, origin)
    create_session(
        federation.grid,
        origin.owner,
        session_id=task.session_id,
        facts=FederationFacts(task_id, task.collaboration_id, task.organization_ids),
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


def lists_of(task: FederatedTask) -> list[str]:
    """Where it is found."""
    found = [
        "tasks",
        f"tasks:collaboration:{task.collaboration_id}",
        f"tasks:job:{task.job_id}",
        f"tasks:organization:{task.init_org_id}",
    ]
    if task.init_user_id is not None:
        found.append(f"tasks:user:{task.init_user_id}")
    if task.parent_id is not None:
        found.append(f"tasks:parent:{task.parent_id}")
    if task.study_id is not None:
        found.append(f"tasks:study:{task.study_id}")
    return found


def _keep(federation: Federation, kind: str, id: int, values: dict[str, float]) -> None:
    """Whatever was there before."""
    table = federation.table
    while True:
        old = table.read(kind, id)
        if (table.replace(old, values) if old else table.create(kind, id, values)) is not None:
            return
