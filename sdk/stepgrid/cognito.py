"""Cognito: a password becomes tokens, a token becomes AWS keys. The port, and its adapter on HTTPS.

    username, password ── SRP ──▶ Tokens: id token, refresh token
                 refresh token ─▶ Tokens: the next id token
                      id token ─▶ identity id ─▶ AwsKeys

SRP proves the password without sending it (pycognito); the requests bear no signature. When
anything is renewed is decided elsewhere (login).
"""

import base64
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from stepgrid_core.errors import (
    ConfigurationError,
    LoginError,
    LoginExpired,
    LoginRefused,
    NewPasswordRequired,
    StepgridError,
)

from .cognito_wire import IDENTITIES, USERS, Calls, Refusal, Wire
from .http_client import is_loopback
from .retry import Clock, SystemClock

_WRONG_PASSWORD = ("NotAuthorizedException", "UserNotFoundException")
#: What is done about a user whom Cognito lets in under no password.
_ADMINISTER = ("PasswordResetRequiredException", "UserNotConfirmedException")


@dataclass(frozen=True, slots=True)
class UserPool:
    """Where users log in: what GET /v1/login says."""

    region: str
    user_pool_id: str
    client_id: str
    identity_pool_id: str
    #: of Cognito, on a local cloud; AWS's own when None
    endpoint_url: str | None = None

    def __post_init__(self) -> None:
        url = self.endpoint_url
        if url is not None and not url.startswith("https://") and not is_loopback(url):
            raise ConfigurationError(f"{url} is no safe place to log in: it speaks plain HTTP")

    def address(self, service: str) -> str:
        """service: cognito-idp or cognito-identity."""
        return self.endpoint_url or f"https://{service}.{self.region}.{self._suffix}"

    @property
    def provider(self) -> str:
        """What an identity pool calls this user pool."""
        return f"cognito-idp.{self.region}.{self._suffix}/{self.user_pool_id}"

    @property
    def _suffix(self) -> str:
        return "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a login is made of."""

    id_token: str = field(repr=False)
    #: of the id token, from now on
    lifetime_seconds: float
    #: None in answer to a refresh: the one that was sent stays good
    refresh_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """Temporary credentials of a user."""

    identity_id: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires_at: float  #: epoch seconds


class Cognito(Protocol):
    """The port. All raise Unavailable where Cognito does not answer."""

    def authenticate(self, username: str, password: str, new_password: str | None) -> Tokens:
        """new_password: to set, where Cognito asks for another one.

        Raises LoginRefused, in the same words for a wrong password and an unknown user;
        NewPasswordRequired if one is wanted and none was given; LoginError for what else Cognito
        asks, for example a second factor.
        """

    def refresh(self, refresh_token: str) -> Tokens:
        """Raises LoginExpired if the token has ended, was revoked, or its user is gone."""

    def exchange(self, id_token: str) -> AwsKeys:
        """The user's AWS keys. Raises LoginExpired if the token is refused."""

    def revoke(self, refresh_token: str) -> None:
        """End a refresh token, and what came from it. One that has ended is no error."""


