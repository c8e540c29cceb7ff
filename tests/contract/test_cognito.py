"""What the SDK expects of Cognito, said of the real adapter on moto and of the one in memory.

moto checks no password proof, ends and revokes no token and takes any login: what depends on these
is proven on the local cloud, in tests/system/test_login.py.
"""

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from stepgrid.cognito import Cognito, HttpCognito, UserPool
from stepgrid.cognito_wire import USERS, Wire
from stepgrid.users import Users, make_password
from stepgrid_core.errors import (
    AccessDenied,
    Conflict,
    InvalidRequest,
    LoginRefused,
    NewPasswordRequired,
    NotFound,
)
from tests.fake_cognito import FakeCognito, FakeUser

REGION = "eu-west-1"
PASSWORD = "Correct horse battery 1!"


@pytest.fixture
def pool() -> Iterator[UserPool]:
    """A user pool on moto: `ann` has a password, `new` a temporary one."""
    with mock_aws():
        session = boto3.Session("AKIA", "secret", region_name=REGION)
        users, identities = session.client("cognito-idp"), session.client("cognito-identity")
        pool_id = users.create_user_pool(PoolName="users")["UserPool"]["Id"]
        client_id = users.create_user_pool_client(
            UserPoolId=pool_id,
            ClientName="client",
            ExplicitAuthFlows=["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        )["UserPoolClient"]["ClientId"]
        identity_pool_id = identities.create_identity_pool(
            IdentityPoolName="users", AllowUnauthenticatedIdentities=False
        )["IdentityPoolId"]
        for name in ("ann", "new"):
            users.admin_create_user(
                UserPoolId=pool_id, Username=name, TemporaryPassword="Temporary 1!"
            )
        users.admin_set_user_password(
            UserPoolId=pool_id, Username="ann", Password=PASSWORD, Permanent=True
        )
        yield UserPool(REGION, pool_id, client_id, identity_pool_id)


@pytest.fixture(params=["memory", "moto"])
def cognito(request: pytest.FixtureRequest) -> Iterator[Cognito]:
    if request.param == "memory":
        users = {"ann": FakeUser(PASSWORD), "new": FakeUser("Temporary 1!", temporary=True)}
        yield FakeCognito(users)
        return
    real = HttpCognito(request.getfixturevalue("pool"))
    yield real
    real.close()


def test_a_password_becomes_tokens(cognito: Cognito) -> None:
    """An id token with a life, and a refresh token for the next."""
    tokens = cognito.authenticate("ann", PASSWORD, None)
    assert tokens.lifetime_seconds == 3600
    assert tokens.refresh_token is not None


def test_a_refresh_gives_another_id_token(cognito: Cognito) -> None:
    """The refresh token stays good, more than once."""
    first = cognito.authenticate("ann", PASSWORD, None)
    for _ in range(2):
        assert cognito.refresh(str(first.refresh_token)).lifetime_seconds == 3600


def test_an_unknown_user_is_refused(cognito: Cognito) -> None:
    """As if the password were wrong."""
    with pytest.raises(LoginRefused, match="username or password"):
        cognito.authenticate("eve", PASSWORD, None)


def test_a_temporary_password_needs_another(cognito: Cognito) -> None:
    """With one, the user is logged in."""
    with pytest.raises(NewPasswordRequired):
        cognito.authenticate("new", "Temporary 1!", None)
    assert cognito.authenticate("new", "Temporary 1!", PASSWORD).id_token


def test_an_id_token_becomes_keys(cognito: Cognito) -> None:
    """Of the user's identity, and with an end."""
    tokens = cognito.authenticate("ann", PASSWORD, None)
    keys = cognito.exchange(tokens.id_token)
    assert keys.identity_id
    assert keys.access_key_id
    assert keys.expires_at > 1_700_000_000


@pytest.fixture
def users(pool: UserPool) -> Iterator[Users]:
    users = Users(Wire(USERS, pool.address("cognito-idp")), pool.user_pool_id)
    yield users
    users.close()


def test_users_are_added_listed_and_removed(users: Users) -> None:
    """With an address for the administrator's records."""
    users.add("bob", "bob@example.org")
    found = {user.name: user for user in users.list()}
    assert (found["bob"].email, found["bob"].status) == (
        "bob@example.org",
        "FORCE_CHANGE_PASSWORD",
    )
    users.set_password("bob", make_password())
    assert {user.name: user.status for user in users.list()}["bob"] == "CONFIRMED"
    users.remove("bob")
    assert "bob" not in {user.name for user in users.list()}


def test_a_user_is_found_with_its_subject(users: Users) -> None:
    """The same as the list tells, and another one for who is added again under the same name."""
    users.add("bob", "bob@example.org")
    first = users.find("bob")
    assert first in list(users.list())
    assert first.subject
    users.remove("bob")
    users.add("bob")
    assert users.find("bob").subject not in ("", first.subject)
    with pytest.raises(NotFound, match="'eve'"):
        users.find("eve")


def test_users_that_are_not_there_or_there_already(users: Users) -> None:
    """Said by their names."""
    with pytest.raises(Conflict, match="'ann'"):
        users.add("ann")
    with pytest.raises(NotFound, match="'eve'"):
        users.remove("eve")


def test_a_name_with_a_space_is_refused(users: Users) -> None:
    """As Cognito does, though the emulator would take it."""
    with pytest.raises(InvalidRequest, match="'ann lee' can't be a user's name"):
        users.add("ann lee")


def test_a_weak_password_is_refused_with_the_reason(users: Users) -> None:
    """The reason is the pool's, and does not quote the password."""
    with pytest.raises(InvalidRequest, match="not accepted") as caught:
        users.set_password("ann", "weak-1")
    assert "weak-1" not in str(caught.value)


def test_another_pool_is_none_of_ours(pool: UserPool) -> None:
    """What is refused for any other reason needs other credentials."""
    users = Users(Wire(USERS, pool.address("cognito-idp")), "eu-west-1_nobody")
    with pytest.raises(AccessDenied, match="AWS credentials"):
        users.add("bob")
    users.close()
