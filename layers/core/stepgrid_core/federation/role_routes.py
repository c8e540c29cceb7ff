"""Routes of roles and rules. Who sees which, and may give what: `permissions`."""

from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus

from .access import reach_of
from .bodies import MAX_TEXT_CHARACTERS, Field, read_body, read_id, read_ids, read_name, text
from .changes import keep, remove, revise
from .filters import id_argument, is_asked, passes
from .http import Answer, Call, Refused, Route, page_of
from .permissions import Reach, granted, lacking, missing
from .records import Collaboration, Organization, Role, User
from .roles import find_all_roles, find_role, rules_of
from .rules import (
    DEFAULT_ROLES,
    FIRST_CUSTOM_ROLE,
    RESERVED_NAMES,
    RULES,
    Operation,
    Rule,
)
from .shapes import role_shape, rule_shape


def _read_role_name(value: object) -> str:
    name = read_name(value)
    if name in RESERVED_NAMES:
        raise ValueError("This is the name of a default role")
    return name


_NEW = {
    "name": Field(_read_role_name, required=True),
    "description": Field(text(MAX_TEXT_CHARACTERS)),
    "rules": Field(read_ids, required=True),
    "organization_id": Field(read_id),
}
_CHANGEABLE = {name: field for name, field in _NEW.items() if name != "organization_id"}


def find_seen_role(call: Call, reach: Reach, id: int, operation: str = Operation.VIEW) -> Role:
    """Raises Refused as `granted`."""
    found = find_role(call.federation.registry, id)
    return granted(found, reach.may_role, operation, f"Role with id={id} not found.")


def _open(call: Call, reach: Reach, operation: str) -> Role:
    """The one of the path, for a change. Raises Refused."""
    reach.require("role", operation)
    id = call.number("id")
    if id not in DEFAULT_ROLES:
        return find_seen_role(call, reach, id, operation)
    name = find_seen_role(call, reach, id).name
    words = f"Role {name} is a default role and cannot be edited or deleted."
    raise Refused(HTTPStatus.BAD_REQUEST, words)


def _list(call: Call) -> Answer:
    """Also without a rule to see roles: everybody sees those that it has."""
    reach = reach_of(call)
    among = _organizations_asked_for(call, reach)
    held = _roles_of_user_asked_for(call, reach)
    rule = _rule_asked_for(call)
    shown = [
        role_shape(call, each)
        for each in find_all_roles(call.federation.registry)
        if reach.may_role(Operation.VIEW, each)
        and (among is None or each.organization_id in among)
        and (held is None or each.id in held)
        and (rule is None or rule in each.rule_ids)
        and passes(call, "name", each.name)
        and passes(call, "description", each.description)
    ]
    return page_of(call, shown)


def _organizations_asked_for(call: Call, reach: Reach) -> set[int | None] | None:
    """None: no filter; None among them: the default roles too. Raises Refused."""
    among: set[int | None] | None = None
    for text_ in call.request.query.get("organization_id", ()):
        if not (text_.isascii() and text_.isdigit() and reach.may_role_of("v", int(text_[:15]))):
            raise lacking("You lack the permission to view roles from this organization!")
        among = {*(among or ()), int(text_[:15])}
    if (id := id_argument(call, "collaboration_id")) is not None:
        found = call.federation.registry.find(Collaboration, id)
        if found is None or not reach.may_collaboration(Operation.VIEW, id):
            raise lacking(f"You lack the permission to view roles from collaboration {id}!")
        among = {*found.organization_ids} if among is None else among & {*found.organization_ids}
    if among is not None and is_asked(call, "include_root"):
        among.add(None)
    return among


def _roles_of_user_asked_for(call: Call, reach: Reach) -> Sequence[int] | None:
    user = _user_asked_for(call, reach)
    return None if user is None else user.role_ids


def _user_asked_for(call: Call, reach: Reach) -> User | None:
    """None: no filter. Raises Refused for one that is not there, or not to be seen."""
    id = id_argument(call, "user_id")
    if id is None:
        return None
    user = call.federation.registry.find(User, id)
    if user is None or not reach.may_user(Operation.VIEW, user):
        raise Refused(HTTPStatus.BAD_REQUEST, f"User with id={id} does not exist!")
    return user


def _rule_asked_for(call: Call) -> int | None:
    id = id_argument(call, "rule_id")
    if id is not None and id not in RULES:
        raise missing(f"Rule with id={id} not found.")
    return id


def _create(call: Call) -> Answer:
    reach = reach_of(call)
    reach.require("role", Operation.CREATE)
    registry = call.federation.registry
    given = read_body(call, _NEW)
    organization_id = given.get("organization_id", reach.organization_id)
    _check_place(call, reach, organization_id)
    _check_rules(reach, given["rules"])
    created = Role(
        id=FIRST_CUSTOM_ROLE - 1 + registry.table.next_id(Role.KIND),
        name=given["name"],
        description=given.get("description", ""),
        rule_ids=given["rules"],
        organization_id=organization_id,
    )
    keep(registry, created, _taken(created.name))
    return Answer(role_shape(call, created), HTTPStatus.CREATED)


def _check_place(call: Call, reach: Reach, organization_id: int) -> None:
    found = call.federation.registry.find(Organization, organization_id)
    if found is not None and reach.may_role_of(Operation.CREATE, organization_id):
        return
    if found is None or not reach.may_organization(Operation.VIEW, organization_id):
        raise missing(f"Organization {organization_id} does not exist!")
    raise lacking()


