"""How far the caller of a request is let, by what the table says now."""

from typing import TYPE_CHECKING

from .http import Call
from .permissions import Reach
from .principals import Principal, UserPrincipal
from .records import Collaboration
from .registry import Registry
from .rules import Operation, Scope

if TYPE_CHECKING:
    from .service import Federation


def reach_of(call: Call) -> Reach:
    """Of a route that nobody asks without a token."""
    assert call.principal is not None
    return Reach(call.principal, _collaborations(call.federation.registry, call.principal))


def _collaborations(registry: Registry, principal: Principal) -> tuple[Collaboration, ...]:
    """A node and its containers have that of the node, while its organization is in it."""
    if isinstance(principal, UserPrincipal):
        return tuple(registry.collaborations_of(principal.organization_id))
    found = registry.find(Collaboration, principal.collaboration_id)
    return (found,) if found and principal.organization_id in found.organization_ids else ()


def may_receive(
    federation: "Federation",
    principal: UserPrincipal,
    collaboration_id: int,
    organization_id: int | None,
) -> bool:
    """The events of a collaboration, or of one organization's part in it."""
    reach = Reach(principal, _collaborations(federation.registry, principal))
    scope = reach.scope("event", Operation.RECEIVE)
    if scope is Scope.GLOBAL:
        return True
    own = organization_id == principal.organization_id
    wide = scope is Scope.COLLABORATION or (scope is Scope.ORGANIZATION and own)
    return wide and collaboration_id in reach.collaboration_ids
