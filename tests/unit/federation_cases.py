"""The permission matrix: each route of a federation, the right that it needs, and what it is asked.

A new route needs a case: a test says which one has none.
"""

from collections.abc import Mapping
from typing import Any

from .federation_reach import ANY, COLLABORATION, ORGANIZATION, OWN, Case, Target
from .federation_world import (
    COLLEAGUE,
    NOBODY_KNOWS,
    PEER,
    PEERS_ROLE,
    ROLE,
    STRANGER,
    STRANGERS_ROLE,
)


def _each(route: str, ids: Mapping[str, int], body: Any = None) -> tuple[Target, ...]:
    """Targets of a route with one id, by their relations."""
    return tuple(
        Target(relation, route.replace("{id}", str(id)), body) for relation, id in ids.items()
    )


_ORGANIZATIONS = {ORGANIZATION: 1, COLLABORATION: 2, ANY: 3}
_STUDIES = {ORGANIZATION: 1, COLLABORATION: 2, ANY: 3}
_CUSTOM_ROLES = {ORGANIZATION: ROLE, COLLABORATION: PEERS_ROLE, ANY: STRANGERS_ROLE}
USER_ROUTE = "/user/{id:[0-9a-zA-Z-]+}"


def _collaborations(end: str = "", query: str = "", bodies: Any = None) -> tuple[Target, ...]:
    """bodies: for each of collaboration 1 (ours), 3 (ours, but not that of node 1) and 2."""
    far = ((1, COLLABORATION, COLLABORATION), (3, COLLABORATION, ANY), (2, ANY, ANY))
    return tuple(
        Target(relation, f"/collaboration/{id}{end}{query}", bodies and bodies[id], from_node)
        for id, relation, from_node in far
    )


def _nodes(path: str = "/node/{id}", body: Any = None) -> tuple[Target, ...]:
    """Node 1 is the one that asks, 4 another one of its organization."""
    far = ((1, ORGANIZATION, OWN), (4, ORGANIZATION, ORGANIZATION), (2, COLLABORATION, ""))
    return tuple(
        Target(
            relation,
            path.replace("{id}", str(id)),
            {"id": id} if body == "id" else body,
            from_node,
        )
        for id, relation, from_node in (*far, (3, ANY, ""))
    )


def _users(body: Any = None) -> tuple[Target, ...]:
    ids = {OWN: "{self}", ORGANIZATION: COLLEAGUE, COLLABORATION: PEER, ANY: STRANGER}
    return tuple(Target(relation, f"/user/{id}", body) for relation, id in ids.items())


def _bodies(path: str, bodies: Mapping[str, Any]) -> tuple[Target, ...]:
    return tuple(Target(relation, path, body) for relation, body in bodies.items())


def _new_user(organization_id: int) -> dict[str, Any]:
    return {
        "username": "newcomer",
        "password": "Correct horse 1!",
        "email": "newcomer@example.org",
        "organization_id": organization_id,
    }


def _add_members(new: Mapping[int, int]) -> dict[int, Any]:
    return {place: {"id": id} for place, id in new.items()}


