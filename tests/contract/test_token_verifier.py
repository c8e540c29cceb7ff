"""The TokenVerifier port: the real adapter on moto, and the one in memory.

moto's identity pool takes any login and gives each another identity: what it would refuse is said
here by a client that refuses, and proven on the local cloud.
"""

import base64
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from stepgrid.cognito import HttpCognito, UserPool
from stepgrid_core.aws.token_verifier import AwsTokenVerifier
from stepgrid_core.errors import Unavailable
from stepgrid_core.memory import MemoryTokenVerifier, VirtualClock
from stepgrid_core.ports import Caller, NoTokens, TokenVerifier
from stepgrid_core.settings import Settings
from stepgrid_core.token_cache import KEEP_SECONDS, MAX_CALLERS, TokenCache

PASSWORD = "Correct horse battery 1!"
POOL = UserPool("eu-west-1", "eu-west-1_Pool", "client", "eu-west-1:identities")
GOOD = {
    "token_use": "id",
    "aud": "client",
    "iss": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Pool",
    "cognito:username": "ann",
    "email": "ann@example.org",
    "sub": "0-1",
    "exp": 4e9,
}


def settings_of(pool: UserPool) -> Settings:
    return Settings(
        table="t",
        bucket="b",
        event_bus="e",
        worker_prefix="",
        user_pool_id=pool.user_pool_id,
        user_pool_client_id=pool.client_id,
        identity_pool_id=pool.identity_pool_id,
    )


def token(**changes: Any) -> str:
    """Signed by nobody."""
    claims = {key: value for key, value in (GOOD | changes).items() if value is not None}
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{payload}.c2ln"


def subject_in(text: str) -> Any:
    payload = text.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"]


@dataclass
class FakeIdentities:
    """An identity pool's client."""

    refusal: Exception | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)

    def get_id(self, **request: Any) -> dict[str, Any]:
        self.asked.append(request)
        return {"IdentityId": "eu-west-1:ann"}

    def get_credentials_for_identity(self, **request: Any) -> dict[str, Any]:
        self.asked.append(request)
        if self.refusal is not None:
            raise self.refusal
        return {"IdentityId": request["IdentityId"], "Credentials": {"SecretKey": "s"}}


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "GetCredentialsForIdentity")


@pytest.fixture
def moto_token() -> Iterator[tuple[AwsTokenVerifier, str]]:
    """A verifier of pools on moto, and ann's token."""
    with mock_aws():
        session = boto3.Session("AKIA", "secret", region_name="eu-west-1")
        users, identities = session.client("cognito-idp"), session.client("cognito-identity")
        pool_id = users.create_user_pool(PoolName="users")["UserPool"]["Id"]
        client_id = users.create_user_pool_client(
            UserPoolId=pool_id, ClientName="c", ExplicitAuthFlows=["ALLOW_USER_SRP_AUTH"]
        )["UserPoolClient"]["ClientId"]
        identity_pool = identities.create_identity_pool(
            IdentityPoolName="users", AllowUnauthenticatedIdentities=False
        )["IdentityPoolId"]
        users.admin_create_user(UserPoolId=pool_id, Username="ann")
        users.admin_set_user_password(
            UserPoolId=pool_id, Username="ann", Password=PASSWORD, Permanent=True
        )
        pool = UserPool("eu-west-1", pool_id, client_id, identity_pool)
        cognito = HttpCognito(pool)
        tokens = cognito.authenticate("ann", PASSWORD, None)
        cognito.close()
        yield AwsTokenVerifier(settings_of(pool)), tokens.id_token


@pytest.fixture(params=["memory", "fake client", "moto"])
def verified(request: pytest.FixtureRequest) -> tuple[TokenVerifier, str]:
    if request.param == "memory":
        caller = Caller("cognito:eu-west-1:ann", "ann", subject="0-1")
        return MemoryTokenVerifier({token(): caller}), token()
    if request.param == "moto":
        found: tuple[TokenVerifier, str] = request.getfixturevalue("moto_token")
        return found
    return AwsTokenVerifier(settings_of(POOL), FakeIdentities()), token()


def test_an_id_token_says_who_calls(verified: tuple[TokenVerifier, str]) -> None:
    """The owner is the one that the user's signed requests have: the identity id.

    The subject is the user's own, and no later user of the same name has it.
    """
    verifier, good = verified
    caller = verifier.verify(good)
    assert caller is not None
    assert caller.owner.startswith("cognito:eu-west-1:")
    assert caller.username == "ann"
    assert caller.subject == subject_in(good)


@pytest.mark.parametrize("text", ["", "abc", "a.b", "a.b.c.d", "ä.b.c", "a.b.c\n", "x" * 20_000])
def test_what_is_no_token_is_refused(verified: tuple[TokenVerifier, str], text: str) -> None:
    """Also what Cognito would not even read."""
    assert verified[0].verify(text) is None


