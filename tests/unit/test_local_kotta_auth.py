"""kotta.auth of the local cloud: written for its user, and only in its own place."""

import json
from pathlib import Path

import pytest

from stepgrid.kotta.auth import Auth, read_auth, write_auth
from stepgrid.local.kotta_auth import kotta_auth_is_ours, refresh_kotta_auth
from stepgrid.local.sam import AwsAccess
from stepgrid.local.storage import LocalPaths
from stepgrid.login import Login
from stepgrid_core.errors import LoginRefused
from tests.fake_cognito import FakeCognito, FakeUser

SERVER = "http://127.0.0.1:4566/_aws/execute-api/abc/local"
ENDPOINT = f"{SERVER}/v1"
ACCESS = AwsAccess("http://127.0.0.1:4566", "us-east-1", "key", "secret")
OUTPUTS = {"UserPoolId": "pool", "UserPoolClientId": "c", "IdentityPoolId": "i"}


@pytest.fixture
def paths(tmp_path: Path) -> LocalPaths:
    paths = LocalPaths(tmp_path)
    paths.root.mkdir()
    values = {"user_pool_id": "pool", "username": "local", "password": "p"}
    paths.agent_config.write_text(json.dumps(values))
    return paths


def refresh(paths: LocalPaths, password: str = "p", outputs: dict[str, str] = OUTPUTS) -> None:
    cognito = FakeCognito({"local": FakeUser(password)})
    refresh_kotta_auth(
        paths,
        outputs,
        ENDPOINT,
        ACCESS,
        lambda pool, name, word: Login(cognito, name, word, now=cognito.time),
    )


def test_each_up_writes_a_token(paths: LocalPaths) -> None:
    """A private file that says where the server is."""
    refresh(paths)
    assert read_auth(paths.kotta_auth) == Auth("id-token-2-of-local", SERVER)
    assert paths.kotta_auth.stat().st_mode & 0o777 == 0o600
    write_auth(paths.kotta_auth, "http://127.0.0.1:1/_aws/execute-api/old/local/v1", "old", 0)
    refresh(paths)
    assert read_auth(paths.kotta_auth).server == SERVER
    assert kotta_auth_is_ours(paths)


@pytest.mark.parametrize(
    "text",
    [
        "https://abc.execute-api.eu-west-1.amazonaws.com/dev/login?access_token=t",
        "http://127.0.0.1:8888/login?access_token=t",
        "mine",
    ],
)
def test_a_file_of_somebody_stays(paths: LocalPaths, text: str) -> None:
    """One for AWS, or whatever it is."""
    paths.kotta_auth.write_text(text)
    refresh(paths)
    assert paths.kotta_auth.read_text() == text
    assert not kotta_auth_is_ours(paths)


def test_a_stack_without_users_has_none(paths: LocalPaths) -> None:
    refresh(paths, outputs={})
    assert not paths.kotta_auth.exists()
    assert not kotta_auth_is_ours(paths)


def test_a_password_that_was_changed(paths: LocalPaths) -> None:
    """Is told, and nothing is written."""
    with pytest.raises(LoginRefused):
        refresh(paths, password="changed")
    assert not paths.kotta_auth.exists()
