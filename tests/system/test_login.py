"""Users of the deployed grid: password, tokens, keys and owner, all from the emulator's Cognito."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from requests_aws4auth import AWS4Auth

from stepgrid import Grid, LoginExpired, LoginRefused, NewPasswordRequired
from stepgrid.cognito import AwsKeys, HttpCognito, Tokens, UserPool
from stepgrid.config import Config
from stepgrid.local import LocalCloud
from stepgrid.login import Login, find_pool, sign_in
from stepgrid.users import Users, local_users, make_password

PASSWORD = "Correct horse battery 1!"


@pytest.fixture(scope="module")
def endpoint(cloud: LocalCloud) -> str:
    endpoint = cloud.status().endpoint
    assert endpoint is not None
    return endpoint


@pytest.fixture(scope="module")
def pool(endpoint: str) -> UserPool:
    """Found as any client finds it: by the API's address alone."""
    return find_pool(Config(endpoint))


@pytest.fixture(scope="module")
def users(pool: UserPool) -> Iterator[Users]:
    users = local_users(pool)
    yield users
    users.close()


@pytest.fixture
def add_user(users: Users) -> Iterator[Callable[[str], None]]:
    added: list[str] = []

    def add(name: str) -> None:
        users.add(name)
        users.set_password(name, PASSWORD)
        added.append(name)

    yield add
    there = {user.name for user in users.list()}
    for name in there.intersection(added):
        users.remove(name)


def test_a_password_runs_a_session(endpoint: str, add_user: Callable[[str], None]) -> None:
    """Knowing the API's address, a name and a password, a program submits and gets results."""
    add_user("ann")
    with Grid(endpoint, username="ann", password=PASSWORD) as grid:
        assert grid.submit("mock-compute", [{"return_bytes": 2}]).results() == ["xx"]


def test_each_user_is_an_owner(endpoint: str, add_user: Callable[[str], None]) -> None:
    """Two users of one role see nothing of each other; who comes back finds the old sessions."""
    for name in ("ann", "bob"):
        add_user(name)
    with Grid(endpoint, username="ann", password=PASSWORD) as ann:
        session = ann.submit("mock-compute", [{}]).id
    with Grid(endpoint, username="bob", password=PASSWORD) as bob:
        assert list(bob.sessions()) == []
        assert bob.cancel([session])[session].total_cancelled_tasks == 0
    with Grid(endpoint, login=sign_in(endpoint, "ann", PASSWORD)) as again:
        assert [found.session_id for found in again.sessions()] == [session]


def test_a_wrong_password_and_an_unknown_user_are_told_alike(
    endpoint: str, add_user: Callable[[str], None]
) -> None:
    """Nobody learns which names there are."""
    add_user("ann")
    told = []
    for name in ("ann", "eve"):
        with pytest.raises(LoginRefused) as caught:
            sign_in(endpoint, name, "Wrong horse battery 1!")
        told.append(str(caught.value).replace(repr(name), "?"))
    assert told[0] == told[1]


def test_a_temporary_password_has_to_be_replaced(endpoint: str, users: Users) -> None:
    """It opens nothing but the way to a new one, once."""
    temporary = users.add("new")
    with pytest.raises(NewPasswordRequired):
        sign_in(endpoint, "new", temporary)
    assert sign_in(endpoint, "new", temporary, new_password=PASSWORD).identity_id
    with pytest.raises(LoginRefused):
        sign_in(endpoint, "new", temporary)
    users.remove("new")


def test_a_removed_user_stays_out(
    endpoint: str, pool: UserPool, users: Users, add_user: Callable[[str], None]
) -> None:
    """Neither the password nor any token opens anything any more, from this moment on."""
    add_user("leaver")
    cognito = HttpCognito(pool)
    tokens = cognito.authenticate("leaver", PASSWORD, None)
    assert cognito.exchange(tokens.id_token)
    users.remove("leaver")
    with pytest.raises(LoginExpired):
        cognito.exchange(tokens.id_token)
    with pytest.raises(LoginRefused):
        sign_in(endpoint, "leaver", PASSWORD)
    with pytest.raises(LoginExpired):
        cognito.refresh(str(tokens.refresh_token))


def test_a_login_that_was_left_is_worth_nothing(
    endpoint: str, pool: UserPool, add_user: Callable[[str], None]
) -> None:
    """Signing out revokes the refresh token, wherever else it is kept."""
    add_user("ann")
    login = sign_in(endpoint, "ann", PASSWORD)
    token = str(login.refresh_token)
    assert HttpCognito(pool).refresh(token).id_token
    login.sign_out()
    with pytest.raises(LoginExpired):
        HttpCognito(pool).refresh(token)


def test_the_local_cloud_has_a_user_ready(cloud: LocalCloud) -> None:
    """agent_config.json is private, logs in, and survives a second `up`."""
    path = cloud.paths.agent_config
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    values = json.loads(text)
    with Grid(
        values["public_api_gateway_url"],
        username=values["username"],
        password=values["password"],
    ) as grid:
        assert grid.workers()
    cloud.up()
    assert path.read_text() == text


#: Of tokens and keys in the test of long uptime, in seconds.
LIFE = 2
#: The emulator knows the time of issue in whole seconds, and a busy machine stops now and then.
SLACK = 2


