"""Who is behind a connection of Socket.IO: proved by a token once, and looked up ever after.

A connection keeps no token, only the kind and id of its principal and when the token ends. Whoever
was removed, or whose node has another API key by now, is nobody at the next look.
"""

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import RequestError
from .api_keys import fingerprint
from .authentication import authenticate, user_principal
from .principals import NodePrincipal, Principal, UserPrincipal
from .records import Node, User

if TYPE_CHECKING:
    from .service import Federation

EXPIRED, INVALID = "expired_token", "invalid_token"
#: Of a token that says no end itself.
TOKEN_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class Proof:
    """What a token proved; without a bearer, the event that tells why."""

    bearer: str = ""
    ends_at: float = 0.0
    refusal: str = INVALID


def prove(federation: "Federation", token: str) -> Proof:
    """Raises Unavailable."""
    now = federation.grid.clock.now()
    ends_at = _end_of(token)
    if ends_at is not None and ends_at <= now:
        return Proof(refusal=EXPIRED)
    try:
        principal = authenticate(federation, token)
    except RequestError:
        return Proof()
    bearer = _bearer_of(principal)
    return Proof(bearer, ends_at or now + TOKEN_SECONDS, "") if bearer else Proof()


def recall(federation: "Federation", bearer: str) -> Principal | None:
    """As the table knows them now; None: not any more. A user who listens owns no session."""
    kind, _, rest = bearer.partition(":")
    id, _, key = rest.partition(":")
    if kind == Node.KIND:
        node = federation.registry.find(Node, int(id))
        return NodePrincipal(node) if node and fingerprint(node.key_hash) == key else None
    user = federation.registry.find(User, int(id))
    return None if user is None else user_principal(federation, user, "")


def _bearer_of(principal: Principal) -> str:
    """Containers have no connection of their own: empty."""
    if isinstance(principal, NodePrincipal):
        return f"{Node.KIND}:{principal.node.id}:{fingerprint(principal.node.key_hash)}"
    if isinstance(principal, UserPrincipal):
        return f"{User.KIND}:{principal.user.id}"
    return ""


def _end_of(token: str) -> float | None:
    """What a JWT says of its end. Proves nothing: `authenticate` does."""
    try:
        _, payload, _ = token.split(".")
        padded = payload + "=" * (-len(payload) % 4)
        claims: Any = json.loads(base64.urlsafe_b64decode(padded))
        return float(claims["exp"])
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        return None
