"""Routes of collaborations, their organizations and nodes. Who sees which: `permissions`."""

from dataclasses import replace
from http import HTTPStatus

from .access import reach_of
from .bodies import (
    Field,
    read_body,
    read_boolean,
    read_id,
    read_name,
    read_organization_ids,
)
from .changes import keep, remove, revise
from .filters import id_argument, is_asked, is_included, passes
from .http import Answer, Call, Refused, Route, page_of
from .members import with_member, without_member
from .nodes import leave_collaboration
from .organization_routes import find_organization, see_members, show_members
from .permissions import Reach, granted, lacking, missing
from .records import Collaboration, Node, Organization, Study
from .rules import Operation, Scope
from .shapes import collaboration_shape, node_in_collaboration_shape
from .task_lists import tasks_of_collaboration

_FIELDS = {
    "name": Field(read_name, required=True),
    "organization_ids": Field(read_organization_ids, required=True),
    "encrypted": Field(read_boolean, required=True),
}
_ONLY_ID = {"id": Field(read_id, required=True)}


def find_collaboration(
    call: Call, reach: Reach, id: int, operation: str = Operation.VIEW
) -> Collaboration:
    """Raises Refused as `granted`."""
    found = call.federation.registry.find(Collaboration, id)
    unknown = f"Collaboration id={id} not found!"
    return granted(found, lambda to, it: reach.may_collaboration(to, it.id), operation, unknown)


def _open(call: Call, reach: Reach, operation: str) -> Collaboration:
    """The one of the path, for a change. Raises Refused."""
    reach.require("collaboration", operation)
    return find_collaboration(call, reach, call.number("id"), operation)


def _shape(call: Call, reach: Reach, collaboration: Collaboration) -> dict[str, object]:
    members = None
    if is_included(call, "organizations"):
        members = see_members(call, reach, collaboration.organization_ids)
    return collaboration_shape(call, collaboration, members)


def _list(call: Call) -> Answer:
    reach = reach_of(call)
    scope = reach.require("collaboration", Operation.VIEW)
    member = id_argument(call, "organization_id")
    if member not in (None, reach.organization_id) and scope is not Scope.GLOBAL:
        raise lacking()
    shown = [
        _shape(call, reach, each)
        for each in call.federation.registry.find_all(Collaboration)
        if reach.may_collaboration(Operation.VIEW, each.id)
        and passes(call, "name", each.name)
        and (member is None or member in each.organization_ids)
        and (call.argument("encrypted") is None or is_asked(call, "encrypted") == each.encrypted)
    ]
    return page_of(call, shown)


def _create(call: Call) -> Answer:
    """200, and organizations that are not there are passed over: as vantage6 has it."""
    reach_of(call).require("collaboration", Operation.CREATE)
    registry = call.federation.registry
    given = read_body(call, _FIELDS)
    taken = _taken(given["name"])
    if registry.find_named(Collaboration, given["name"]):
        raise Refused(HTTPStatus.BAD_REQUEST, taken)
    given["organization_ids"] = _existing(call, given["organization_ids"])
    created = Collaboration(registry.table.next_id(Collaboration.KIND), **given)
    return Answer(collaboration_shape(call, keep(registry, created, taken)))


