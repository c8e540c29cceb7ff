"""Routes of users. Who sees which, and may give what: `permissions`."""

from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from ..errors import Conflict, InvalidRequest
from .access import reach_of
from .bodies import (
    Field,
    read_body,
    read_email,
    read_id,
    read_ids,
    read_password,
    read_username,
    text,
)
from .changes import revise
from .filters import id_argument, is_asked, passes
from .http import Answer, Call, Refused, Route, page_of
from .permissions import Reach, granted, lacking, missing
from .records import Collaboration, Organization, Role, User
from .registry import marks_of
from .roles import find_role, rules_of
from .rules import RULES, Operation
from .shapes import user_shape
from .users import dismiss

_NEW = {
    "username": Field(read_username, required=True),
    "password": Field(read_password, required=True),
    "email": Field(read_email, required=True),
    "firstname": Field(text()),
    "lastname": Field(text()),
    "organization_id": Field(read_id),
    "roles": Field(read_ids),
    "rules": Field(read_ids),
}
_CHANGEABLE = {
    "username": Field(text()),
    "password": Field(text()),
    "email": Field(read_email),
    "firstname": Field(text()),
    "lastname": Field(text()),
    "roles": Field(read_ids),
    "rules": Field(read_ids),
}
#: An id, or what Cognito calls the user: clients take it from their token.
_ONE = "/user/{id:[0-9a-zA-Z-]+}"


def find_user(call: Call, reach: Reach, asked: str, operation: str = Operation.VIEW) -> User:
    """Raises Refused as `granted`."""
    found = _look_up(call, asked)
    return granted(found, reach.may_user, operation, f"user id={asked} is not found")


def _look_up(call: Call, asked: str) -> User | None:
    registry = call.federation.registry
    if asked.isdigit() and len(asked) <= 15:
        return registry.find(User, int(asked))
    return registry.user_of(asked)


def _open(call: Call, reach: Reach, operation: str) -> User:
    """The one of the path, for a change. Raises Refused."""
    reach.require("user", operation)
    return find_user(call, reach, call.ids["id"], operation)


def _list(call: Call) -> Answer:
    reach = reach_of(call)
    role, rule = _role_asked_for(call, reach), _rule_asked_for(call)
    among = _organizations_asked_for(call, reach)
    shown = [
        user_shape(call, each)
        for each in call.federation.registry.find_all(User)
        if reach.may_user(Operation.VIEW, each)
        and (among is None or each.organization_id in among)
        and all(passes(call, name, getattr(each, name)) for name in _LIKE)
        and (role is None or role in each.role_ids)
        and (rule is None or rule in each.rule_ids)
    ]
    return page_of(call, shown)


_LIKE = ("username", "firstname", "lastname", "email")


def _organizations_asked_for(call: Call, reach: Reach) -> set[int] | None:
    """None: no filter. Raises Refused for one whose users the caller can't see."""
    among: set[int] | None = None
    if (id := id_argument(call, "organization_id")) is not None:
        if not reach.may_user_of(Operation.VIEW, id):
            raise lacking(f"You lack the permission view users from organization {id}!")
        among = {id}
    if (id := id_argument(call, "collaboration_id")) is not None:
        found = call.federation.registry.find(Collaboration, id)
        if found is None or not reach.may_collaboration(Operation.VIEW, id):
            raise lacking(f"You lack the permission view all users from collaboration {id}!")
        among = set(found.organization_ids) & (among or set(found.organization_ids))
    return among


def _role_asked_for(call: Call, reach: Reach) -> int | None:
    id = id_argument(call, "role_id")
    role = None if id is None else find_role(call.federation.registry, id)
    if id is not None and (role is None or not reach.may_role(Operation.VIEW, role)):
        raise Refused(HTTPStatus.BAD_REQUEST, f"Role with id={id} does not exist!")
    return id


def _rule_asked_for(call: Call) -> int | None:
    id = id_argument(call, "rule_id")
    if id is not None and id not in RULES:
        raise Refused(HTTPStatus.BAD_REQUEST, f"Rule with id={id} does not exist!")
    return id


def _show(call: Call) -> Answer:
    found = find_user(call, reach_of(call), call.ids["id"])
    shape = user_shape(call, found)
    if is_asked(call, "include_permissions"):
        shape["permissions"] = _permissions(call, found)
    return Answer(shape)


def _permissions(call: Call, user: User) -> dict[str, list[int]]:
    registry = call.federation.registry
    collaborations = registry.collaborations_of(user.organization_id)
    peers = {id for each in collaborations for id in each.organization_ids}
    return {
        "roles": list(user.role_ids),
        "rules": sorted(rules_of(registry, user)),
        "orgs_in_collabs": sorted(peers),
    }


def _create(call: Call) -> Answer:
    """The login is made first: a user that can't log in would be found, and taken for one."""
    reach = reach_of(call)
    reach.require("user", Operation.CREATE)
    given = read_body(call, _NEW)
    organization_id = given.get("organization_id", reach.organization_id)
    _find_organization(call, reach, organization_id)
    _check_roles(call, reach, given.get("roles", ()), organization_id)
    _check_rules(reach, given.get("rules", ()))
    _refuse_taken(call, given)
    return Answer(user_shape(call, _make(call, given, organization_id)), HTTPStatus.CREATED)