class ShortKeys(HttpCognito):
    """Cognito whose keys live for LIFE seconds, where AWS and the emulator give an hour.

    The emulator is made to refuse older ones by `end_old_keys`. Keeps what it handed out.
    """

    def __init__(self, pool: UserPool) -> None:
        super().__init__(pool)
        self.keys: list[AwsKeys] = []
        self.id_tokens: set[str] = set()
        self.logins = 0

    def authenticate(self, username: str, password: str, new_password: str | None) -> Tokens:
        self.logins += 1
        return super().authenticate(username, password, new_password)

    def exchange(self, id_token: str) -> AwsKeys:
        keys = replace(super().exchange(id_token), expires_at=time.time() + LIFE)
        self.keys.append(keys)
        self.id_tokens.add(id_token)
        return keys


def end_old_keys(iam: Any, role: str) -> None:
    """What AWS's console calls "revoke active sessions": IAM denies keys from before a time."""
    before = datetime.fromtimestamp(time.time() - LIFE - SLACK, UTC).isoformat()
    condition = {"DateLessThan": {"aws:TokenIssueTime": before}}
    statement = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    iam.put_role_policy(RoleName=role, PolicyName="old", PolicyDocument=json.dumps(policy))


@pytest.fixture
def short_lives(cloud: LocalCloud, pool: UserPool) -> Iterator[Callable[[], None]]:
    """Id tokens of LIFE seconds, less than AWS allows; answers end_old_keys."""
    idp, iam = cloud.client("cognito-idp"), cloud.client("iam")
    resources = cloud.client("cloudformation").describe_stack_resources(
        StackName=cloud.status().stack_name, LogicalResourceId="UserRole"
    )
    role = resources["StackResources"][0]["PhysicalResourceId"]
    ids = {"UserPoolId": pool.user_pool_id, "ClientId": pool.client_id}
    before = idp.describe_user_pool_client(**ids)["UserPoolClient"]
    kept = {name: before[name] for name in ("ExplicitAuthFlows", "PreventUserExistenceErrors")}
    idp.update_user_pool_client(
        **ids,
        **kept,
        IdTokenValidity=LIFE,
        RefreshTokenValidity=2 * LIFE,
        TokenValidityUnits=dict.fromkeys(("IdToken", "AccessToken", "RefreshToken"), "seconds"),
    )
    yield lambda: end_old_keys(iam, role)
    iam.delete_role_policy(RoleName=role, PolicyName="old")
    idp.update_user_pool_client(
        **ids,
        **kept,
        IdTokenValidity=int(before["IdTokenValidity"]),
        RefreshTokenValidity=int(before["RefreshTokenValidity"]),
        TokenValidityUnits=before["TokenValidityUnits"],
    )


def test_a_client_that_stays_up_for_three_lifetimes_never_fails_a_call(
    endpoint: str,
    pool: UserPool,
    add_user: Callable[[str], None],
    short_lives: Callable[[], None],
) -> None:
    """Calls in a row, across three lives of tokens and keys; what has ended is refused.

    The refresh token ends on the way as well, and the password makes the next one. The emulator
    takes an id token for five minutes after its end, so that one is not seen refused here: the
    number of id tokens shows that each was used for its life only.
    """
    add_user("ann")
    cognito = ShortKeys(pool)
    login = Login(cognito, "ann", PASSWORD, region=pool.region)
    ends_at = time.monotonic() + 3 * LIFE
    calls = 0
    with Grid(endpoint, login=login) as grid:
        while time.monotonic() < ends_at or len(cognito.keys) < 4:
            short_lives()
            assert grid.workers()
            calls += 1
    assert calls > len({keys.access_key_id for keys in cognito.keys}) >= 4
    assert len(cognito.id_tokens) >= 4
    assert cognito.logins >= 2
    first, last = cognito.keys[0], cognito.keys[-1]
    assert call_with(endpoint, first).status_code == 403
    assert call_with(endpoint, last).status_code == 200


def test_nothing_secret_is_logged(
    endpoint: str,
    pool: UserPool,
    add_user: Callable[[str], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A program that logs everything of every library still shows no password and no token."""
    add_user("ann")
    caplog.set_level(logging.DEBUG)
    cognito = ShortKeys(pool)
    login = Login(cognito, "ann", PASSWORD, region=pool.region)
    with Grid(endpoint, login=login) as grid:
        assert grid.workers()
    secrets = [PASSWORD, str(login.refresh_token), *cognito.id_tokens]
    for keys in cognito.keys:
        secrets += [keys.secret_access_key, keys.session_token]
    assert len(secrets) == 5
    assert "InitiateAuth" in caplog.text or "POST" in caplog.text
    assert not [secret for secret in secrets if secret in caplog.text]


def call_with(endpoint: str, keys: AwsKeys) -> requests.Response:
    auth = AWS4Auth(
        keys.access_key_id,
        keys.secret_access_key,
        "us-east-1",
        "execute-api",
        session_token=keys.session_token,
    )
    return requests.get(f"{endpoint}/workers", auth=auth, timeout=60)


def test_made_passwords_fit_the_policy(users: Users) -> None:
    """What `stepgrid users add` prints is taken by the pool."""
    users.add("new")
    users.set_password("new", make_password())
    users.remove("new")