def _existing(call: Call, ids: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(each.id for each in call.federation.registry.find_many(Organization, ids))


def _show(call: Call) -> Answer:
    reach = reach_of(call)
    reach.require("collaboration", Operation.VIEW)
    return Answer(_shape(call, reach, find_collaboration(call, reach, call.number("id"))))


def _change(call: Call) -> Answer:
    reach = reach_of(call)
    found = _open(call, reach, Operation.EDIT)
    given = read_body(call, _FIELDS, partial=True)
    if "organization_ids" in given:
        if reach.scope("collaboration", Operation.EDIT) is not Scope.GLOBAL:
            raise lacking("You lack the permission to change the organizations of a collaboration!")
        given["organization_ids"] = _existing(call, given["organization_ids"])
    taken = _taken(given.get("name", ""))
    changed = revise(call.federation.registry, found, lambda old: replace(old, **given), taken)
    for left in set(found.organization_ids) - set(changed.organization_ids):
        leave_collaboration(call.federation.registry, left, found.id)
    return Answer(collaboration_shape(call, changed))


def _delete(call: Call) -> Answer:
    """Its nodes and studies go with it where that is asked for; tasks have to be deleted first."""
    reach = reach_of(call)
    found = _open(call, reach, Operation.DELETE)
    registry = call.federation.registry
    tasks = registry.table.count(tasks_of_collaboration(found.id))
    nodes = [each for each in registry.find_all(Node) if each.collaboration_id == found.id]
    studies = [each for each in registry.find_all(Study) if each.collaboration_id == found.id]
    if tasks or ((nodes or studies) and not is_asked(call, "delete_dependents")):
        raise Refused(
            HTTPStatus.BAD_REQUEST,
            f"Collaboration id={found.id} has {tasks} tasks, {len(nodes)} nodes and "
            f"{len(studies)} studies. Delete the tasks one by one; of the others, "
            "delete_dependents=true deletes all.",
        )
    for node in nodes:
        remove(registry, node)
    for study in studies:
        remove(registry, study)
    remove(registry, found)
    return Answer({"msg": f"Collaboration id={found.id} successfully deleted"})


# Its organizations.


def _list_members(call: Call) -> Answer:
    reach = reach_of(call)
    reach.require("collaboration", Operation.VIEW)
    return show_members(call, reach, find_collaboration(call, reach, call.number("id")))


def _add_member(call: Call) -> Answer:
    reach = reach_of(call)
    found = _open(call, reach, Operation.EDIT)
    id = read_body(call, _ONLY_ID)["id"]
    find_organization(call, reach, id)
    changed = revise(call.federation.registry, found, lambda old: with_member(old, id))
    return show_members(call, reach, changed)


def _remove_member(call: Call) -> Answer:
    """Asked again, it clears away what a request that broke off has left."""
    reach = reach_of(call)
    found = _open(call, reach, Operation.EDIT)
    id = read_body(call, _ONLY_ID)["id"]
    registry = call.federation.registry
    if id not in found.organization_ids:
        leave_collaboration(registry, id, found.id)
        raise missing(f"Organization id={id} is not part of collaboration id={found.id}")
    changed = revise(registry, found, lambda old: without_member(old, id))
    leave_collaboration(registry, id, found.id)
    return show_members(call, reach, changed)


# Its nodes.


def _list_nodes(call: Call) -> Answer:
    reach = reach_of(call)
    reach.require("collaboration", Operation.VIEW)
    found = find_collaboration(call, reach, call.number("id"))
    nodes = [
        each
        for each in call.federation.registry.find_all(Node)
        if each.collaboration_id == found.id and reach.may_node(Operation.VIEW, each)
    ]
    return Answer([node_in_collaboration_shape(call, each) for each in nodes])


def _add_node(call: Call) -> Answer:
    """A node works for one collaboration, and its tokens say so: none is given to another."""
    reach = reach_of(call)
    found = _open(call, reach, Operation.EDIT)
    node = _find_node(call, reach, read_body(call, _ONLY_ID)["id"])
    if node.collaboration_id == found.id:
        words = f"node id={node.id} is already in collaboration id={found.id}"
    else:
        words = (
            f"node id={node.id} is that of collaboration id={node.collaboration_id}, and stays so: "
            f"create another one for collaboration id={found.id}"
        )
    raise Refused(HTTPStatus.BAD_REQUEST, words)


def _remove_node(call: Call) -> Answer:
    """It is deleted: without a collaboration there is nothing that it could do."""
    reach = reach_of(call)
    found = _open(call, reach, Operation.EDIT)
    node = _find_node(call, reach, read_body(call, _ONLY_ID)["id"])
    if node.collaboration_id != found.id:
        words = f"node id={node.id} is not part of collaboration id={found.id}"
        raise Refused(HTTPStatus.BAD_REQUEST, words)
    if not reach.may_node(Operation.DELETE, node):
        raise lacking()
    remove(call.federation.registry, node)
    return Answer({"msg": f"node id={node.id} removed from collaboration id={found.id}"})


def _find_node(call: Call, reach: Reach, id: int) -> Node:
    found = call.federation.registry.find(Node, id)
    return granted(found, reach.may_node, Operation.VIEW, f"Node id={id} not found!")


def _taken(name: str) -> str:
    return f"Collaboration name '{name}' already exists!"


ROUTES = (
    Route("GET", "/collaboration", _list, who=("user", "node")),
    Route("POST", "/collaboration", _create, who=("user",)),
    Route("GET", "/collaboration/{id}", _show),
    Route("PATCH", "/collaboration/{id}", _change, who=("user",)),
    Route("DELETE", "/collaboration/{id}", _delete, who=("user",)),
    Route("GET", "/collaboration/{id}/organization", _list_members, who=("user", "node")),
    Route("POST", "/collaboration/{id}/organization", _add_member, who=("user",)),
    Route("DELETE", "/collaboration/{id}/organization", _remove_member, who=("user",)),
    Route("GET", "/collaboration/{id}/node", _list_nodes, who=("user", "node")),
    Route("POST", "/collaboration/{id}/node", _add_node, who=("user",)),
    Route("DELETE", "/collaboration/{id}/node", _remove_node, who=("user",)),
)
