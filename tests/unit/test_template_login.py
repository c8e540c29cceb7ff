"""Who may log in and what that gives them: asserted on the translated template."""

from typing import Any

import pytest

from tests.unit.translated_template import properties, read_template, translate

TEMPLATE = read_template()


@pytest.fixture(scope="module")
def translated() -> dict[str, Any]:
    return translate(TEMPLATE)


def test_only_administrators_make_users(translated: dict[str, Any]) -> None:
    """Nobody signs up or recovers an account alone; a name is the same in either case."""
    pool = properties(translated, "UserPool")
    assert pool["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}
    recovery = pool["AccountRecoverySetting"]["RecoveryMechanisms"]
    assert [each["Name"] for each in recovery] == ["admin_only"]
    assert pool["UsernameConfiguration"] == {"CaseSensitive": False}


def test_passwords_are_strong(translated: dict[str, Any]) -> None:
    """Twelve characters of four kinds; a temporary one ends after a week."""
    policy = properties(translated, "UserPool")["Policies"]["PasswordPolicy"]
    assert policy["MinimumLength"] == 12
    required = [value for name, value in policy.items() if name.startswith("Require")]
    assert required == [True] * 4
    assert policy["TemporaryPasswordValidityDays"] == 7


def test_users_outlive_the_stack(translated: dict[str, Any]) -> None:
    """As sessions do: new pools give every user a new identity, without the old sessions."""
    for name in ("UserPool", "IdentityPool"):
        pool = translated["Resources"][name]
        assert pool["DeletionPolicy"] == "RetainExceptOnCreate"
        assert pool["UpdateReplacePolicy"] == "Retain"


def test_a_password_never_travels(translated: dict[str, Any]) -> None:
    """SRP and refresh are the only flows, without a client secret; unknown users stay unknown."""
    client = properties(translated, "UserPoolClient")
    assert set(client["ExplicitAuthFlows"]) == {"ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"}
    assert client["GenerateSecret"] is False
    assert client["PreventUserExistenceErrors"] == "ENABLED"


def test_tokens_end(translated: dict[str, Any]) -> None:
    """Their lives are parameters, in the units of their names, and they can be revoked."""
    client = properties(translated, "UserPoolClient")
    assert client["IdTokenValidity"] == client["AccessTokenValidity"] == {"Ref": "IdTokenMinutes"}
    assert client["RefreshTokenValidity"] == {"Ref": "RefreshTokenDays"}
    units = {"IdToken": "minutes", "AccessToken": "minutes", "RefreshToken": "days"}
    assert client["TokenValidityUnits"] == units
    assert client["EnableTokenRevocation"] is True
    # The least that Cognito takes is five minutes and an hour.
    assert TEMPLATE["Parameters"]["IdTokenMinutes"]["MinValue"] == 5
    assert TEMPLATE["Parameters"]["RefreshTokenDays"]["MinValue"] == 1


def test_strangers_get_no_credentials(translated: dict[str, Any]) -> None:
    """Only this pool's users, by its clients, in the flow whose tokens Cognito checks again."""
    pool = properties(translated, "IdentityPool")
    assert pool["AllowUnauthenticatedIdentities"] is False
    assert pool["AllowClassicFlow"] is False
    assert pool["CognitoIdentityProviders"] == [
        {
            "ProviderName": {"Fn::GetAtt": ["UserPool", "ProviderName"]},
            "ClientId": {"Ref": client},
            "ServerSideTokenCheck": True,
        }
        for client in ("UserPoolClient", "FederationClient")
    ]
    roles = properties(translated, "IdentityPoolRoles")["Roles"]
    assert roles == {"authenticated": {"Fn::GetAtt": ["UserRole", "Arn"]}}


def test_the_role_is_for_users_of_this_pool(translated: dict[str, Any]) -> None:
    """It trusts Cognito, for this identity pool, for those who logged in; it may call the API."""
    role = properties(translated, "UserRole")
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Federated": "cognito-identity.amazonaws.com"}
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Condition"] == {
        "StringEquals": {"cognito-identity.amazonaws.com:aud": {"Ref": "IdentityPool"}},
        "ForAnyValue:StringLike": {"cognito-identity.amazonaws.com:amr": "authenticated"},
    }
    assert role["ManagedPolicyArns"] == [{"Ref": "ClientPolicy"}]


def test_the_api_tells_where_to_log_in(translated: dict[str, Any]) -> None:
    """GET /v1/login answers from the api function's environment."""
    variables = properties(translated, "ApiFunction")["Environment"]["Variables"]
    assert variables["STEPGRID_USER_POOL_ID"] == {"Ref": "UserPool"}
    assert variables["STEPGRID_USER_POOL_CLIENT_ID"] == {"Ref": "UserPoolClient"}
    assert variables["STEPGRID_IDENTITY_POOL_ID"] == {"Ref": "IdentityPool"}
