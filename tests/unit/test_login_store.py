"""Logins that are kept: private files, one for each endpoint."""

from pathlib import Path

import pytest

from stepgrid import Config, ConfigurationError
from stepgrid.cognito import UserPool
from stepgrid.credentials import Given, find_signer
from stepgrid.login_store import StoredLogin, forget_login, load_login, login_path, store_login

ENDPOINT = "https://abc.execute-api.eu-west-1.amazonaws.com/dev/v1"
POOL = UserPool("eu-west-1", "eu-west-1_Pool", "client", "eu-west-1:identities")
LOGIN = StoredLogin(ENDPOINT, "ann", POOL, "refresh-token")


def test_a_login_comes_back(tmp_path: Path) -> None:
    """For its endpoint, with or without the slash, and for no other."""
    path = store_login(LOGIN, tmp_path)
    assert path == login_path(ENDPOINT + "/", tmp_path)
    assert load_login(ENDPOINT, tmp_path) == LOGIN
    assert load_login(ENDPOINT + "2", tmp_path) is None


def test_only_its_user_reads_it(tmp_path: Path) -> None:
    """The file is 0600 in a folder that is 0700, and its name tells nothing."""
    path = store_login(LOGIN, tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert "abc" not in path.name
    assert "refresh-token" not in repr(LOGIN)


def test_a_login_is_forgotten(tmp_path: Path) -> None:
    """Once; the answer says whether there was one."""
    store_login(LOGIN, tmp_path)
    assert forget_login(ENDPOINT, tmp_path)
    assert not forget_login(ENDPOINT, tmp_path)
    assert load_login(ENDPOINT, tmp_path) is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"username": "secret-text"}', '{"pool": {"a": 1}}']
)
def test_a_broken_file_is_not_passed_over(tmp_path: Path, text: str) -> None:
    """Going on as somebody else would surprise; the error does not quote the file."""
    path = store_login(LOGIN, tmp_path)
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="stepgrid login") as caught:
        load_login(ENDPOINT, tmp_path)
    assert "secret-text" not in str(caught.value)


KNOWN = Config(
    ENDPOINT,
    access_key_id="AKIA",
    secret_access_key="secret",
    user_pool_id="eu-west-1_Pool",
    user_pool_client_id="client",
    identity_pool_id="eu-west-1:identities",
)
BY_ENVIRONMENT = {"STEPGRID_USERNAME": "eve", "STEPGRID_PASSWORD": "p"}


def signs(home: Path, given: Given | None = None, **environment: str) -> str:
    """Who: a username, or the id of a key."""
    credentials = find_signer(KNOWN, given, environment=environment, home=home).credentials
    shown = repr(credentials)
    return shown if "Login" in shown else str(credentials.access_key)


def test_the_most_deliberate_credentials_sign(tmp_path: Path) -> None:
    """The program's own, the environment's, the stored login, the profile's keys: in that order."""
    assert signs(tmp_path) == "AKIA"
    store_login(LOGIN, tmp_path)
    assert "'ann'" in signs(tmp_path)
    assert "'eve'" in signs(tmp_path, **BY_ENVIRONMENT)
    assert signs(tmp_path, Given(config=True), **BY_ENVIRONMENT) == "AKIA"
    assert "'bob'" in signs(tmp_path, Given(username="bob", password="p"), **BY_ENVIRONMENT)


def test_half_a_login_is_refused(tmp_path: Path) -> None:
    """A name without a password, or two ways at once, is a mistake and not a choice."""
    with pytest.raises(ConfigurationError, match="both STEPGRID_USERNAME"):
        signs(tmp_path, STEPGRID_USERNAME="eve")
    with pytest.raises(ConfigurationError, match="belong together"):
        Given(username="ann")
    with pytest.raises(ConfigurationError, match="one of login, session"):
        Given(username="ann", password="p", boto3_session=object())


def test_a_password_is_never_sent_in_clear() -> None:
    """Where Cognito is said to be on plain HTTP outside of this machine, nobody logs in."""
    with pytest.raises(ConfigurationError, match="plain HTTP"):
        UserPool("eu-west-1", "eu-west-1_Pool", "client", "pool", "http://example.org")
