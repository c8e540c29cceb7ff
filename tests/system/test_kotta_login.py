"""Tokens of the deployed grid's users, as Cloud Kotta's routes verify them."""

from collections.abc import Iterator

import pytest

from stepgrid.cognito import HttpCognito, UserPool
from stepgrid.config import Config
from stepgrid.kotta.auth import read_auth
from stepgrid.local import LocalCloud
from stepgrid.login import find_pool, open_login
from stepgrid.users import local_users
from stepgrid_core.aws.token_verifier import AwsTokenVerifier
from stepgrid_core.settings import Settings

PASSWORD = "Correct horse battery 1!"


@pytest.fixture
def pool(cloud: LocalCloud) -> UserPool:
    endpoint = cloud.status().endpoint
    assert endpoint is not None
    return find_pool(Config(endpoint))


@pytest.fixture
def verifier(cloud: LocalCloud, pool: UserPool) -> AwsTokenVerifier:
    settings = Settings(
        table="t",
        bucket="b",
        event_bus="e",
        worker_prefix="",
        user_pool_id=pool.user_pool_id,
        user_pool_client_id=pool.client_id,
        identity_pool_id=pool.identity_pool_id,
    )
    return AwsTokenVerifier(settings, cloud.client("cognito-identity"))


@pytest.fixture
def user(pool: UserPool) -> Iterator[str]:
    users = local_users(pool)
    users.add("kim", "kim@example.org")
    users.set_password("kim", PASSWORD)
    yield "kim"
    if "kim" in {user.name for user in users.list()}:
        users.remove("kim")
    users.close()


def test_a_tokens_owner_is_that_of_signed_requests(
    pool: UserPool, verifier: AwsTokenVerifier, user: str
) -> None:
    """Sessions of the SDK and jobs of `kotta` are the same user's."""
    login = open_login(pool, user, PASSWORD)
    caller = verifier.verify(login.id_token().id_token)
    assert caller is not None
    assert caller.owner == f"cognito:{login.identity_id}"
    assert (caller.username, caller.email) == ("kim", "kim@example.org")


def test_changed_and_revoked_tokens_are_refused(
    pool: UserPool, verifier: AwsTokenVerifier, user: str
) -> None:
    """The signature counts, and whether the user is still there."""
    cognito = HttpCognito(pool)
    token = cognito.authenticate(user, PASSWORD, None).id_token
    head, claims, signature = token.split(".")
    assert verifier.verify(f"{head}.{claims}.{signature[:-8]}AAAAAAAA") is None
    assert verifier.verify(token) is not None
    users = local_users(pool)
    users.remove(user)
    users.close()
    assert verifier.verify(token) is None


def test_the_local_cloud_leaves_a_token(cloud: LocalCloud, verifier: AwsTokenVerifier) -> None:
    """kotta.auth is private, and each `up` makes it anew."""
    path = cloud.paths.kotta_auth
    assert path.stat().st_mode & 0o777 == 0o600
    first = read_auth(path)
    endpoint = cloud.status().endpoint
    assert endpoint is not None
    assert first.server == endpoint.removesuffix("/v1")
    caller = verifier.verify(first.token)
    assert caller is not None
    assert caller.username == "local"
    cloud.up(redis=cloud.status().redis_url is not None, count_requests=True)  # deployed as it is
    assert read_auth(path).token != first.token
