"""Login: a user's name and password as AWS credentials that renew themselves, for days.

    with Grid(endpoint, login=sign_in(endpoint, "ann", password)) as grid: ...

    Login.keys ── fresh? ──▶ the keys it has
        `─ else: id token (refreshed, or by the password again) ─▶ new keys

Keys live for an hour on AWS, id tokens for `IdTokenMinutes`, refresh tokens for `RefreshTokenDays`
(template.yaml). Each is renewed before it ends, and old keys serve while they are good, so that an
outage of Cognito is not noticed at once. Neither passwords nor tokens are ever shown: no repr, log
or error has them.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stepgrid_core.errors import (
    ConfigurationError,
    LoginExpired,
    LoginRefused,
    NotFound,
    StepgridError,
)

from .api import Api
from .cognito import AwsKeys, Cognito, HttpCognito, Tokens, UserPool
from .cognito_wire import Calls
from .config import Config
from .transport import HttpTransport

if TYPE_CHECKING:
    from .login_credentials import LoginCredentials

#: Of a lifetime that is left: from here on renewing is tried, and until here old keys are used.
RENEW_AT, NEED_AT = 1 / 4, 1 / 30
#: Of a lifetime: how long old keys are used before renewing is tried again.
RETRY_AFTER = 1 / 60

Now = Callable[[], float]  #: epoch seconds


@dataclass(frozen=True, slots=True)
class _Span:
    """When something began and ends, by this machine's clock."""

    began_at: float
    ends_at: float

    def at(self, share_left: float) -> float:
        return self.ends_at - share_left * (self.ends_at - self.began_at)


