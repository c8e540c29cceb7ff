"""The UserLogin port: Cognito on moto, and a dictionary.

moto takes any code of a second factor, never ends or revokes a refresh token, and fails itself at
one that it does not know: what is refused there is said here by a client that refuses.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from stepgrid_core.aws.user_login import AwsUserLogin
from stepgrid_core.errors import Unavailable
from stepgrid_core.memory import MemoryUser, MemoryUserLogin
from stepgrid_core.ports import Caller, LoginStep, UserLogin, UserTokens
from stepgrid_core.settings import Settings

PASSWORD = "Correct horse battery 1!"
TEMPORARY = "Temporary horse 1!"
CALLER = Caller("cognito:eu-west-1:ann", "ann", subject="0-1")


def settings_of(pool_id: str, client_id: str) -> Settings:
    return Settings(
        table="t",
        bucket="b",
        event_bus="e",
        worker_prefix="",
        user_pool_id=pool_id,
        federation_client_id=client_id,
    )


@pytest.fixture
def moto_login() -> Iterator[AwsUserLogin]:
    """ann has a password, mia a second factor too, new a temporary password."""
    with mock_aws():
        users: Any = boto3.Session("AKIA", "secret", region_name="eu-west-1").client("cognito-idp")
        pool_id = users.create_user_pool(PoolName="users")["UserPool"]["Id"]
        client_id = users.create_user_pool_client(
            UserPoolId=pool_id,
            ClientName="federation",
            ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        )["UserPoolClient"]["ClientId"]
        for name in ("ann", "mia", "new"):
            users.admin_create_user(UserPoolId=pool_id, Username=name, TemporaryPassword=TEMPORARY)
        for name in ("ann", "mia"):
            users.admin_set_user_password(
                UserPoolId=pool_id, Username=name, Password=PASSWORD, Permanent=True
            )
        enrol(users, pool_id, client_id, "mia")
        yield AwsUserLogin(settings_of(pool_id, client_id), users)


def enrol(users: Any, pool_id: str, client_id: str, name: str) -> None:
    """A second factor, as the user does it."""
    entered = users.admin_initiate_auth(
        UserPoolId=pool_id,
        ClientId=client_id,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": name, "PASSWORD": PASSWORD},
    )["AuthenticationResult"]
    users.associate_software_token(AccessToken=entered["AccessToken"])
    users.verify_software_token(AccessToken=entered["AccessToken"], UserCode="123456")
    users.set_user_mfa_preference(
        AccessToken=entered["AccessToken"],
        SoftwareTokenMfaSettings={"Enabled": True, "PreferredMfa": True},
    )


@pytest.fixture(params=["memory", "moto"])
def login(request: pytest.FixtureRequest) -> UserLogin:
    if request.param == "memory":
        return MemoryUserLogin(
            users={
                "ann": MemoryUser(CALLER, PASSWORD),
                "mia": MemoryUser(CALLER, PASSWORD, mfa_code="123456"),
                "new": MemoryUser(CALLER, TEMPORARY, challenge="NEW_PASSWORD_REQUIRED"),
            }
        )
    found: AwsUserLogin = request.getfixturevalue("moto_login")
    return found


def enter(login: UserLogin, username: str = "ann", code: str | None = None) -> UserTokens:
    entered = login.log_in(username, PASSWORD, code)
    assert isinstance(entered, UserTokens)
    return entered


def test_a_password_becomes_two_tokens(login: UserLogin) -> None:
    entered = enter(login)
    assert entered.access_token
    assert entered.refresh_token
    assert entered.access_token != entered.refresh_token


@pytest.mark.parametrize(
    ("username", "password"),
    [("ann", "Wrong horse battery 1!"), ("nobody", PASSWORD), ("ann", ""), ("", PASSWORD)],
)
def test_what_is_wrong_is_refused(login: UserLogin, username: str, password: str) -> None:
    """A wrong password, an unknown name, and nothing at all: all alike."""
    assert login.log_in(username, password) is None


def test_a_refresh_gives_another_access_token(login: UserLogin) -> None:
    """And both tokens, more than once: the old refresh token is answered where there is no new."""
    entered = enter(login)
    for _ in range(2):
        renewed = login.renew(entered.refresh_token)
        assert renewed is not None
        assert renewed.access_token
        assert renewed.refresh_token


def test_no_refresh_token_is_refused(login: UserLogin) -> None:
    assert login.renew("") is None


def test_an_unknown_refresh_token_is_refused() -> None:
    assert MemoryUserLogin().renew("unknown") is None


def test_a_second_factor_is_asked_for(login: UserLogin) -> None:
    """With it, the login is at its end."""
    assert login.log_in("mia", PASSWORD) == LoginStep("SOFTWARE_TOKEN_MFA")
    assert enter(login, "mia", "123456").access_token


def test_a_temporary_password_asks_for_another(login: UserLogin) -> None:
    """Which is no refusal: the password was right."""
    assert login.log_in("new", TEMPORARY) == LoginStep("NEW_PASSWORD_REQUIRED")
    assert login.log_in("new", PASSWORD) is None


def test_a_code_that_is_not_asked_for_does_no_harm(login: UserLogin) -> None:
    assert enter(login, "ann", "123456").access_token


def test_a_wrong_code_is_refused() -> None:
    users = {"mia": MemoryUser(CALLER, PASSWORD, mfa_code="123456")}
    assert MemoryUserLogin(users=users).log_in("mia", PASSWORD, "654321") is None


@dataclass
class FakeUserPool:
    """A client of cognito-idp: answers, or fails, in turn."""

    answers: list[Any]
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def admin_initiate_auth(self, **request: Any) -> Any:
        return self._answer("initiate", request)

    def admin_respond_to_auth_challenge(self, **request: Any) -> Any:
        return self._answer("respond", request)

    def _answer(self, name: str, request: dict[str, Any]) -> Any:
        self.asked.append((name, request))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "AdminInitiateAuth")


CHALLENGE = {
    "ChallengeName": "SOFTWARE_TOKEN_MFA",
    "Session": "session",
    "ChallengeParameters": {"USER_ID_FOR_SRP": "mia-by-id"},
}


class TestOnAws:
    def make(self, *answers: Any) -> tuple[AwsUserLogin, FakeUserPool]:
        client = FakeUserPool(list(answers))
        return AwsUserLogin(settings_of("eu-west-1_Pool", "client"), client), client

    def test_what_is_asked(self) -> None:
        """The ID token is the one that says who somebody is."""
        result = {"IdToken": "id", "AccessToken": "access", "RefreshToken": "refresh"}
        login, client = self.make({"AuthenticationResult": result})
        assert login.log_in("ann", PASSWORD) == UserTokens("id", "refresh")
        assert client.asked == [
            (
                "initiate",
                {
                    "UserPoolId": "eu-west-1_Pool",
                    "ClientId": "client",
                    "AuthFlow": "ADMIN_USER_PASSWORD_AUTH",
                    "AuthParameters": {"USERNAME": "ann", "PASSWORD": PASSWORD},
                },
            )
        ]

    def test_a_code_belongs_to_its_challenge(self) -> None:
        """And to the user as Cognito itself names it."""
        result = {"IdToken": "id", "RefreshToken": "refresh"}
        login, client = self.make(CHALLENGE, {"AuthenticationResult": result})
        assert login.log_in("mia", PASSWORD, "123456") == UserTokens("id", "refresh")
        name, request = client.asked[1]
        assert name == "respond"
        assert request["Session"] == "session"
        assert request["ChallengeResponses"] == {
            "USERNAME": "mia-by-id",
            "SOFTWARE_TOKEN_MFA_CODE": "123456",
        }

    @pytest.mark.parametrize("code", ["CodeMismatchException", "ExpiredCodeException"])
    def test_a_wrong_code_is_refused(self, code: str) -> None:
        login, _ = self.make(CHALLENGE, refusal(code))
        assert login.log_in("mia", PASSWORD, "654321") is None

    def test_a_refresh_without_a_new_token_answers_the_old(self) -> None:
        login, client = self.make({"AuthenticationResult": {"IdToken": "id"}})
        assert login.renew("refresh") == UserTokens("id", "refresh")
        assert client.asked[0][1]["AuthFlow"] == "REFRESH_TOKEN_AUTH"

    def test_a_refresh_with_a_new_token_answers_that(self) -> None:
        """Where the pool exchanges them."""
        result = {"IdToken": "id", "RefreshToken": "new"}
        login, _ = self.make({"AuthenticationResult": result})
        assert login.renew("old") == UserTokens("id", "new")

    @pytest.mark.parametrize(
        "code",
        ["NotAuthorizedException", "UserNotFoundException", "PasswordResetRequiredException"],
    )
    def test_what_the_pool_refuses(self, code: str) -> None:
        """A wrong password, a user who was removed, a token that ended or was revoked."""
        login, _ = self.make(refusal(code), refusal(code))
        assert login.log_in("ann", PASSWORD) is None
        assert login.renew("refresh") is None

    @pytest.mark.parametrize(
        "error",
        [refusal("TooManyRequestsException"), EndpointConnectionError(endpoint_url="https://x")],
        ids=str,
    )
    def test_an_outage_is_no_refusal(self, error: Exception) -> None:
        login, _ = self.make(error, error)
        with pytest.raises(Unavailable):
            login.log_in("ann", PASSWORD)
        with pytest.raises(Unavailable):
            login.renew("refresh")

    def test_a_fault_of_the_deployment_is_raised(self) -> None:
        """Nobody's password is to blame for a pool that is not there."""
        login, _ = self.make(refusal("ResourceNotFoundException"))
        with pytest.raises(ClientError):
            login.log_in("ann", PASSWORD)

    def test_no_request_for_what_can_be_none(self) -> None:
        """Noise from the internet costs nothing."""
        login, client = self.make()
        assert login.log_in("ann", "x" * 10_000) is None
        assert login.renew("x" * 100_000) is None
        assert client.asked == []