def _check_rules(reach: Reach, ids: Sequence[int], held: Sequence[int] = ()) -> None:
    """Who puts rules into a role, or takes them out (`held`), has them. Raises Refused."""
    for id in ids:
        if id not in RULES:
            raise missing(f"Rule with id={id} not found.")
    reach.refuse_more_than_held([*ids, *(set(held) - set(ids))])


def _show(call: Call) -> Answer:
    return Answer(role_shape(call, find_seen_role(call, reach_of(call), call.number("id"))))


def _change(call: Call) -> Answer:
    reach = reach_of(call)
    found = _open(call, reach, Operation.EDIT)
    given = read_body(call, _CHANGEABLE, partial=True)
    if "rules" in given:
        _check_rules(reach, given["rules"], found.rule_ids)
        given["rule_ids"] = given.pop("rules")
    taken = _taken(given.get("name", ""))
    changed = revise(call.federation.registry, found, lambda old: replace(old, **given), taken)
    return Answer(role_shape(call, changed))


def _delete(call: Call) -> Answer:
    """Whoever has it loses what it allowed."""
    reach = reach_of(call)
    found = _open(call, reach, Operation.DELETE)
    registry = call.federation.registry
    bearers = sum(found.id in each.role_ids for each in registry.find_all(User))
    if bearers and not is_asked(call, "delete_dependents"):
        words = f"Role {found.name} is assigned to {bearers} users and cannot be deleted."
        raise Refused(HTTPStatus.BAD_REQUEST, words)
    remove(registry, found)
    return Answer({"msg": "Role removed from the database."})


def _add_rule(call: Call) -> Answer:
    reach = reach_of(call)
    found, rule = _open(call, reach, Operation.EDIT), _rule_of_path(call)
    reach.refuse_more_than_held([rule.id])
    changed = revise(
        call.federation.registry,
        found,
        lambda old: replace(old, rule_ids=(*_others(rule, old), rule.id)),
    )
    return Answer(_rules(call, changed), HTTPStatus.CREATED)


def _remove_rule(call: Call) -> Answer:
    reach = reach_of(call)
    found, rule = _open(call, reach, Operation.EDIT), _rule_of_path(call)
    reach.refuse_more_than_held([rule.id])
    if rule.id not in found.rule_ids:
        raise missing(f"Rule with id={rule.id} is not part of role with id={found.id}")
    changed = revise(
        call.federation.registry, found, lambda old: replace(old, rule_ids=_others(rule, old))
    )
    return Answer(_rules(call, changed))


def _others(rule: Rule, role: Role) -> tuple[int, ...]:
    return tuple(id for id in role.rule_ids if id != rule.id)


def _rules(call: Call, role: Role) -> list[dict[str, object]]:
    return [rule_shape(call, RULES[id]) for id in role.rule_ids if id in RULES]


def _rule_of_path(call: Call) -> Rule:
    id = call.number("rule_id") if "rule_id" in call.ids else call.number("id")
    if id not in RULES:
        raise missing(f"Rule id={id} not found!")
    return RULES[id]


def _list_role_rules(call: Call) -> Answer:
    return Answer(_rules(call, find_seen_role(call, reach_of(call), call.number("id"))))


def _list_rules(call: Call) -> Answer:
    among = _rules_asked_for(call, reach_of(call))
    shown = [
        rule_shape(call, each)
        for each in RULES.values()
        if each.id in among
        and call.argument("name") in (None, each.resource)
        and _is_named(call, "operation", each.operation, each.operation.name)
        and _is_named(call, "scope", each.scope, each.scope.name)
    ]
    return page_of(call, shown)


def _is_named(call: Call, name: str, code: str, word: str) -> bool:
    """By its letters or in full: the clients say both."""
    wanted = call.argument(name)
    return wanted is None or wanted.lower() in (code, word.lower())


def _rules_asked_for(call: Call, reach: Reach) -> frozenset[int]:
    among = frozenset(RULES)
    if (id := id_argument(call, "role_id")) is not None:
        role = find_role(call.federation.registry, id)
        if role is None or not reach.may_role(Operation.VIEW, role):
            raise Refused(HTTPStatus.BAD_REQUEST, f"Role with id={id} does not exist!")
        among &= frozenset(role.rule_ids)
    if (user := _user_asked_for(call, reach)) is not None:
        among &= rules_of(call.federation.registry, user)
    return among


def _show_rule(call: Call) -> Answer:
    return Answer(rule_shape(call, _rule_of_path(call)))


def _taken(name: str) -> str:
    return f"Role with name '{name}' already exists!"


ROUTES = (
    Route("GET", "/role", _list, who=("user",)),
    Route("POST", "/role", _create, who=("user",)),
    Route("GET", "/role/{id}", _show, who=("user",)),
    Route("PATCH", "/role/{id}", _change, who=("user",)),
    Route("DELETE", "/role/{id}", _delete, who=("user",)),
    Route("GET", "/role/{id}/rule", _list_role_rules, who=("user",)),
    Route("POST", "/role/{id}/rule/{rule_id}", _add_rule, who=("user",)),
    Route("DELETE", "/role/{id}/rule/{rule_id}", _remove_rule, who=("user",)),
    Route("GET", "/rule", _list_rules, who=("user",)),
    Route("GET", "/rule/{id}", _show_rule, who=("user",)),
)