class Login:
    """A user of a grid. Safe for several threads; no request is sent before the first need."""

    def __init__(
        self,
        cognito: Cognito,
        username: str,
        password: str | None = None,
        refresh_token: str | None = None,
        *,
        region: str = "us-east-1",
        now: Now = time.time,
    ) -> None:
        """password, refresh_token: one of them, or both. region: of the pools. now: the time."""
        self.username = username
        self.region = region
        self._cognito = cognito
        self._password = password
        self._refresh_token = refresh_token
        self._now = now
        self._lock = threading.Lock()
        self._id_token: str | None = None
        self._id_token_span = _Span(0.0, 0.0)
        self._keys: AwsKeys | None = None
        self._keys_span = _Span(0.0, 0.0)
        self._try_at = 0.0

    @property
    def credentials(self) -> "LoginCredentials":
        """What botocore, boto3 and requests-aws4auth sign with."""
        # botocore takes a while to import.
        from .login_credentials import LoginCredentials  # noqa: PLC0415

        return LoginCredentials(self.keys, f"<LoginCredentials of {self.username!r}>")

    @property
    def refresh_token(self) -> str | None:
        """To be kept by whoever wants to log in without the password. It is a secret."""
        return self._refresh_token

    @property
    def identity_id(self) -> str:
        """Of the user in the identity pool; with `cognito:` before it, the owner of sessions."""
        return self.keys().identity_id

    def id_token(self) -> Tokens:
        """An id token that is good for a while, for services that take one. It is a secret.

        Raises what sign_in raises.
        """
        with self._lock:
            token = self._good_id_token()
            return Tokens(token, self._id_token_span.ends_at - self._now())

    def sign_in(self, new_password: str | None = None) -> None:
        """Log in now, so that a refusal is known now.

        new_password: to set, where the user has a temporary one. Raises LoginRefused, LoginExpired,
        NewPasswordRequired, LoginError or Unavailable.
        """
        with self._lock:
            if self._password is not None:
                self._authenticate(self._password, new_password)
            self._renew()

    def sign_out(self) -> None:
        """Revoke the refresh token and forget everything. The AWS keys end by themselves."""
        with self._lock:
            token, self._refresh_token = self._refresh_token, None
            self._password = self._id_token = self._keys = None
        if token is not None:
            self._cognito.revoke(token)

    def keys(self) -> AwsKeys:
        """Keys that are good for a while. Raises what sign_in raises, if there are none."""
        keys, now = self._keys, self._now()
        if keys is None or now >= self._keys_span.at(NEED_AT):
            with self._lock:
                return self._fresh_keys() or self._renew()
        if now >= max(self._keys_span.at(RENEW_AT), self._try_at):
            self._try_to_renew()
        return self._keys or keys

    def _fresh_keys(self) -> AwsKeys | None:
        """Those that another thread got while this one waited for the lock."""
        return self._keys if self._now() < self._keys_span.at(NEED_AT) else None

    def _try_to_renew(self) -> None:
        """One thread asks; the others go on with the old keys, as it does itself if it fails."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._renew()
        except StepgridError:
            # It is raised when the keys are needed, if nothing has changed by then.
            span = self._keys_span
            self._try_at = self._now() + RETRY_AFTER * (span.ends_at - span.began_at)
        finally:
            self._lock.release()

    # With the lock held.

    def _renew(self) -> AwsKeys:
        keys = self._exchange()
        self._keys, self._keys_span = keys, _Span(self._now(), keys.expires_at)
        return keys

    def _exchange(self) -> AwsKeys:
        """The id token for keys. One that is refused is replaced, by ever stronger means."""
        try:
            return self._cognito.exchange(self._good_id_token())
        except LoginExpired:
            # It ended earlier than this machine's clock says.
            self._id_token = None
        try:
            return self._cognito.exchange(self._good_id_token())
        except LoginExpired:
            # The user was signed out: the password, if it is known, makes a new login.
            self._id_token = self._refresh_token = None
        return self._cognito.exchange(self._good_id_token())

    def _good_id_token(self) -> str:
        if self._id_token is not None and self._now() < self._id_token_span.at(RENEW_AT):
            return self._id_token
        if self._refresh_token is not None:
            try:
                return self._keep(self._cognito.refresh(self._refresh_token))
            except LoginExpired:
                self._refresh_token = self._id_token = None
        if self._password is None:
            raise LoginExpired(
                f"the login of {self.username!r} has ended; log in again: `stepgrid login`"
            )
        return self._authenticate(self._password)

    def _authenticate(self, password: str, new_password: str | None = None) -> str:
        try:
            tokens = self._cognito.authenticate(self.username, password, new_password)
        except LoginRefused:
            # Sent again and again, it would lock the user out.
            self._password = None
            raise
        self._password = new_password or password
        return self._keep(tokens)

    def _keep(self, tokens: Tokens) -> str:
        now = self._now()
        self._id_token = tokens.id_token
        self._id_token_span = _Span(now, now + tokens.lifetime_seconds)
        self._refresh_token = tokens.refresh_token or self._refresh_token
        return tokens.id_token

    def __repr__(self) -> str:
        return f"<Login of {self.username!r}>"


def sign_in(
    endpoint: str,
    username: str,
    password: str,
    *,
    new_password: str | None = None,
    pool: UserPool | None = None,
) -> Login:
    """Log a user in, now; the answer is for Grid(endpoint, login=...).

    endpoint: of the API, up to and with `/v1`. new_password: to set, where the user has a temporary
    one. pool: where to log in; the grid is asked when left out. Raises LoginRefused,
    NewPasswordRequired or LoginError; Unavailable; ConfigurationError if the grid has no users.
    """
    login = open_login(pool or find_pool(Config(endpoint)), username, password)
    login.sign_in(new_password)
    return login


def open_login(
    pool: UserPool,
    username: str,
    password: str | None = None,
    refresh_token: str | None = None,
    *,
    users: Calls | None = None,
) -> Login:
    """A login that begins at its first use.

    password, refresh_token: one of them, or both. users: how the user pool is called, if not over
    the wire.
    """
    return Login(
        HttpCognito(pool, users=users), username, password, refresh_token, region=pool.region
    )


def find_pool(config: Config) -> UserPool:
    """Where the users of a grid log in: from the config, or else the grid is asked.

    Raises ConfigurationError if it has no users, Unavailable if it does not answer.
    """
    ids = (config.user_pool_id, config.user_pool_client_id, config.identity_pool_id)
    if all(ids):
        user_pool, client, identity_pool = map(str, ids)
        region = user_pool.partition("_")[0]  # a pool's id is <region>_<name>
        return UserPool(region, user_pool, client, identity_pool, config.aws_endpoint_url)
    transport = HttpTransport(config.endpoint, "", None)
    try:
        found = Api(transport).describe_login()
    except NotFound as error:
        raise ConfigurationError(f"{config.endpoint} has no users to log in: {error}") from error
    finally:
        transport.close()
    return UserPool(
        region=found.region,
        user_pool_id=found.user_pool_id,
        client_id=found.user_pool_client_id,
        identity_pool_id=found.identity_pool_id,
        endpoint_url=found.aws_endpoint_url,
    )