def _find_organization(call: Call, reach: Reach, id: int) -> None:
    found = call.federation.registry.find(Organization, id)
    if found is not None and reach.may_user_of(Operation.CREATE, id):
        return
    if found is None or not reach.may_organization(Operation.VIEW, id):
        raise missing("Organization does not exist.")
    raise lacking()


def _refuse_taken(call: Call, given: dict[str, Any]) -> None:
    registry = call.federation.registry
    if "username" in given and registry.find_named(User, given["username"]):
        raise Refused(HTTPStatus.BAD_REQUEST, "username already exists.")
    if any(each.email == given["email"] for each in registry.find_all(User)):
        raise Refused(HTTPStatus.BAD_REQUEST, "email already exists.")


def _make(call: Call, given: dict[str, Any], organization_id: int) -> User:
    """A login whose user could not be kept is taken back."""
    federation, name = call.federation, given["username"]
    try:
        subject = federation.directory.create(name, given["password"], given["email"])
    except Conflict:
        raise Refused(HTTPStatus.BAD_REQUEST, "username already exists.") from None
    except InvalidRequest as error:
        raise Refused(HTTPStatus.BAD_REQUEST, error.message) from None
    user = User(
        id=federation.table.next_id(User.KIND),
        username=name,
        subject=subject,
        organization_id=organization_id,
        firstname=given.get("firstname", ""),
        lastname=given.get("lastname", ""),
        email=given["email"],
        role_ids=given.get("roles", ()),
        rule_ids=given.get("rules", ()),
    )
    if not federation.registry.create(user, marks_of(user)):
        federation.directory.remove(name, subject)
        raise Refused(HTTPStatus.BAD_REQUEST, "username already exists.")
    return user


def _check_roles(
    call: Call, reach: Reach, ids: Sequence[int], organization_id: int, held: Sequence[int] = ()
) -> None:
    """Who gives roles, or takes them (`held`), has all their rules. Raises Refused."""
    roles = [_find_role(call, reach, id) for id in ids]
    for role in roles:
        if role.organization_id not in (None, organization_id):
            raise lacking("You can't assign that role: it belongs to a different organization.")
    taken = [find_role(call.federation.registry, id) for id in set(held) - set(ids)]
    for each in (*roles, *taken):
        reach.refuse_more_than_held(each.rule_ids if each else ())


def _find_role(call: Call, reach: Reach, id: int) -> Role:
    role = find_role(call.federation.registry, id)
    if role is None or not reach.may_role(Operation.VIEW, role):
        raise missing(f"Role={id} can not be found!")
    return role


def _check_rules(reach: Reach, ids: Sequence[int], held: Sequence[int] = ()) -> None:
    for id in ids:
        if id not in RULES:
            raise missing(f"Rule={id} can not be found!")
    reach.refuse_more_than_held([*ids, *(set(held) - set(ids))])


def _change(call: Call) -> Answer:
    reach = reach_of(call)
    found = _open(call, reach, Operation.EDIT)
    given = read_body(call, _CHANGEABLE, partial=True)
    _refuse_login_changes(found, given)
    _check_rights(call, reach, found, given)
    if given.get("email", found.email) != found.email:
        _refuse_taken(call, {"email": given["email"]})
    renamed = {"roles": "role_ids", "rules": "rule_ids"}
    values = {renamed.get(name, name): value for name, value in given.items()}
    values.pop("username", None)
    changed = revise(call.federation.registry, found, lambda old: replace(old, **values))
    return Answer(user_shape(call, changed))


def _refuse_login_changes(user: User, given: dict[str, Any]) -> None:
    if given.get("password"):
        raise Refused(HTTPStatus.BAD_REQUEST, "You cannot change your password here!")
    if given.get("username", user.username) != user.username:
        words = f"user id={user.id} logs in as {user.username!r}, and can't be renamed"
        raise Refused(HTTPStatus.BAD_REQUEST, words)


def _check_rights(call: Call, reach: Reach, user: User, given: dict[str, Any]) -> None:
    """Nobody changes its own, and nobody gives or takes what it does not have."""
    for name in ("roles", "rules"):
        if name in given and user.id == reach.user_id:
            raise lacking(f"You can't change your own {name}!")
    if "roles" in given:
        _check_roles(call, reach, given["roles"], user.organization_id, user.role_ids)
    if "rules" in given:
        _check_rules(reach, given["rules"], user.rule_ids)


def _delete(call: Call) -> Answer:
    """Loses access at once. The user's tasks stay: they are its organization's."""
    found = _open(call, reach_of(call), Operation.DELETE)
    dismiss(call.federation, found)
    return Answer({"msg": f"user id={found.id} is removed from the database"})


ROUTES = (
    Route("GET", "/user", _list, who=("user",)),
    Route("POST", "/user", _create, who=("user",)),
    Route("GET", _ONE, _show, who=("user",)),
    Route("PATCH", _ONE, _change, who=("user",)),
    Route("DELETE", _ONE, _delete, who=("user",)),
)
