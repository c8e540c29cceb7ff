"""Cognito of the emulator: its faults that are mended, see emulator_bench."""

import time
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.emulator_bench import REGION, Cloud

PASSWORD = "Correct horse battery 1!"
FLOWS = ["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]


@dataclass(frozen=True)
class Pools:
    """Ids of a user pool and an identity pool, and the tokens of a user who logged in."""

    pool_id: str
    client_id: str
    identity_pool_id: str
    provider: str
    tokens: dict[str, Any]


def make_pools(cloud: Cloud, **client: Any) -> Pools:
    """A user pool with the user `ann`, a client, and an identity pool that asks the user pool."""
    users, identities = cloud.client("cognito-idp"), cloud.client("cognito-identity")
    pool = users.create_user_pool(PoolName="users")["UserPool"]["Id"]
    users.admin_create_user(UserPoolId=pool, Username="ann")
    users.admin_set_user_password(
        UserPoolId=pool, Username="ann", Password=PASSWORD, Permanent=True
    )
    client_id = users.create_user_pool_client(
        UserPoolId=pool, ClientName="client", ExplicitAuthFlows=FLOWS, **client
    )["UserPoolClient"]["ClientId"]
    provider = f"cognito-idp.{REGION}.amazonaws.com/{pool}"
    asks = {"ProviderName": provider, "ClientId": client_id, "ServerSideTokenCheck": True}
    identity_pool = identities.create_identity_pool(
        IdentityPoolName="identities",
        AllowUnauthenticatedIdentities=False,
        CognitoIdentityProviders=[asks],
    )["IdentityPoolId"]
    tokens = users.admin_initiate_auth(
        UserPoolId=pool,
        ClientId=client_id,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "ann", "PASSWORD": PASSWORD},
    )["AuthenticationResult"]
    return Pools(pool, client_id, identity_pool, provider, tokens)


def test_a_refresh_token_ends(kind: str, cloud: Cloud) -> None:
    """AWS refuses it when its life is over; the emulator takes it for ever."""
    units = {"RefreshToken": "seconds"}
    pools = make_pools(cloud, RefreshTokenValidity=1, TokenValidityUnits=units)
    users = cloud.client("cognito-idp")

    def refresh() -> None:
        users.initiate_auth(
            ClientId=pools.client_id,
            AuthFlow="REFRESH_TOKEN_AUTH",
            AuthParameters={"REFRESH_TOKEN": pools.tokens["RefreshToken"]},
        )

    time.sleep(2)  # twice the token's life, by the clock of the emulator's machine: this one's
    if kind == "ministack":
        refresh()
    else:
        with pytest.raises(ClientError, match="NotAuthorizedException"):
            refresh()


@pytest.mark.parametrize("leaves", ["admin_delete_user", "admin_user_global_sign_out"])
def test_a_user_who_is_gone_gets_no_keys(kind: str, cloud: Cloud, leaves: str) -> None:
    """AWS asks the user pool (ServerSideTokenCheck); the emulator takes what has not ended."""
    pools = make_pools(cloud)
    identities = cloud.client("cognito-identity")
    logins = {pools.provider: pools.tokens["IdToken"]}
    found = identities.get_id(IdentityPoolId=pools.identity_pool_id, Logins=logins)
    who = {"IdentityId": found["IdentityId"], "Logins": logins}
    assert identities.get_credentials_for_identity(**who)["Credentials"]
    getattr(cloud.client("cognito-idp"), leaves)(UserPoolId=pools.pool_id, Username="ann")
    if kind == "ministack":
        assert identities.get_credentials_for_identity(**who)["Credentials"]
    else:
        with pytest.raises(ClientError, match="NotAuthorizedException"):
            identities.get_credentials_for_identity(**who)
