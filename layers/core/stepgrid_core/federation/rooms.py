"""Rooms: whose events go to whom. Their names are vantage6's.

all_nodes                                 nodes
collaboration_{id}                        its nodes, and users who may receive its events
collaboration_{id}_organization_{id}      that node, and users who may receive their own's only

Knows no connection.
"""

import re
from collections.abc import Iterable

from .permissions import scope_of
from .principals import NodePrincipal, Principal, UserPrincipal
from .records import Collaboration
from .registry import Registry
from .rules import Operation, Scope

#: Of Socket.IO, where all of them are.
NAMESPACE = "/tasks"
ALL_NODES = "all_nodes"
_NAME = re.compile(r"collaboration_([0-9]{1,15})(?:_organization_([0-9]{1,15}))?", re.ASCII)


def room_of(collaboration_id: int, organization_id: int | None = None) -> str:
    whole = f"collaboration_{collaboration_id}"
    return whole if organization_id is None else f"{whole}_organization_{organization_id}"


def rooms_about(collaboration_id: int, organization_ids: Iterable[int]) -> list[str]:
    """Of whoever has to hear what happens to these organizations in the collaboration."""
    parts = [room_of(collaboration_id, each) for each in organization_ids]
    return [room_of(collaboration_id), *parts]


def may_join(registry: Registry, principal: Principal, room: str) -> bool:
    if isinstance(principal, NodePrincipal):
        return room in _rooms_of_node(principal)
    found = _NAME.fullmatch(room)
    if found is None or not isinstance(principal, UserPrincipal):
        return False
    collaboration = registry.find(Collaboration, int(found[1]))
    organization_id = None if found[2] is None else int(found[2])
    return collaboration is not None and _may_receive(principal, collaboration, organization_id)


def rooms_to_join(registry: Registry, principal: Principal) -> list[str]:
    """Those that a principal is in without asking."""
    if isinstance(principal, NodePrincipal):
        return _rooms_of_node(principal)
    if not isinstance(principal, UserPrincipal):
        return []
    rooms = []
    for collaboration in registry.find_all(Collaboration):
        for part in (None, principal.organization_id):
            if _may_receive(principal, collaboration, part):
                rooms.append(room_of(collaboration.id, part))
                break
    return rooms


def _may_receive(user: UserPrincipal, collaboration: Collaboration, part: int | None) -> bool:
    """By rule event/r: of any, of those of its organization, or of its organization's part."""
    scope = scope_of(user, "event", Operation.RECEIVE)
    if user.organization_id not in collaboration.organization_ids:
        return scope is Scope.GLOBAL
    own = scope is Scope.ORGANIZATION and part == user.organization_id
    return scope in (Scope.GLOBAL, Scope.COLLABORATION) or own


def _rooms_of_node(principal: NodePrincipal) -> list[str]:
    place = principal.collaboration_id, principal.organization_id
    return [ALL_NODES, room_of(place[0]), room_of(*place)]