class TestOnAws:
    @pytest.fixture
    def verify(self) -> Callable[..., Caller | None]:
        def verify(text: str, refusal: Exception | None = None) -> Caller | None:
            return AwsTokenVerifier(settings_of(POOL), FakeIdentities(refusal)).verify(text)

        return verify

    def test_the_pool_is_asked_for_its_own_users(self) -> None:
        """Both calls bear the token, under the name of the user pool."""
        client = FakeIdentities()
        AwsTokenVerifier(settings_of(POOL), client).verify(token())
        logins = {POOL.provider: token()}
        assert client.asked == [
            {"IdentityPoolId": POOL.identity_pool_id, "Logins": logins},
            {"IdentityId": "eu-west-1:ann", "Logins": logins},
        ]

    @pytest.mark.parametrize(
        "text", ["noise", "a.b.c", "a.bm8.c", "a.W10.c", f"a.{'W1tb' * 1400}.c"]
    )
    def test_no_request_for_what_is_no_token(self, text: str) -> None:
        """Noise from the internet costs nothing."""
        client = FakeIdentities()
        assert AwsTokenVerifier(settings_of(POOL), client).verify(text) is None
        assert client.asked == []

    def test_name_and_address(self, verify: Any) -> None:
        """From the token; without a name the subject is it."""
        assert verify(token()) == Caller("cognito:eu-west-1:ann", "ann", "ann@example.org", "0-1")
        bare = verify(token(email=None, **{"cognito:username": None}))
        assert bare == Caller("cognito:eu-west-1:ann", "0-1", subject="0-1")

    @pytest.mark.parametrize(
        ("audience", "taken"), [("client", True), ("federation", True), ("", False)]
    )
    def test_both_app_clients_are_known(self, audience: str, taken: bool) -> None:
        """A grid without a federation has one; an empty audience is neither."""
        settings = settings_of(POOL)
        both = settings.model_copy(update={"federation_client_id": "federation"})
        text = token(aud=audience)
        assert bool(AwsTokenVerifier(both, FakeIdentities()).verify(text)) is taken
        alone = AwsTokenVerifier(settings, FakeIdentities()).verify(text)
        assert bool(alone) is (audience == "client")

    @pytest.mark.parametrize(
        "changes",
        [
            {"token_use": "access"},
            {"token_use": None},
            {"aud": "other"},
            {"iss": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Other"},
            {"exp": 1_600_000_000},
            {"exp": None},
            {"exp": "4000000000"},
        ],
    )
    def test_other_tokens_are_refused(self, changes: dict[str, Any]) -> None:
        """Unasked: the quota of such requests is for users."""
        client = FakeIdentities()
        assert AwsTokenVerifier(settings_of(POOL), client).verify(token(**changes)) is None
        assert client.asked == []

    @pytest.mark.parametrize("code", ["NotAuthorizedException", "InvalidParameterException"])
    def test_what_the_pool_refuses(self, verify: Any, code: str) -> None:
        """An end, a revocation, a wrong signature."""
        assert verify(token(), refusal(code)) is None

    @pytest.mark.parametrize(
        "error",
        [refusal("TooManyRequestsException"), EndpointConnectionError(endpoint_url="https://x")],
    )
    def test_an_outage_is_no_refusal(self, verify: Any, error: Exception) -> None:
        with pytest.raises(Unavailable):
            verify(token(), error)

    def test_a_fault_of_the_deployment_is_raised(self, verify: Any) -> None:
        """Nobody's token is to blame for a pool that is not there."""
        with pytest.raises(ClientError):
            verify(token(), refusal("ResourceNotFoundException"))

    def test_the_calls_are_not_signed(
        self,
        moto_token: tuple[AwsTokenVerifier, str],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """They need no right; and what is logged by default holds no token."""
        verifier, good = moto_token
        headers: list[Any] = []
        verifier._client.meta.events.register(
            "before-send.cognito-identity", lambda request, **_: headers.append(request.headers)
        )
        caplog.set_level(logging.INFO)
        assert verifier.verify(good)
        assert len(headers) == 2
        assert not any("Authorization" in one for one in headers)
        assert good not in caplog.text


def test_a_grid_without_users_takes_no_token() -> None:
    assert NoTokens().verify(token()) is None


class TestCache:
    @pytest.fixture
    def inner(self) -> MemoryTokenVerifier:
        return MemoryTokenVerifier({"good": Caller("o", "ann")})

    def test_a_good_answer_is_kept_for_a_minute(self, inner: MemoryTokenVerifier) -> None:
        """Then a revocation shows."""
        clock = VirtualClock()
        cache = TokenCache(inner, clock)
        assert cache.verify("good") == cache.verify("good") == Caller("o", "ann")
        inner.callers.clear()
        clock.advance(KEEP_SECONDS - 1)
        assert cache.verify("good")
        assert inner.asked == 1
        clock.advance(1)
        assert cache.verify("good") is None

    def test_a_refusal_is_not_kept(self, inner: MemoryTokenVerifier) -> None:
        """A token may be good a moment later."""
        cache = TokenCache(inner, VirtualClock())
        assert cache.verify("new") is None
        inner.callers["new"] = Caller("o", "bob")
        assert cache.verify("new")

    def test_it_does_not_grow_for_ever(self, inner: MemoryTokenVerifier) -> None:
        """Whoever was asked about longest ago is asked about again."""
        cache = TokenCache(inner, VirtualClock())
        inner.callers |= {str(number): Caller("o", str(number)) for number in range(MAX_CALLERS)}
        cache.verify("good")
        for number in range(MAX_CALLERS):
            cache.verify(str(number))
        asked = inner.asked
        cache.verify(str(MAX_CALLERS - 1))
        assert inner.asked == asked
        cache.verify("good")
        assert inner.asked == asked + 1

    def test_no_token_is_stored(self, inner: MemoryTokenVerifier) -> None:
        """Only its hash."""
        cache = TokenCache(inner, VirtualClock())
        cache.verify("good")
        assert "good" not in repr(vars(cache)).replace(repr(inner), "")
