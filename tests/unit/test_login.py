"""A login over days, in virtual time: tokens and keys end, and no call notices."""

import logging
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple

import boto3
import botocore.session
import pytest

from stepgrid import LoginError, LoginExpired, LoginRefused, NewPasswordRequired, Unavailable
from stepgrid.login import Login
from tests.fake_cognito import DAY, FakeCognito, FakeUser

PASSWORD = "correct horse battery 1!"


@pytest.fixture
def cognito() -> FakeCognito:
    return FakeCognito({"ann": FakeUser(PASSWORD)})


def login_to(cognito: FakeCognito, password: str | None = PASSWORD, token: str | None = None):  # type: ignore[no-untyped-def]
    return Login(cognito, "ann", password, token, now=cognito.time)


def call(cognito: FakeCognito, login: Login) -> str:
    """Sign something: the key must be one that AWS takes at this moment."""
    key = login.credentials.get_frozen_credentials().access_key
    assert cognito.accepts(key)
    return str(key)


def test_no_request_before_the_first_need(cognito: FakeCognito) -> None:
    """A login that is not used costs nothing; then one password check gives keys for many calls."""
    login = login_to(cognito)
    assert not cognito.calls
    for _ in range(100):
        call(cognito, login)
    assert cognito.calls == {"authenticate": 1, "exchange": 1}


def test_a_hundred_days(cognito: FakeCognito) -> None:
    """A call every ten minutes never fails, across three ended refresh tokens and 2,400 keys."""
    login = login_to(cognito)
    keys = set()
    for _ in range(100 * 24 * 6):
        keys.add(call(cognito, login))
        cognito.now += 600
    assert len(keys) > 2000
    assert cognito.calls["authenticate"] == 4
    assert cognito.calls["refresh"] > 2000


@pytest.mark.parametrize("seconds", [2, 300, 3600, DAY])
def test_three_lifetimes_of_any_length(cognito: FakeCognito, seconds: float) -> None:
    """The times at which things are renewed are shares of their lives, however short."""
    cognito.id_token_seconds = cognito.key_seconds = seconds
    login = login_to(cognito)
    keys = set()
    for _ in range(300):
        keys.add(call(cognito, login))
        cognito.now += seconds / 100
    assert 3 <= len(keys) <= 5
    assert cognito.calls["authenticate"] == 1


def test_a_laptop_that_slept(cognito: FakeCognito) -> None:
    """Everything but the refresh token ended meanwhile: the next call renews it first."""
    login = login_to(cognito)
    first = call(cognito, login)
    cognito.now += 20 * DAY
    assert call(cognito, login) != first
    assert cognito.calls["authenticate"] == 1


def test_an_outage_of_cognito_is_not_noticed_while_keys_last(cognito: FakeCognito) -> None:
    """From the last quarter on renewing is tried, now and then; old keys serve until it works."""
    login = login_to(cognito)
    first = call(cognito, login)
    cognito.down = True
    for _ in range(3400):
        assert call(cognito, login) == first
        cognito.now += 1
    assert 5 < cognito.calls["refresh"] < 20
    cognito.down = False
    cognito.now += 60
    assert call(cognito, login) != first


def test_a_long_outage_is_told_when_the_keys_end(cognito: FakeCognito) -> None:
    """Without keys there is no call: the error says that Cognito does not answer."""
    login = login_to(cognito)
    call(cognito, login)
    cognito.down = True
    cognito.now += 3600
    with pytest.raises(Unavailable, match="503"):
        login.keys()
    cognito.down = False
    call(cognito, login)


def test_a_stored_login_ends_with_its_refresh_token(cognito: FakeCognito) -> None:
    """Without the password, the error says how to log in again."""
    token = cognito.authenticate("ann", PASSWORD, None).refresh_token
    login = login_to(cognito, password=None, token=token)
    call(cognito, login)
    cognito.now += 31 * DAY
    with pytest.raises(LoginExpired, match="stepgrid login"):
        login.keys()


def test_a_removed_user_is_out(cognito: FakeCognito) -> None:
    """The keys there are last their hour; then neither token nor password helps."""
    login = login_to(cognito)
    call(cognito, login)
    del cognito.users["ann"]
    cognito.now += 3600
    with pytest.raises(LoginRefused):
        login.keys()


def test_who_was_signed_out_everywhere_comes_back_with_the_password(cognito: FakeCognito) -> None:
    """Tokens that were revoked are refused although they have not ended: a new login follows."""
    login = login_to(cognito)
    first = call(cognito, login)
    cognito.sign_out("ann")
    cognito.now += 3000
    assert call(cognito, login) != first
    assert cognito.calls["authenticate"] == 2


