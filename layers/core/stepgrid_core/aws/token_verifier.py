"""TokenVerifier by an identity pool: an id token that it takes is one of this grid's user pool.

    id token ─▶ GetId ─▶ GetCredentialsForIdentity ─▶ identity id = owner

The pool checks signature, audience and end, and asks the user pool whether the user is still there
(ServerSideTokenCheck). The calls bear no signature and need no right; the keys that come of them
are thrown away. What a token says of itself is believed once the pool has taken it; before, it only
saves the question: anybody can send tokens, and all users share the quota of such calls.
"""

import base64
import json
import re
import time
from functools import cached_property
from typing import Any

from botocore import UNSIGNED
from botocore.exceptions import ClientError

from ..ports import Caller
from ..settings import Settings
from .translate import code_of, make_client, translated

#: Three parts in base64url; anything else is not worth a request.
_JWT = re.compile(r"[\w-]{1,1024}\.[\w-]{1,6144}\.[\w-]{1,1024}", re.ASCII)
_REFUSALS = (
    "NotAuthorizedException",
    "InvalidParameterException",
    "ResourceConflictException",
    "UserNotFoundException",
)


class AwsTokenVerifier:
    def __init__(self, settings: Settings, client: Any = None) -> None:
        """client: of cognito-identity; one that signs nothing when left out, made at first use."""
        self._settings = settings
        self._given = client

    @cached_property
    def _client(self) -> Any:
        region = self._settings.user_pool_id.partition("_")[0]
        return self._given or make_client(
            "cognito-identity", region_name=region, signature_version=UNSIGNED
        )

    def verify(self, token: str) -> Caller | None:
        claims = _claims(token) if _JWT.fullmatch(token) else {}
        if not self._is_for_us(claims):
            return None
        with translated("the identity pool"):
            identity_id = self._exchange(token)
        return None if identity_id is None else _caller(claims, identity_id)

    def _is_for_us(self, claims: dict[str, Any]) -> bool:
        """An access token, for one, does not say who somebody is."""
        end = claims.get("exp")
        return (
            claims.get("token_use") == "id"
            and claims.get("aud") in self._audiences
            and claims.get("iss") == f"https://{self._provider}"
            and isinstance(end, int | float)
            and end > time.time()
        )

    @property
    def _audiences(self) -> set[str]:
        """Both app clients; a grid may have but one."""
        known = (self._settings.user_pool_client_id, self._settings.federation_client_id)
        return set(filter(None, known))

    def _exchange(self, token: str) -> str | None:
        logins = {self._provider: token}
        try:
            found = self._client.get_id(
                IdentityPoolId=self._settings.identity_pool_id, Logins=logins
            )
            answer = self._client.get_credentials_for_identity(
                IdentityId=found["IdentityId"], Logins=logins
            )
        except ClientError as error:
            if code_of(error) in _REFUSALS:
                return None
            raise
        return str(answer["IdentityId"])

    @property
    def _provider(self) -> str:
        """What an identity pool calls the user pool, whose id is <region>_<name>."""
        pool = self._settings.user_pool_id
        region = pool.partition("_")[0]
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        return f"cognito-idp.{region}.{suffix}/{pool}"


def _caller(claims: dict[str, Any], identity_id: str) -> Caller:
    username = str(claims.get("cognito:username") or claims.get("sub"))
    subject = str(claims.get("sub") or "")
    return Caller(f"cognito:{identity_id}", username, claims.get("email"), subject)


def _claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}