CASES: list[Case] = [
    Case(
        "POST",
        "/organization",
        "organization c",
        (Target(ANY, "/organization", {"name": "Hygieia"}),),
        users_only=True,
        success=201,
    ),
    Case(
        "GET", "/organization/{id}", "organization v", _each("/organization/{id}", _ORGANIZATIONS)
    ),
    Case(
        "PATCH",
        "/organization/{id}",
        "organization e",
        _each("/organization/{id}", _ORGANIZATIONS, {"domain": "example.org"}),
        no_containers=True,
    ),
    Case(
        "DELETE",
        "/organization/{id}",
        "organization d",
        _each("/organization/{id}?delete_dependents=True", {COLLABORATION: 2, ANY: 3}),
        users_only=True,
    ),
    Case(
        "POST",
        "/collaboration",
        "collaboration c",
        (
            Target(
                ANY,
                "/collaboration",
                {"name": "brain", "encrypted": False, "organization_ids": [1, 3]},
            ),
        ),
        users_only=True,
    ),
    Case("GET", "/collaboration/{id}", "collaboration v", _collaborations()),
    Case(
        "PATCH",
        "/collaboration/{id}",
        "collaboration e",
        _collaborations(bodies={id: {"name": "brain"} for id in (1, 2, 3)}),
        users_only=True,
    ),
    Case(
        "DELETE",
        "/collaboration/{id}",
        "collaboration d",
        _collaborations(query="?delete_dependents=true"),
        users_only=True,
    ),
    Case(
        "GET",
        "/collaboration/{id}/organization",
        "collaboration v",
        _collaborations("/organization"),
        no_containers=True,
    ),
    Case(
        "POST",
        "/collaboration/{id}/organization",
        "collaboration e",
        _collaborations("/organization", bodies=_add_members({1: 4, 3: 4, 2: 1})),
        users_only=True,
    ),
    Case(
        "DELETE",
        "/collaboration/{id}/organization",
        "collaboration e",
        _collaborations("/organization", bodies=_add_members({1: 2, 3: 2, 2: 3})),
        users_only=True,
    ),
    Case(
        "GET",
        "/collaboration/{id}/node",
        "collaboration v",
        _collaborations("/node"),
        no_containers=True,
    ),
    # A node stays where it is: whoever may ask is told so.
    Case(
        "POST",
        "/collaboration/{id}/node",
        "collaboration e",
        _collaborations("/node", bodies=_add_members({1: 4, 3: 1, 2: 1})),
        users_only=True,
        success=400,
    ),
    Case(
        "DELETE",
        "/collaboration/{id}/node",
        "collaboration e",
        _collaborations("/node", bodies=_add_members({1: 1, 3: 4, 2: 3})),
        users_only=True,
    ),
    Case(
        "POST",
        "/study",
        "study c",
        _bodies(
            "/study",
            {
                COLLABORATION: {"name": "new", "collaboration_id": 1, "organization_ids": [1, 2]},
                ANY: {"name": "new", "collaboration_id": 2, "organization_ids": [3]},
            },
        ),
        users_only=True,
        success=201,
        seen_by="study c",
    ),
    Case("GET", "/study/{id}", "study v", _each("/study/{id}", _STUDIES)),
    Case(
        "PATCH",
        "/study/{id}",
        "study e",
        _each("/study/{id}", _STUDIES, {"name": "renamed"}),
        users_only=True,
    ),
    Case("DELETE", "/study/{id}", "study d", _each("/study/{id}", _STUDIES), users_only=True),
    Case(
        "GET",
        "/study/{id}/organization",
        "study v",
        _each("/study/{id}/organization", _STUDIES),
        no_containers=True,
    ),
    Case(
        "POST",
        "/study/{id}/organization",
        "study e",
        (
            Target(ORGANIZATION, "/study/1/organization", {"id": 2}),
            Target(COLLABORATION, "/study/2/organization", {"id": 1}),
            Target(ANY, "/study/3/organization", {"id": 4}),
        ),
        users_only=True,
    ),
    Case(
        "DELETE",
        "/study/{id}/organization",
        "study e",
        (
            Target(ORGANIZATION, "/study/1/organization", {"id": 1}),
            Target(COLLABORATION, "/study/2/organization", {"id": 2}),
            Target(ANY, "/study/3/organization", {"id": 3}),
        ),
        users_only=True,
    ),
    Case(
        "POST",
        "/node",
        "node c",
        (
            Target(ORGANIZATION, "/node", {"collaboration_id": 4}),
            Target(COLLABORATION, "/node", {"collaboration_id": 4, "organization_id": 2}),
            Target(ANY, "/node", {"collaboration_id": 2, "organization_id": 4}),
        ),
        users_only=True,
        success=201,
        seen_by="collaboration v",
    ),
    Case("GET", "/node/{id}", "node v", _nodes(), no_containers=True),
    Case("PATCH", "/node/{id}", "node e", _nodes(body={"name": "renamed"}), no_containers=True),
    Case("DELETE", "/node/{id}", "node d", _nodes(), users_only=True),
    Case("POST", "/recover/node", "node e", _nodes("/recover/node", "id"), users_only=True),
    Case(
        "POST",
        "/user",
        "user c",
        _bodies(
            "/user",
            {ORGANIZATION: _new_user(1), COLLABORATION: _new_user(2), ANY: _new_user(3)},
        ),
        users_only=True,
        success=201,
        seen_by="organization v",
    ),
    Case("GET", USER_ROUTE, "user v", _users(), users_only=True),
    Case("PATCH", USER_ROUTE, "user e", _users({"lastname": "Renamed"}), users_only=True),
    Case("DELETE", USER_ROUTE, "user d", _users(), users_only=True),
    Case(
        "POST",
        "/role",
        "role c",
        tuple(
            Target(relation, "/role", {"name": "new", "rules": [], "organization_id": id})
            for relation, id in _ORGANIZATIONS.items()
        ),
        users_only=True,
        success=201,
        seen_by="organization v",
    ),
    Case(
        "GET",
        "/role/{id}",
        "role v",
        _each("/role/{id}", _CUSTOM_ROLES),
        users_only=True,
        hidden=True,
    ),
    Case(
        "PATCH",
        "/role/{id}",
        "role e",
        _each("/role/{id}", _CUSTOM_ROLES, {"description": "changed"}),
        users_only=True,
    ),
    Case("DELETE", "/role/{id}", "role d", _each("/role/{id}", _CUSTOM_ROLES), users_only=True),
    Case(
        "GET",
        "/role/{id}/rule",
        "role v",
        _each("/role/{id}/rule", _CUSTOM_ROLES),
        users_only=True,
        hidden=True,
    ),
    Case(
        "POST",
        "/role/{id}/rule/{rule_id}",
        "role e",
        _each("/role/{id}/rule/22", _CUSTOM_ROLES),
        users_only=True,
        success=201,
    ),
    Case(
        "DELETE",
        "/role/{id}/rule/{rule_id}",
        "role e",
        _each("/role/{id}/rule/29", _CUSTOM_ROLES),
        users_only=True,
    ),
    Case("GET", "/rule/{id}", "rule v", (Target(ANY, "/rule/1"),), users_only=True),
]

#: What stands for the id of something that is not there, in the place of a foreign one.
UNKNOWN = NOBODY_KNOWS
