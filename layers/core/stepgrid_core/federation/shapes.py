"""Entities as JSON, field for field as the schemas of vantage6 4.15 write them. Reads nothing.

One other thing is {"id", "link", "methods"}; several are a link to their list. Fields for what this
grid does not have (one-time passwords of its own, for example) are left out or null.
"""

from collections.abc import Sequence
from typing import Any

from .http import Call
from .nodes import status_of
from .records import Collaboration, Node, Organization, Role, Study, User
from .rules import DEFAULT_ROLES, Rule
from .times import iso_time

Shape = dict[str, Any]

_METHODS = {
    "organization": ("GET", "PATCH", "DELETE"),
    "collaboration": ("GET", "PATCH", "DELETE"),
    "study": ("GET", "PATCH", "DELETE"),
    "node": ("GET", "PATCH", "DELETE"),
    "user": ("GET", "PATCH", "DELETE"),
    "role": ("GET", "PATCH", "DELETE"),
    "task": ("GET", "DELETE"),
    "run": ("GET", "PATCH"),
    "result": ("GET", "PATCH"),
}


def hateoas(call: Call, kind: str, id: int | None) -> Shape | None:
    """A link to one thing; None for None."""
    if id is None:
        return None
    return {"id": id, "link": f"{call.base}/{kind}/{id}", "methods": list(_METHODS[kind])}


def list_link(call: Call, kind: str, by: str, id: int) -> str:
    """A link to all things of a kind that belong to this one."""
    return f"{call.base}/{kind}?{by}={id}"


def organization_shape(call: Call, organization: Organization) -> Shape:
    def of(kind: str, by: str = "organization_id") -> str:
        return list_link(call, kind, by, organization.id)

    return {
        "id": organization.id,
        "name": organization.name,
        "domain": organization.domain,
        "address1": organization.address1,
        "address2": organization.address2,
        "zipcode": organization.zipcode,
        "country": organization.country,
        "public_key": organization.public_key,
        "collaborations": of("collaboration"),
        "nodes": of("node"),
        "users": of("user"),
        "tasks": of("task", "init_org_id"),
        "runs": of("run"),
        "studies": of("study"),
    }


def collaboration_shape(
    call: Call, collaboration: Collaboration, members: Sequence[Organization] | None = None
) -> Shape:
    """members: to be shown in full."""

    def of(kind: str) -> str:
        return list_link(call, kind, "collaboration_id", collaboration.id)

    return {
        "id": collaboration.id,
        "name": collaboration.name,
        "encrypted": collaboration.encrypted,
        "organizations": _members(call, of("organization"), members),
        "nodes": of("node"),
        "tasks": of("task"),
        "algorithm_stores": of("algorithm_store"),
        "studies": of("study"),
    }


def study_shape(call: Call, study: Study, members: Sequence[Organization] | None = None) -> Shape:
    link = list_link(call, "organization", "study_id", study.id)
    return {
        "id": study.id,
        "name": study.name,
        "collaboration": hateoas(call, "collaboration", study.collaboration_id),
        "organizations": _members(call, link, members),
        "tasks": list_link(call, "task", "study_id", study.id),
    }


def _members(call: Call, link: str, members: Sequence[Organization] | None) -> str | list[Shape]:
    return link if members is None else [organization_shape(call, each) for each in members]


def node_shape(call: Call, node: Node) -> Shape:
    now = call.federation.grid.clock.now()
    return {
        "id": node.id,
        "name": node.name,
        "type": "node",
        "status": status_of(node, now),
        "ip": node.ip,
        "last_seen": iso_time(node.seen_at),
        "organization": hateoas(call, "organization", node.organization_id),
        "collaboration": hateoas(call, "collaboration", node.collaboration_id),
        "config": _config(node),
    }


def node_in_collaboration_shape(call: Call, node: Node) -> Shape:
    left_out = ("collaboration", "type")
    return {name: each for name, each in node_shape(call, node).items() if name not in left_out}


def node_in_run_shape(call: Call, node: Node) -> Shape:
    shape = node_shape(call, node)
    return {name: shape[name] for name in ("id", "ip", "status", "name")}


def _config(node: Node) -> list[Shape]:
    """One entry for each value: a policy with several has several."""
    entries = [
        (key, value)
        for key, values in node.config.items()
        for value in (values if isinstance(values, list) else [values])
    ]
    return [{"key": key, "value": str(value)} for key, value in entries]


def user_shape(call: Call, user: User) -> Shape:
    return {
        "id": user.id,
        "type": "user",
        "username": user.username,
        "firstname": user.firstname,
        "lastname": user.lastname,
        "email": user.email,
        "organization": hateoas(call, "organization", user.organization_id),
        "roles": list_link(call, "role", "user_id", user.id),
        "rules": list_link(call, "rule", "user_id", user.id),
        "status": None,
        "ip": None,
        "last_seen": None,
    }


def role_shape(call: Call, role: Role) -> Shape:
    return {
        "id": role.id,
        "name": role.name,
        "description": role.description,
        "is_default_role": role.id in DEFAULT_ROLES,
        "rules": list_link(call, "rule", "role_id", role.id),
        "users": list_link(call, "user", "role_id", role.id),
        "organization": hateoas(call, "organization", role.organization_id),
    }


def rule_shape(call: Call, rule: Rule) -> Shape:
    return {
        "id": rule.id,
        "name": rule.resource,
        "operation": rule.operation.name,
        "scope": rule.scope.name,
        "description": rule.description,
        "users": list_link(call, "user", "rule_id", rule.id),
    }
