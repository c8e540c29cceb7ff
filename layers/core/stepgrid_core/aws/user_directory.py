"""UserDirectory by Cognito's user pool. Nobody is written to: who made the user tells it."""

from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from ..errors import Conflict, InvalidRequest
from ..settings import Settings
from .translate import code_of, make_client, translated

_REFUSALS = ("InvalidParameterException", "InvalidPasswordException")


class AwsUserDirectory:
    def __init__(self, settings: Settings, client: Any = None) -> None:
        """client: of cognito-idp; made at first use when left out."""
        self._pool_id = settings.user_pool_id
        self._given = client

    @cached_property
    def _client(self) -> Any:
        return self._given or make_client("cognito-idp")

    def create(self, username: str, password: str, email: str) -> str:
        user = {"UserPoolId": self._pool_id, "Username": username}
        with translated("the user pool"):
            try:
                made = self._client.admin_create_user(
                    **user,
                    TemporaryPassword=password,
                    MessageAction="SUPPRESS",
                    UserAttributes=[{"Name": "email", "Value": email}],
                )
                self._client.admin_set_user_password(**user, Password=password, Permanent=True)
            except ClientError as error:
                raise _translate(error, username) from error
        return _subject(made["User"]["Attributes"])

    def remove(self, username: str, subject: str) -> None:
        user = {"UserPoolId": self._pool_id, "Username": username}
        with translated("the user pool"):
            try:
                found = self._client.admin_get_user(**user)
                if _subject(found["UserAttributes"]) == subject:
                    self._client.admin_delete_user(**user)
            except ClientError as error:
                if code_of(error) != "UserNotFoundException":
                    raise


def _translate(error: ClientError, username: str) -> Exception:
    code = code_of(error)
    if code == "UsernameExistsException":
        return Conflict(f"there is a user {username!r} already")
    if code in _REFUSALS:
        return InvalidRequest(f"{username!r}: {error.response['Error'].get('Message', code)}")
    return error


def _subject(attributes: list[dict[str, str]]) -> str:
    return next(each["Value"] for each in attributes if each["Name"] == "sub")
