"""Who asks: by the token of a request, or by its signature.

    our JWT (kid)      --> node, or container of a node    --> the node, and the task, in the table
    Cognito's ID token --> grid.tokens --> subject         --> the user in the table
    signature          --> subject or owner                --> the user in the table

A token says who somebody was when it was issued. What counts is what the table says now.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ..endpoints import HttpRequest
from ..errors import AccessDenied, NotFound
from .api_keys import fingerprint
from .http import InvalidToken, Refused
from .principals import ContainerPrincipal, NodePrincipal, Principal, UserPrincipal
from .records import FederatedTask, Node, User
from .roles import rules_of
from .run_rows import read_run

if TYPE_CHECKING:
    from .service import Federation


def bearer_token(request: HttpRequest) -> str:
    """Raises Refused where there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Refused(HTTPStatus.UNAUTHORIZED, "Missing Authorization Header")
    return token.strip()


def authenticate(federation: "Federation", token: str) -> Principal:
    """Raises Refused (401), and Unavailable."""
    # Functions that know users by their signatures do without the library.
    from . import tokens  # noqa: PLC0415

    if tokens.is_ours(federation, token):
        claims = tokens.verify(federation, token, "access")
        principal: Principal | None = _of_claims(federation, claims)
    else:
        principal = authenticate_user(federation, token)
    if principal is None:
        raise InvalidToken
    return principal


def authenticate_user(federation: "Federation", token: str) -> UserPrincipal | None:
    """By Cognito's ID token; None for every other, and for a stranger to the federation."""
    caller = federation.grid.tokens.verify(token)
    if caller is None or not caller.subject:
        return None
    user = federation.registry.user_of(caller.subject)
    return None if user is None else user_principal(federation, user, caller.owner)


def authenticate_signed(federation: "Federation", owner: str, subject: str) -> UserPrincipal:
    """By a verified signature: `subject` of a user who logged in, else the owner again."""
    registry = federation.registry
    user = registry.user_of(subject) or registry.user_of(owner)
    if user is None:
        raise AccessDenied(f"{owner} is no user of this federation; its operator can add you")
    return user_principal(federation, user, owner)


def node_of_claims(federation: "Federation", claims: Mapping[str, Any]) -> Node | None:
    """Whose token it is: None of a node that was removed, is in the cloud, or has another key."""
    subject = claims["sub"]
    node_id = subject.get("node_id") if isinstance(subject, dict) else subject
    node = federation.registry.find(Node, node_id) if isinstance(node_id, int) else None
    if node is None or node.cloud is not None:
        return None
    return node if fingerprint(node.key_hash) == claims.get("key") else None


def is_at_work(federation: "Federation", node: Node, task: FederatedTask) -> bool:
    """Is the node's run of the task one that has not ended?"""
    if node.collaboration_id != task.collaboration_id:
        return False
    if node.organization_id not in task.organization_ids:
        return False
    session = federation.grid.table.read_session(task.session_id)
    if session is None or session.verdict is not None:
        return False
    index = task.organization_ids.index(node.organization_id)
    try:
        return not read_run(federation.grid, session, index).terminal
    except NotFound:  # deleted this moment
        return False


def user_principal(federation: "Federation", user: User, owner: str) -> UserPrincipal:
    """A user as the table knows it now. owner: of the sessions that its tasks are."""
    return UserPrincipal(user, rules_of(federation.registry, user), owner)


def _of_claims(federation: "Federation", claims: Mapping[str, Any]) -> Principal | None:
    node = node_of_claims(federation, claims)
    if node is None or not isinstance(claims["sub"], dict):
        return None if node is None else NodePrincipal(node)
    task = federation.registry.find(FederatedTask, claims["sub"]["task_id"])
    if task is None or not is_at_work(federation, node, task):
        return None
    return ContainerPrincipal(node, task.id, task.image)
