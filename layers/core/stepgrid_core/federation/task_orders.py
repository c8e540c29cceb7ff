"""What a request for a task has to be: who may ask, whom for, with what input.

Reads the registry and the session of a parent task; changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from .access import reach_of
from .http import Call, Refused
from .permissions import Reach, lacking
from .principals import ContainerPrincipal, UserPrincipal
from .records import MAX_RUNS, Collaboration, FederatedTask, Study
from .registry import Registry
from .rules import Operation
from .service import Federation
from .task_request import TaskRequest


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


def check_order(call: Call, request: TaskRequest) -> Order:
    """Raises Refused."""
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


def find_origin(call: Call, order: Order) -> Origin:
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
