"""Routes of organizations. Who sees which: `permissions`."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from http import HTTPStatus

from .access import reach_of
from .bodies import Field, read_body, read_name, read_public_key, text
from .changes import keep, remove, revise
from .filters import id_argument, is_asked, passes
from .http import Answer, Call, Refused, Route, page_of
from .members import without_member
from .nodes import leave_collaboration
from .permissions import Reach, granted, lacking
from .records import Collaboration, Node, Organization, Role, Study, User
from .rules import Operation
from .shapes import organization_shape
from .task_lists import tasks_of_organization
from .users import dismiss

_FIELDS = {
    "name": Field(read_name, required=True),
    "address1": Field(text()),
    "address2": Field(text()),
    "zipcode": Field(text()),
    "country": Field(text()),
    "domain": Field(text()),
    "public_key": Field(read_public_key),
}


def find_organization(
    call: Call, reach: Reach, id: int, operation: str = Operation.VIEW
) -> Organization:
    """Raises Refused as `granted`."""
    found = call.federation.registry.find(Organization, id)
    unknown = f"Organization id={id} not found!"
    return granted(found, lambda to, it: reach.may_organization(to, it.id), operation, unknown)


def see_members(call: Call, reach: Reach, ids: Sequence[int]) -> list[Organization]:
    """Of a collaboration or a study, those that the caller may see."""
    found = call.federation.registry.find_many(Organization, ids)
    return [each for each in found if reach.may_organization(Operation.VIEW, each.id)]


def show_members(call: Call, reach: Reach, group: Collaboration | Study) -> Answer:
    """A bare list, as vantage6 has it."""
    seen = see_members(call, reach, group.organization_ids)
    return Answer([organization_shape(call, each) for each in seen])


def _open(call: Call, reach: Reach, operation: str) -> Organization:
    """The one of the path, for a change. Raises Refused."""
    reach.require("organization", operation)
    return find_organization(call, reach, call.number("id"), operation)


def _list(call: Call) -> Answer:
    reach = reach_of(call)
    reach.require("organization", Operation.VIEW)
    asked = set(call.request.query.get("ids", ()))
    among = _members_asked_for(call, reach)
    shown = [
        organization_shape(call, each)
        for each in call.federation.registry.find_all(Organization)
        if reach.may_organization(Operation.VIEW, each.id)
        and passes(call, "name", each.name)
        and call.argument("country") in (None, each.country)
        and ("ids" not in call.request.query or str(each.id) in asked)
        and among(each.id)
    ]
    return page_of(call, shown)


def _members_asked_for(call: Call, reach: Reach) -> Callable[[int], bool]:
    """Of a collaboration, a study, or both. Raises Refused for what the caller can't see."""
    groups: list[Collaboration | Study] = []
    registry = call.federation.registry
    if (id := id_argument(call, "collaboration_id")) is not None:
        collaboration = registry.find(Collaboration, id)
        if collaboration is None or not reach.may_collaboration(Operation.VIEW, id):
            raise lacking("You lack the permission to get all organizations of it!")
        groups.append(collaboration)
    if (id := id_argument(call, "study_id")) is not None:
        study = registry.find(Study, id)
        if study is None or not reach.may_study(Operation.VIEW, study):
            raise lacking("You lack the permission to get all organizations of it!")
        groups.append(study)
    return lambda id: all(id in group.organization_ids for group in groups)


def _create(call: Call) -> Answer:
    reach_of(call).require("organization", Operation.CREATE)
    registry = call.federation.registry
    given = read_body(call, _FIELDS)
    taken = _taken(given["name"])
    if registry.find_named(Organization, given["name"]):
        raise Refused(HTTPStatus.BAD_REQUEST, taken)
    created = Organization(registry.table.next_id(Organization.KIND), **given)
    keep(registry, created, taken)
    return Answer(organization_shape(call, created), HTTPStatus.CREATED)


def _show(call: Call) -> Answer:
    reach = reach_of(call)
    reach.require("organization", Operation.VIEW)
    return Answer(organization_shape(call, find_organization(call, reach, call.number("id"))))


def _change(call: Call) -> Answer:
    """A public key decides who can read results: only the organization itself gives one."""
    reach = reach_of(call)
    found = _open(call, reach, Operation.EDIT)
    given = read_body(call, _FIELDS, partial=True)
    if "public_key" in given and reach.organization_id != found.id:
        raise lacking("Only members of an organization can update its public key!")
    taken = _taken(given.get("name", ""))
    changed = revise(call.federation.registry, found, lambda old: replace(old, **given), taken)
    return Answer(organization_shape(call, changed))


def _delete(call: Call) -> Answer:
    """What would be lost with it has to be deleted first, tasks in any case one by one."""
    reach = reach_of(call)
    found = _open(call, reach, Operation.DELETE)
    if reach.organization_id == found.id:
        raise Refused(HTTPStatus.BAD_REQUEST, "You cannot delete your own organization!")
    _refuse_with_dependents(call, found)
    _leave_everything(call, found)
    remove(call.federation.registry, found)
    return Answer({"msg": f"Organization id={found.id} was removed from the database"})


def _refuse_with_dependents(call: Call, organization: Organization) -> None:
    id = organization.id
    tasks = call.federation.table.count(tasks_of_organization(id))
    dependents = _dependents(call, id)
    if not tasks and (not dependents or is_asked(call, "delete_dependents")):
        return
    counts = Counter(each.KIND for each in dependents)
    told = ", ".join(f"{counts[kind.KIND]} {kind.KIND}s" for kind in (Node, User, Role))
    raise Refused(
        HTTPStatus.BAD_REQUEST,
        f"Organization id={id} has {tasks} tasks, {told}. Delete the tasks one by one; of the "
        "others, delete_dependents=true deletes all.",
    )


def _dependents(call: Call, id: int) -> list[Node | User | Role]:
    registry = call.federation.registry
    every: list[Node | User | Role] = [*registry.find_all(Node), *registry.find_all(User)]
    every += registry.find_all(Role)
    return [each for each in every if each.organization_id == id]


def _leave_everything(call: Call, organization: Organization) -> None:
    registry, id = call.federation.registry, organization.id
    for collaboration in registry.collaborations_of(id):
        revise(registry, collaboration, lambda old: without_member(old, id))
        leave_collaboration(registry, id, collaboration.id)
    for each in _dependents(call, id):
        if isinstance(each, User):
            dismiss(call.federation, each)
        else:
            remove(registry, each)


def _taken(name: str) -> str:
    return f"Organization with name '{name}' already exists!"


ROUTES = (
    Route("GET", "/organization", _list),
    Route("POST", "/organization", _create, who=("user",)),
    Route("GET", "/organization/{id}", _show),
    Route("PATCH", "/organization/{id}", _change, who=("user", "node")),
    Route("DELETE", "/organization/{id}", _delete, who=("user",)),
)
