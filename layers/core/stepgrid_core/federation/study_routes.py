"""Routes of studies, which are parts of a collaboration. Who sees which: `permissions`."""

from dataclasses import replace
from http import HTTPStatus

from .access import reach_of
from .bodies import Field, read_body, read_id, read_name, read_organization_ids
from .changes import keep, remove, revise
from .filters import id_argument, is_included, passes
from .http import Answer, Call, Refused, Route, page_of
from .members import with_member, without_member
from .organization_routes import see_members, show_members
from .permissions import Reach, granted, missing
from .records import Collaboration, Study
from .rules import Operation
from .shapes import study_shape
from .task_lists import tasks_of_study

_FIELDS = {
    "name": Field(read_name, required=True),
    "collaboration_id": Field(read_id, required=True),
    "organization_ids": Field(read_organization_ids, required=True),
}
_CHANGEABLE = {name: _FIELDS[name] for name in ("name", "organization_ids")}
_ONLY_ID = {"id": Field(read_id, required=True)}


def find_study(call: Call, reach: Reach, id: int, operation: str = Operation.VIEW) -> Study:
    """Raises Refused as `granted`."""
    found = call.federation.registry.find(Study, id)
    return granted(found, reach.may_study, operation, f"Study with id={id} not found")


def _open(call: Call, reach: Reach, operation: str) -> Study:
    """The one of the path, for a change. Raises Refused."""
    reach.require("study", operation)
    return find_study(call, reach, call.number("id"), operation)


def _shape(call: Call, reach: Reach, study: Study, full: bool) -> dict[str, object]:
    members = see_members(call, reach, study.organization_ids) if full else None
    return study_shape(call, study, members)


def _list(call: Call) -> Answer:
    reach = reach_of(call)
    reach.require("study", Operation.VIEW)
    member, collaboration = (
        id_argument(call, "organization_id"),
        id_argument(call, "collaboration_id"),
    )
    full = is_included(call, "organizations")
    shown = [
        _shape(call, reach, each, full)
        for each in call.federation.registry.find_all(Study)
        if reach.may_study(Operation.VIEW, each)
        and passes(call, "name", each.name)
        and (member is None or member in each.organization_ids)
        and collaboration in (None, each.collaboration_id)
    ]
    return page_of(call, shown)


def _create(call: Call) -> Answer:
    reach = reach_of(call)
    reach.require("study", Operation.CREATE)
    registry = call.federation.registry
    given = read_body(call, _FIELDS)
    collaboration = registry.find(Collaboration, given["collaboration_id"])
    if collaboration is None or not reach.may_create_study(collaboration.id):
        raise missing(f"Collaboration id={given['collaboration_id']} not found!")
    _refuse_strangers(collaboration, given["organization_ids"])
    created = Study(registry.table.next_id(Study.KIND), **given)
    keep(registry, created, f"Study with name '{created.name}' already exists!")
    return Answer(_shape(call, reach, created, full=True), HTTPStatus.CREATED)


def _refuse_strangers(collaboration: Collaboration | None, ids: tuple[int, ...]) -> None:
    if collaboration is None or not set(ids) <= set(collaboration.organization_ids):
        raise Refused(
            HTTPStatus.BAD_REQUEST, "Not all organizations are part of the collaboration!"
        )


def _show(call: Call) -> Answer:
    reach = reach_of(call)
    reach.require("study", Operation.VIEW)
    found = find_study(call, reach, call.number("id"))
    return Answer(_shape(call, reach, found, is_included(call, "organizations")))


def _change(call: Call) -> Answer:
    reach = reach_of(call)
    found = _open(call, reach, Operation.EDIT)
    given = read_body(call, _CHANGEABLE, partial=True)
    registry = call.federation.registry
    if "organization_ids" in given:
        collaboration = registry.find(Collaboration, found.collaboration_id)
        _refuse_strangers(collaboration, given["organization_ids"])
    taken = f"Study name '{given.get('name')}' already exists!"
    changed = revise(registry, found, lambda old: replace(old, **given), taken)
    return Answer(_shape(call, reach, changed, full=True))


def _delete(call: Call) -> Answer:
    reach = reach_of(call)
    found = _open(call, reach, Operation.DELETE)
    registry = call.federation.registry
    if tasks := registry.table.count(tasks_of_study(found.id)):
        words = f"Study id={found.id} has {tasks} tasks. Delete them first, one by one."
        raise Refused(HTTPStatus.BAD_REQUEST, words)
    remove(registry, found)
    return Answer({"msg": f"Study id={found.id} successfully deleted"})


# Its organizations.


def _list_members(call: Call) -> Answer:
    reach = reach_of(call)
    reach.require("study", Operation.VIEW)
    return show_members(call, reach, find_study(call, reach, call.number("id")))


def _add_member(call: Call) -> Answer:
    reach = reach_of(call)
    found = _open(call, reach, Operation.EDIT)
    id = read_body(call, _ONLY_ID)["id"]
    collaboration = call.federation.registry.find(Collaboration, found.collaboration_id)
    if collaboration is None or id not in collaboration.organization_ids:
        words = "Organization is not a member of the collaboration!"
        raise Refused(HTTPStatus.BAD_REQUEST, words)
    changed = revise(call.federation.registry, found, lambda old: with_member(old, id))
    return show_members(call, reach, changed)


def _remove_member(call: Call) -> Answer:
    reach = reach_of(call)
    found = _open(call, reach, Operation.EDIT)
    id = read_body(call, _ONLY_ID)["id"]
    if id not in found.organization_ids:
        raise missing(f"Organization id={id} is not part of study id={found.id}")
    changed = revise(call.federation.registry, found, lambda old: without_member(old, id))
    return show_members(call, reach, changed)


ROUTES = (
    Route("GET", "/study", _list, who=("user", "node")),
    Route("POST", "/study", _create, who=("user",)),
    Route("GET", "/study/{id}", _show),
    Route("PATCH", "/study/{id}", _change, who=("user",)),
    Route("DELETE", "/study/{id}", _delete, who=("user",)),
    Route("GET", "/study/{id}/organization", _list_members, who=("user", "node")),
    Route("POST", "/study/{id}/organization", _add_member, who=("user",)),
    Route("DELETE", "/study/{id}/organization", _remove_member, who=("user",)),
)
