"""The UserDirectory port: Cognito on moto, and a dictionary.

What moto takes and Cognito does not is said by a client that refuses.
"""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from stepgrid_core.aws.user_directory import AwsUserDirectory
from stepgrid_core.errors import Conflict, InvalidRequest, Unavailable
from stepgrid_core.memory import MemoryUserDirectory
from stepgrid_core.ports import NoDirectory, UserDirectory
from stepgrid_core.settings import Settings

PASSWORD = "Correct horse battery 1!"


def settings_of(pool_id: str) -> Settings:
    return Settings(table="t", bucket="b", event_bus="e", worker_prefix="", user_pool_id=pool_id)


@pytest.fixture
def pool() -> Iterator[tuple[Any, str]]:
    with mock_aws():
        users: Any = boto3.Session("AKIA", "secret", region_name="eu-west-1").client("cognito-idp")
        yield users, users.create_user_pool(PoolName="users")["UserPool"]["Id"]


@pytest.fixture(params=["memory", "moto"])
def directory(request: pytest.FixtureRequest) -> UserDirectory:
    if request.param == "memory":
        return MemoryUserDirectory()
    users, pool_id = request.getfixturevalue("pool")
    return AwsUserDirectory(settings_of(pool_id), users)


def create(directory: UserDirectory, name: str = "ann") -> str:
    return directory.create(name, PASSWORD, f"{name}@example.org")


def test_each_user_has_a_subject_of_its_own(directory: UserDirectory) -> None:
    assert create(directory) != create(directory, "bob")


def test_a_name_is_given_once(directory: UserDirectory) -> None:
    """And who has it keeps its login."""
    subject = create(directory)
    with pytest.raises(Conflict):
        create(directory)
    directory.remove("ann", subject)
    create(directory)


def test_a_user_is_removed_once(directory: UserDirectory) -> None:
    subject = create(directory)
    directory.remove("ann", subject)
    directory.remove("ann", subject)
    assert create(directory) != subject


def test_another_user_of_the_name_stays(directory: UserDirectory) -> None:
    """The one who was meant is gone, and somebody else has the name by now."""
    old = create(directory)
    directory.remove("ann", old)
    create(directory)
    directory.remove("ann", old)
    with pytest.raises(Conflict):
        create(directory)


def test_the_password_is_good_at_once(pool: tuple[Any, str]) -> None:
    """Nobody is asked for a new one: vantage6's clients could not give it."""
    users, pool_id = pool
    create(AwsUserDirectory(settings_of(pool_id), users))
    found = users.admin_get_user(UserPoolId=pool_id, Username="ann")
    assert found["UserStatus"] == "CONFIRMED"
    assert {"Name": "email", "Value": "ann@example.org"} in found["UserAttributes"]


class RefusingClient:
    """Every call of Cognito's fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        def fail(**request: Any) -> Any:
            raise self._error

        return fail


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "AdminCreateUser")


@pytest.mark.parametrize("code", ["InvalidPasswordException", "InvalidParameterException"])
def test_what_the_pool_does_not_take(code: str) -> None:
    directory = AwsUserDirectory(settings_of("eu-west-1_a"), RefusingClient(refusal(code)))
    with pytest.raises(InvalidRequest, match="ann"):
        create(directory)


@pytest.mark.parametrize(
    "error",
    [
        refusal("TooManyRequestsException"),
        EndpointConnectionError(endpoint_url="https://cognito-idp.eu-west-1.amazonaws.com"),
    ],
)
def test_an_outage_is_told(error: Exception) -> None:
    directory = AwsUserDirectory(settings_of("eu-west-1_a"), RefusingClient(error))
    with pytest.raises(Unavailable):
        create(directory)
    with pytest.raises(Unavailable):
        directory.remove("ann", "1")


def test_a_fault_of_the_deployment_is_raised() -> None:
    denied = RefusingClient(refusal("AccessDeniedException"))
    with pytest.raises(ClientError):
        create(AwsUserDirectory(settings_of("eu-west-1_a"), denied))


def test_a_grid_without_logins_makes_none() -> None:
    with pytest.raises(InvalidRequest):
        create(NoDirectory())
    NoDirectory().remove("ann", "1")
