"""The users of a grid, as its administrator manages them: add, list, remove, set a password.

Signed with the deployer's AWS credentials (cognito-idp:Admin..., ListUsers on the user pool); on a
local cloud with those of its root.
"""

import secrets
import string
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from requests_aws4auth import AWS4Auth

from stepgrid_core.errors import (
    AccessDenied,
    ConfigurationError,
    Conflict,
    InvalidRequest,
    NotFound,
    StepgridError,
)

from .cognito import UserPool
from .cognito_wire import USERS, Refusal, Wire
from .config import Config
from .login import find_pool

#: Of a password that is made here; the template asks for twelve characters of four kinds.
PASSWORD_LENGTH = 20
_KINDS = (string.ascii_lowercase, string.ascii_uppercase, string.digits, "-_.:,+=@%")


@dataclass(frozen=True, slots=True)
class User:
    """status: as Cognito calls it, for example CONFIRMED or FORCE_CHANGE_PASSWORD."""

    name: str
    email: str | None
    status: str
    enabled: bool
    created_at: float  #: epoch seconds
    subject: str = ""  #: as its tokens name it, whatever it is called; another after a removal


class Users:
    """The user pool of a grid. All methods raise AccessDenied and Unavailable as well."""

    def __init__(self, wire: Wire, user_pool_id: str) -> None:
        self._wire = wire
        self._pool_id = user_pool_id

    def add(self, name: str, email: str | None = None) -> str:
        """Make a user; answers the temporary password, which the user replaces at the first login.

        Raises Conflict if there is one of that name, InvalidRequest for a name that can't be.
        """
        if any(character.isspace() for character in name):  # Cognito's rule; the emulator has none
            raise InvalidRequest(f"{name!r} can't be a user's name: it has a space in it")
        password = make_password()
        attributes = [] if email is None else [{"Name": "email", "Value": email}]
        self._call(
            "AdminCreateUser",
            name,
            TemporaryPassword=password,
            MessageAction="SUPPRESS",
            UserAttributes=attributes,
        )
        return password

    def set_password(self, name: str, password: str) -> None:
        """Give a user a password for good. Raises NotFound, or InvalidRequest for a weak one."""
        self._call("AdminSetUserPassword", name, Password=password, Permanent=True)

    def reset_password(self, name: str) -> str:
        """A new temporary password; the old one and all logins end. Raises NotFound."""
        password = make_password()
        self._call("AdminSetUserPassword", name, Password=password, Permanent=False)
        self._call("AdminUserGlobalSignOut", name)
        return password

    def remove(self, name: str) -> None:
        """Remove a user; keys that are out end within the hour. Raises NotFound."""
        self._call("AdminDeleteUser", name)

    def list(self) -> Iterator[User]:
        """All users, asked for page by page."""
        token: dict[str, str] = {}
        while True:
            page = self._send("ListUsers", {"UserPoolId": self._pool_id, **token}, "")
            yield from map(_read_user, page["Users"])
            if not page.get("PaginationToken"):
                return
            token = {"PaginationToken": page["PaginationToken"]}

    def find(self, name: str) -> User:
        """Raises NotFound."""
        found = self._send("AdminGetUser", {"UserPoolId": self._pool_id, "Username": name}, name)
        return _read_user({**found, "Attributes": found.get("UserAttributes", ())})

    def close(self) -> None:
        """Close idle connections."""
        self._wire.close()

    def _call(self, operation: str, name: str, **parameters: Any) -> None:
        self._send(operation, {"UserPoolId": self._pool_id, "Username": name, **parameters}, name)

    def _send(self, operation: str, body: dict[str, Any], name: str) -> dict[str, Any]:
        try:
            return self._wire.call(operation, body)
        except Refusal as refusal:
            raise _user_error(refusal, name) from None


def _user_error(refusal: Refusal, name: str) -> StepgridError:
    if refusal.code == "UsernameExistsException":
        return Conflict(f"there is a user {name!r} already; see `stepgrid users list`")
    if refusal.code == "UserNotFoundException":
        return NotFound(f"there is no user {name!r}; see `stepgrid users list`")
    if refusal.code == "InvalidPasswordException":
        return InvalidRequest(f"the password is not accepted: {refusal.advice}")
    if refusal.code == "InvalidParameterException":
        return InvalidRequest(f"{name!r} can't be a user's name, or its e-mail address is none")
    return AccessDenied(
        f"{refusal}; managing users needs the AWS credentials of whoever deployed the grid"
    )


def _read_user(found: dict[str, Any]) -> User:
    attributes = {each["Name"]: each["Value"] for each in found.get("Attributes", ())}
    return User(
        name=found["Username"],
        email=attributes.get("email"),
        status=found["UserStatus"],
        enabled=found.get("Enabled", True),
        created_at=float(found["UserCreateDate"]),
        subject=attributes.get("sub", ""),
    )


def make_password() -> str:
    """A random password with characters of every kind."""
    every = "".join(_KINDS)
    while True:
        password = "".join(secrets.choice(every) for _ in range(PASSWORD_LENGTH))
        if all(set(kind) & set(password) for kind in _KINDS):
            return password


def open_users(config: Config) -> Users:
    """The users of a grid, for its administrator. Raises ConfigurationError."""
    pool = find_pool(config)
    if pool.endpoint_url is not None:
        return local_users(pool)
    # boto3 takes a while to import.
    import boto3  # noqa: PLC0415

    credentials = boto3.Session(profile_name=config.aws_profile).get_credentials()
    if credentials is None:
        raise ConfigurationError("no AWS credentials were found; run `aws configure`")
    return _users(pool, AWS4Auth(
        region=pool.region, service="cognito-idp", refreshable_credentials=credentials
    ))  # fmt: skip


def local_users(pool: UserPool) -> Users:
    """The users of a local cloud, as its root sees them."""
    from .local.emulator import ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY  # noqa: PLC0415

    keys = (ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY)
    return _users(pool, AWS4Auth(*keys, pool.region, "cognito-idp"))


def _users(pool: UserPool, auth: AWS4Auth) -> Users:
    return Users(Wire(USERS, pool.address("cognito-idp"), auth=auth), pool.user_pool_id)
