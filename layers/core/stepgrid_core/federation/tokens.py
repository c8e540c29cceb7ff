"""Tokens of nodes and containers: JWTs that the grid's key signs (RS256), and nothing else does.

    node       access 1 h, refresh 48 h; bears a fingerprint of the API key: a new key ends both
    container  30 days at most; `authentication` lets it end with its task

Only the form and the signature are looked at here; whether a node is still there is read from the
table by `authentication`. The claims are those that vantage6's clients look for: `sub` is a node's
id, or all that a container has to know.
"""

import base64
import json
import uuid
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from .api_keys import fingerprint
from .http import InvalidToken, Refused

if TYPE_CHECKING:
    from .records import FederatedTask, Node
    from .service import Federation

ISSUER = "stepgrid"
AUDIENCE = "stepgrid-federation"
ALGORITHM = "RS256"
ACCESS_SECONDS = 3600
REFRESH_SECONDS = 48 * 3600
CONTAINER_SECONDS = 30 * 24 * 3600
#: A longer one is none of ours, and not worth a look.
MAX_TOKEN_CHARACTERS = 16 * 1024

Use = Literal["access", "refresh"]
#: Time is the grid's clock's, and `sub` no text: both are looked at here and not by PyJWT.
_OPTIONS: Any = {
    "require": ["exp", "iat", "iss", "aud", "sub"],
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "verify_sub": False,
}


@dataclass(frozen=True, slots=True)
class NodeTokens:
    access_token: str
    refresh_token: str


def issue_node_tokens(federation: "Federation", node: "Node") -> NodeTokens:
    claims = {"sub": node.id, "client_type": node.KIND, "key": fingerprint(node.key_hash)}
    return NodeTokens(
        _issue(federation, claims, "access", ACCESS_SECONDS),
        _issue(federation, claims, "refresh", REFRESH_SECONDS),
    )


def issue_container_token(federation: "Federation", node: "Node", task: "FederatedTask") -> str:
    """For one task on one node. What is in `sub` the algorithm's client tells its algorithm."""
    subject = {
        "client_type": "container",
        "node_id": node.id,
        "organization_id": node.organization_id,
        "collaboration_id": node.collaboration_id,
        "study_id": task.study_id,
        "store_id": None,
        "task_id": task.id,
        "image": task.image,
        "databases": [dict(each) for each in task.databases],
    }
    claims = {"sub": subject, "client_type": "container", "key": fingerprint(node.key_hash)}
    return _issue(federation, claims, "access", CONTAINER_SECONDS)


def is_ours(federation: "Federation", token: str) -> bool:
    """Does it say that this grid's key signed it? Nothing is verified."""
    if len(token) > MAX_TOKEN_CHARACTERS or not token.isascii():
        return False
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, RecursionError):
        return False
    return header.get("kid") == _key_id(federation.signer.public_key())


def verify(federation: "Federation", token: str, use: Use) -> dict[str, Any]:
    """The claims of a token of ours. Raises Refused for every other, and for one that has ended."""
    if not is_ours(federation, token):
        raise InvalidToken
    try:
        claims = jwt.decode(
            token,
            _read_key(federation.signer.public_key()),
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            options=_OPTIONS,
        )
    except jwt.InvalidTokenError:
        raise InvalidToken from None
    if claims.get("use") != use or not isinstance(claims["exp"], int):
        raise InvalidToken
    if claims["exp"] <= federation.grid.clock.now():
        raise Refused(HTTPStatus.UNAUTHORIZED, "Token has expired")
    return dict(claims)


def _issue(federation: "Federation", claims: dict[str, Any], use: Use, seconds: int) -> str:
    """PyJWT wants the private key, which nobody has: it is put together here."""
    now = int(federation.grid.clock.now())
    key_id = _key_id(federation.signer.public_key())
    header = {"alg": ALGORITHM, "typ": "JWT", "kid": key_id}
    registered = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + seconds}
    payload = {**registered, "jti": uuid.uuid4().hex, "use": use, **claims}
    parts = (json.dumps(part, separators=(",", ":")) for part in (header, payload))
    message = b".".join(_encode(part.encode()) for part in parts)
    return b".".join((message, _encode(federation.signer.sign(message)))).decode()


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _key_id(public_key: bytes) -> str:
    return sha256(public_key).hexdigest()[:16]


def _read_key(public_key: bytes) -> RSAPublicKey:
    key = load_der_public_key(public_key)
    assert isinstance(key, RSAPublicKey)
    return key
