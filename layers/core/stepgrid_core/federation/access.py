"""How far the caller of a request is let, by what the table says now."""

from .http import Call
from .permissions import Reach
from .principals import Principal, UserPrincipal
from .records import Collaboration
from .registry import Registry


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
