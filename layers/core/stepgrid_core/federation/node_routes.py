"""Routes of nodes, and their API keys. Who sees which: `permissions`."""

from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus

from ..telemetry import logger
from .access import reach_of
from .api_keys import hash_key, make_key
from .bodies import Field, read_body, read_boolean, read_id, read_ip, read_name
from .changes import keep, remove, revise
from .filters import id_argument, passes
from .http import Answer, Call, Refused, Route, page_of
from .nodes import status_of
from .permissions import Reach, granted, lacking, missing
from .records import Collaboration, Node, Organization, Study
from .rules import Operation
from .shapes import node_shape

_NEW = {
    "name": Field(read_name),
    "collaboration_id": Field(read_id, required=True),
    "organization_id": Field(read_id),
}
_CHANGEABLE = {
    "name": Field(read_name),
    "ip": Field(read_ip),
    "clear_ip": Field(read_boolean),
}
_ONLY_ID = {"id": Field(read_id, required=True)}


def find_node(call: Call, reach: Reach, id: int, operation: str = Operation.VIEW) -> Node:
    """Raises Refused as `granted`."""
    found = call.federation.registry.find(Node, id)
    return granted(found, reach.may_node, operation, f"Node id={id} is not found!")


def _open(call: Call, operation: str, id: int) -> Node:
    """One for a change. Raises Refused."""
    reach = reach_of(call)
    reach.require("node", operation)
    return find_node(call, reach, id, operation)


def _list(call: Call) -> Answer:
    reach = reach_of(call)
    reach.require("node", Operation.VIEW)
    registry, now = call.federation.registry, call.federation.grid.clock.now()
    status, among = _status_asked_for(call), _places_asked_for(call, reach)
    shown = [
        node_shape(call, each)
        for each in registry.find_all(Node)
        if reach.may_node(Operation.VIEW, each)
        and among(each)
        and passes(call, "name", each.name)
        and call.argument("ip") in (None, each.ip)
        and status in (None, status_of(each, now))
    ]
    return page_of(call, shown)


def _status_asked_for(call: Call) -> str | None:
    """By `status`, or by `is_online` as clients before 4 have it."""
    told = call.argument("is_online")
    if told is None:
        return call.argument("status")
    return "online" if told.lower() in ("1", "true") else "offline"


def _places_asked_for(call: Call, reach: Reach) -> Callable[[Node], bool]:
    """By organization, collaboration or study; nothing is in a study that the caller can't see."""
    organization = id_argument(call, "organization_id")
    collaboration = id_argument(call, "collaboration_id")
    study_id = id_argument(call, "study_id")
    study = None if study_id is None else call.federation.registry.find(Study, study_id)
    seen = study if study is not None and reach.may_study(Operation.VIEW, study) else None

    def among(node: Node) -> bool:
        return (
            organization in (None, node.organization_id)
            and collaboration in (None, node.collaboration_id)
            and (study_id is None or (seen is not None and _is_of_study(node, seen)))
        )

    return among


def _is_of_study(node: Node, study: Study) -> bool:
    same = node.collaboration_id == study.collaboration_id
    return same and node.organization_id in study.organization_ids


def _create(call: Call) -> Answer:
    """The API key is in this answer, and nowhere else: only its hash is kept."""
    reach = reach_of(call)
    reach.require("node", Operation.CREATE)
    registry = call.federation.registry
    given = read_body(call, _NEW)
    collaboration, organization = _find_place(call, reach, given)
    name = given.get("name", f"{organization.name} - {collaboration.name} Node")
    if registry.find_named(Node, name):
        raise Refused(HTTPStatus.BAD_REQUEST, f"Node with name '{name}' already exists!")
    api_key = make_key()
    created = Node(
        registry.table.next_id(Node.KIND),
        name,
        organization.id,
        collaboration.id,
        hash_key(api_key),
    )
    keep(registry, created, _occupied(organization.id, collaboration.id))
    return Answer(node_shape(call, created) | {"api_key": api_key}, HTTPStatus.CREATED)


def _find_place(
    call: Call, reach: Reach, given: dict[str, int]
) -> tuple[Collaboration, Organization]:
    """Where a node is to be. Raises Refused."""
    registry = call.federation.registry
    collaboration_id = given["collaboration_id"]
    organization_id = given.get("organization_id", reach.organization_id)
    collaboration = registry.find(Collaboration, collaboration_id)
    if collaboration is None or not reach.may_collaboration(Operation.VIEW, collaboration_id):
        raise missing(f"collaboration id={collaboration_id} does not exist")
    organization = registry.find(Organization, organization_id)
    if organization is None or not reach.may_organization(Operation.VIEW, organization_id):
        raise missing(f"organization id={organization_id} does not exist")
    if not reach.may_node_at(Operation.CREATE, organization_id, collaboration_id):
        raise lacking()
    if organization_id not in collaboration.organization_ids:
        words = f"The organization id={organization_id} is not part of collaboration id="
        raise Refused(HTTPStatus.BAD_REQUEST, f"{words}{collaboration_id}. Add it first!")
    if registry.node_of(organization_id, collaboration_id):
        raise Refused(HTTPStatus.BAD_REQUEST, _occupied(organization_id, collaboration_id))
    return collaboration, organization


def _occupied(organization_id: int, collaboration_id: int) -> str:
    return (
        f"Organization id={organization_id} already has a node for collaboration "
        f"id={collaboration_id}"
    )


def _show(call: Call) -> Answer:
    reach = reach_of(call)
    reach.require("node", Operation.VIEW)
    return Answer(node_shape(call, find_node(call, reach, call.number("id"))))


def _change(call: Call) -> Answer:
    given = read_body(call, _CHANGEABLE, partial=True)
    found = _open(call, Operation.EDIT, call.number("id"))
    if given.pop("clear_ip", False) and "ip" not in given:
        given["ip"] = None
    taken = f"Node name '{given.get('name')}' already exists!"
    changed = revise(call.federation.registry, found, lambda old: replace(old, **given), taken)
    return Answer(node_shape(call, changed))


def _delete(call: Call) -> Answer:
    """Its tokens are good for nothing at once; runs that it had not ended wait for another one."""
    found = _open(call, Operation.DELETE, call.number("id"))
    remove(call.federation.registry, found)
    return Answer({"msg": f"Successfully deleted node id={found.id}"})


def _reset_key(call: Call) -> Answer:
    """The old key and all tokens that came of it end at once."""
    found = _open(call, Operation.EDIT, read_body(call, _ONLY_ID)["id"])
    if found.cloud is not None:
        words = f"Node id={found.id} is in the cloud: it has no API key"
        raise Refused(HTTPStatus.BAD_REQUEST, words)
    api_key = make_key()
    key_hash = hash_key(api_key)
    revise(call.federation.registry, found, lambda old: replace(old, key_hash=key_hash))
    logger.info("node has a new API key", node_id=found.id)
    return Answer({"api_key": api_key})


ROUTES = (
    Route("GET", "/node", _list, who=("user", "node")),
    Route("POST", "/node", _create, who=("user",)),
    Route("GET", "/node/{id}", _show, who=("user", "node")),
    Route("PATCH", "/node/{id}", _change, who=("user", "node")),
    Route("DELETE", "/node/{id}", _delete, who=("user",)),
    Route("POST", "/recover/node", _reset_key, who=("user",)),
)