class HttpCognito:
    """The port, on AWS's Cognito or a local cloud's."""

    def __init__(
        self,
        pool: UserPool,
        clock: Clock | None = None,
        jitter: Callable[[], float] = random.random,
        users: Calls | None = None,
    ) -> None:
        """users: how the user pool is called, if not over the wire."""
        self._pool = pool
        clock = clock or SystemClock()
        address, identities = pool.address("cognito-idp"), pool.address("cognito-identity")
        self._users: Calls = users or Wire(USERS, address, clock=clock, jitter=jitter)
        self._identities = Wire(IDENTITIES, identities, clock=clock, jitter=jitter)

    def authenticate(self, username: str, password: str, new_password: str | None) -> Tokens:
        """See Cognito.authenticate."""
        try:
            answer = self._prove_password(username, password)
            challenge = answer.get("ChallengeName")
            if challenge == "NEW_PASSWORD_REQUIRED" and new_password is not None:
                answer = self._set_password(username, new_password, answer)
                challenge = answer.get("ChallengeName")
        except Refusal as refusal:
            raise _login_error(username, refusal) from None
        if challenge == "NEW_PASSWORD_REQUIRED":
            raise NewPasswordRequired(
                f"{username!r} has a temporary password: run `stepgrid login` and choose another"
            )
        if challenge is not None:
            raise LoginError(
                f"Cognito asks {username!r} for {challenge}, which stepgrid can't answer; turn it "
                "off in the user pool, or sign requests with AWS credentials"
            )
        return _read_tokens(answer["AuthenticationResult"])

    def _prove_password(self, username: str, password: str) -> dict[str, Any]:
        # It takes a while to import, and signing with AWS credentials does without it.
        from pycognito.aws_srp import AWSSRP  # noqa: PLC0415

        pool = self._pool
        # It only computes here; without a client it would make one of boto3.
        srp = AWSSRP(username, password, pool.user_pool_id, pool.client_id, client=self)
        parameters = srp.get_auth_params()
        begun = self._call_users(
            "InitiateAuth", AuthFlow="USER_SRP_AUTH", AuthParameters=parameters,
        )  # fmt: skip
        if begun.get("ChallengeName") != "PASSWORD_VERIFIER":
            raise Refusal("InitiateAuth", str(begun.get("ChallengeName")))
        proof = srp.process_challenge(begun["ChallengeParameters"], parameters)
        return self._call_users(
            "RespondToAuthChallenge", ChallengeName="PASSWORD_VERIFIER", ChallengeResponses=proof
        )

    def _set_password(
        self, username: str, new_password: str, asked: dict[str, Any]
    ) -> dict[str, Any]:
        user_id = asked.get("ChallengeParameters", {}).get("USER_ID_FOR_SRP", username)
        return self._call_users(
            "RespondToAuthChallenge",
            ChallengeName="NEW_PASSWORD_REQUIRED",
            Session=asked["Session"],
            ChallengeResponses={"USERNAME": user_id, "NEW_PASSWORD": new_password},
        )

    def refresh(self, refresh_token: str) -> Tokens:
        """See Cognito.refresh."""
        parameters = {"REFRESH_TOKEN": refresh_token}
        try:
            answer = self._call_users(
                "InitiateAuth", AuthFlow="REFRESH_TOKEN_AUTH", AuthParameters=parameters
            )
        except Refusal as refusal:
            raise _expired(refusal) from None
        return _read_tokens(answer["AuthenticationResult"])

    def exchange(self, id_token: str) -> AwsKeys:
        """See Cognito.exchange."""
        logins = {self._pool.provider: id_token}
        try:
            found = self._identities.call(
                "GetId",
                {"IdentityPoolId": self._pool.identity_pool_id, "Logins": logins},
            )
            answer = self._identities.call(
                "GetCredentialsForIdentity",
                {"IdentityId": found["IdentityId"], "Logins": logins},
            )
        except Refusal as refusal:
            raise _expired(refusal) from None
        keys = answer["Credentials"]
        return AwsKeys(
            identity_id=answer["IdentityId"],
            access_key_id=keys["AccessKeyId"],
            secret_access_key=keys["SecretKey"],
            session_token=keys["SessionToken"],
            expires_at=float(keys["Expiration"]),
        )

    def revoke(self, refresh_token: str) -> None:
        """See Cognito.revoke."""
        try:
            self._call_users("RevokeToken", Token=refresh_token)
        except Refusal as refusal:
            # A token that is no token any more is revoked.
            if refusal.code not in ("NotAuthorizedException", "InvalidParameterException"):
                raise LoginError(f"the login could not be revoked ({refusal})") from None

    def close(self) -> None:
        """Close idle connections."""
        self._users.close()
        self._identities.close()

    def _call_users(self, operation: str, **parameters: Any) -> dict[str, Any]:
        return self._users.call(operation, {"ClientId": self._pool.client_id, **parameters})


def _login_error(username: str, refusal: Refusal) -> StepgridError:
    if refusal.code in _WRONG_PASSWORD:
        return LoginRefused(
            f"username or password is wrong for {username!r}, or too many wrong ones were tried; "
            "an administrator can set another: `stepgrid users reset-password`"
        )
    if refusal.code in _ADMINISTER:
        return LoginError(
            f"{username!r} can't log in ({refusal.code}); an administrator has to run "
            "`stepgrid users reset-password`"
        )
    if refusal.code == "InvalidPasswordException":
        return LoginError(f"the new password is not accepted: {refusal.advice}")
    return _misplaced(refusal)


def _expired(refusal: Refusal) -> StepgridError:
    if refusal.code in ("NotAuthorizedException", "UserNotFoundException"):
        return LoginExpired("the login has ended; log in again: `stepgrid login`")
    return _misplaced(refusal)


def _misplaced(refusal: Refusal) -> StepgridError:
    return LoginError(
        f"the login was refused ({refusal}); are the ids of user pool, client and identity pool "
        "those of this grid?"
    )


def _read_tokens(result: Mapping[str, Any]) -> Tokens:
    id_token = str(result["IdToken"])
    return Tokens(id_token, _lifetime_seconds(id_token), result.get("RefreshToken"))


def _lifetime_seconds(id_token: str) -> float:
    """How long it was made for, by its own claims: this machine's clock takes no part.

    Only read, never believed: Cognito checks its signature wherever it is used.
    """
    claims = id_token.split(".")[1]
    read = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    return float(read["exp"] - read["iat"])
