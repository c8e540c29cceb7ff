"""UserLogin by Cognito, as the app client of the federation, which only the grid's role can use.

The clients of vantage6 send name and password, so the grid passes them on; they are kept nowhere.
The ID token is the one that says who somebody is: it is what users bear afterwards.
"""

from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from ..ports import SECOND_FACTOR, LoginStep, UserTokens
from ..settings import Settings
from .translate import code_of, make_client, translated

#: Who asks has not to know which: a wrong password, an unknown user, a code that was used before.
_REFUSALS = (
    "CodeMismatchException",
    "ExpiredCodeException",
    "InvalidParameterException",
    "NotAuthorizedException",
    "PasswordResetRequiredException",
    "RefreshTokenReuseException",
    "UserNotConfirmedException",
    "UserNotFoundException",
)
#: Cognito takes names of 128 characters and passwords of 256 (API reference); tokens are longer.
MAX_PASSWORD_CHARACTERS = 256
MAX_TOKEN_CHARACTERS = 16 * 1024


class AwsUserLogin:
    def __init__(self, settings: Settings, client: Any = None) -> None:
        """client: of cognito-idp; made at first use when left out."""
        self._ids = {
            "UserPoolId": settings.user_pool_id,
            "ClientId": settings.federation_client_id,
        }
        self._given = client

    @cached_property
    def _client(self) -> Any:
        return self._given or make_client("cognito-idp")

    def log_in(
        self, username: str, password: str, mfa_code: str | None = None
    ) -> UserTokens | LoginStep | None:
        if not username or not password or len(username + password) > 2 * MAX_PASSWORD_CHARACTERS:
            return None
        given = {"USERNAME": username, "PASSWORD": password}
        answer = self._ask("admin_initiate_auth", "ADMIN_USER_PASSWORD_AUTH", given)
        if answer is not None and mfa_code and answer.get("ChallengeName") == SECOND_FACTOR:
            answer = self._answer_challenge(answer, username, mfa_code)
        return None if answer is None else _read(answer)

    def renew(self, refresh_token: str) -> UserTokens | None:
        if not refresh_token or len(refresh_token) > MAX_TOKEN_CHARACTERS:
            return None
        given = {"REFRESH_TOKEN": refresh_token}
        answer = self._ask("admin_initiate_auth", "REFRESH_TOKEN_AUTH", given)
        entered = None if answer is None else _read(answer, refresh_token)
        return entered if isinstance(entered, UserTokens) else None

    def _answer_challenge(
        self, answer: dict[str, Any], username: str, mfa_code: str
    ) -> dict[str, Any] | None:
        # Of a user with an alias for a name, Cognito wants what it calls the user itself.
        name = answer.get("ChallengeParameters", {}).get("USER_ID_FOR_SRP", username)
        given = {"USERNAME": name, f"{SECOND_FACTOR}_CODE": mfa_code}
        return self._call(
            "admin_respond_to_auth_challenge",
            ChallengeName=SECOND_FACTOR,
            Session=answer["Session"],
            ChallengeResponses=given,
        )

    def _ask(self, call: str, flow: str, given: dict[str, str]) -> dict[str, Any] | None:
        return self._call(call, AuthFlow=flow, AuthParameters=given)

    def _call(self, name: str, **request: Any) -> dict[str, Any] | None:
        """None: refused."""
        with translated("the user pool"):
            try:
                answer: dict[str, Any] = getattr(self._client, name)(**self._ids, **request)
            except ClientError as error:
                if code_of(error) in _REFUSALS:
                    return None
                raise
        return answer


def _read(answer: dict[str, Any], refresh_token: str = "") -> UserTokens | LoginStep:
    """A refresh only answers a refresh token where the pool exchanges them."""
    if challenge := answer.get("ChallengeName"):
        return LoginStep(str(challenge))
    result = answer["AuthenticationResult"]
    return UserTokens(result["IdToken"], result.get("RefreshToken") or refresh_token)