def test_a_refused_password_is_not_sent_again(cognito: FakeCognito) -> None:
    """A program that goes on would lock its user out, by trying a wrong password for ever."""
    login = login_to(cognito, password="wrong")
    with pytest.raises(LoginRefused):
        login.keys()
    for _ in range(10):
        with pytest.raises(LoginExpired):
            login.keys()
    assert cognito.calls["authenticate"] == 1


def test_a_temporary_password_is_replaced(cognito: FakeCognito) -> None:
    """Only with a new one; from then on the new one is used."""
    cognito.users["ann"].temporary = True
    login = login_to(cognito)
    with pytest.raises(NewPasswordRequired):
        login.sign_in()
    login.sign_in(new_password="another horse 2!")
    call(cognito, login)
    cognito.now += 40 * DAY
    call(cognito, login)
    assert cognito.users["ann"].password == "another horse 2!"


def test_an_id_token_for_others(cognito: FakeCognito) -> None:
    """Good for a while whenever it is asked for, and with what is left of its life."""
    login = login_to(cognito)
    first = login.id_token()
    assert first.lifetime_seconds == 3600
    cognito.now += 600
    again = login.id_token()
    assert (again.id_token, again.lifetime_seconds) == (first.id_token, 3000)
    cognito.now += 2900
    assert login.id_token().id_token != first.id_token
    assert first.id_token not in repr(first)


def test_sign_out_revokes(cognito: FakeCognito) -> None:
    """Afterwards the refresh token is worth nothing, and the login has no password either."""
    login = login_to(cognito)
    login.sign_in()
    token = login.refresh_token
    assert token is not None
    login.sign_out()
    with pytest.raises(LoginExpired):
        cognito.refresh(token)
    with pytest.raises(LoginExpired):
        login.keys()


class SlowCognito(FakeCognito):
    """Answers an exchange only when it is let to."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.asked = threading.Event()
        self.go = threading.Event()
        self.go.set()

    def exchange(self, id_token: str):  # type: ignore[no-untyped-def]
        self.asked.set()
        assert self.go.wait(30)
        return super().exchange(id_token)


def test_many_threads_log_in_once() -> None:
    """All wait for the one that does, and get its keys; each triple belongs together."""
    cognito = SlowCognito({"ann": FakeUser(PASSWORD)})
    login = login_to(cognito)
    credentials = login.credentials
    cognito.go.clear()
    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(credentials.get_frozen_credentials) for _ in range(64)]
        assert cognito.asked.wait(30)
        cognito.go.set()
        frozen = [each.result(30) for each in asked]
    assert len({each.access_key for each in frozen}) == 1
    assert all(each.secret_key == f"secret-of-{each.access_key}" for each in frozen)
    assert cognito.calls == {"authenticate": 1, "exchange": 1}


def test_other_threads_do_not_wait_for_a_renewal() -> None:
    """While one thread renews keys that are still good, the others sign with the old ones."""
    cognito = SlowCognito({"ann": FakeUser(PASSWORD)})
    login = login_to(cognito)
    first = login.keys()
    cognito.now += 3000
    cognito.asked.clear()
    cognito.go.clear()
    with ThreadPoolExecutor(1) as pool:
        renewed = pool.submit(login.keys)
        assert cognito.asked.wait(30)
        assert login.keys() == first
        cognito.go.set()
        assert renewed.result(30) != first


def test_boto3_signs_with_a_login(cognito: FakeCognito) -> None:
    """A boto3 session takes the credentials; a client made early signs with later keys too."""
    login = login_to(cognito)
    inner = botocore.session.Session()
    inner._credentials = login.credentials
    client = boto3.Session(botocore_session=inner, region_name="eu-west-1").client("s3")
    links = []
    for _ in range(2):
        links.append(client.generate_presigned_url("get_object", {"Bucket": "b", "Key": "k"}))
        cognito.now += 3600
    tokens = [link.split("amz-security-token=")[1].split("&")[0] for link in links]
    assert tokens[0] != tokens[1]


def test_nothing_secret_is_ever_shown(
    cognito: FakeCognito, caplog: pytest.LogCaptureFixture
) -> None:
    """No password, token or key in a repr, a log or the traceback of an error."""
    caplog.set_level(logging.DEBUG)
    login = login_to(cognito)
    shown = [repr(login), repr(login.credentials)]
    login.sign_in()
    keys = login.keys()
    shown += [repr(login), str(vars(login.credentials)), repr(keys), str(keys)]
    shown.append(repr(cognito.authenticate("ann", PASSWORD, None)))
    cognito.sign_out("ann")
    cognito.users["ann"].password = "changed"
    cognito.now += 3600
    with pytest.raises(LoginError) as caught:
        login.keys()
    shown += traceback.format_exception(caught.value)
    text = "\n".join([*shown, caplog.text])
    assert keys.access_key_id in astuple(keys)
    assert not [secret for secret in (PASSWORD, *cognito.secrets()) if secret in text]
