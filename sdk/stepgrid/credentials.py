"""The credentials and the region that calls are signed with. The first of these that there is:

  given to Grid: a login, a boto3 session, username and password, keys in a config
> STEPGRID_USERNAME and STEPGRID_PASSWORD
> what `stepgrid login` stored for this endpoint
> keys in the profile that was found, as `stepgrid local up` writes it
> boto3's own choice: environment, AWS profile, single sign-on, role of the machine
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stepgrid_core.errors import ConfigurationError

from .config import Config
from .login import Login, find_pool, open_login
from .login_store import load_login


@dataclass(frozen=True, slots=True)
class Given:
    """What a program gave to Grid by itself."""

    login: Login | None = None
    boto3_session: Any = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    #: the config was given too, so its keys are meant
    config: bool = False

    def __post_init__(self) -> None:
        ways = (self.login, self.boto3_session, self.username)
        if sum(way is not None for way in ways) > 1:
            raise ConfigurationError("give one of login, session, and username with password")
        if (self.username is None) != (self.password is None):
            raise ConfigurationError("username and password belong together")


@dataclass(frozen=True, slots=True)
class Signer:
    """credentials: botocore's, or of the same form; those that expire refresh themselves."""

    credentials: Any
    region: str


def find_signer(
    config: Config,
    given: Given | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    home: Path | None = None,
) -> Signer:
    """Whose name calls bear; see this module's head for the order.

    A username makes one request, to ask the grid where its users log in, unless the config knows.
    environment, home: where to look, this process's own by default. Raises ConfigurationError if
    there are no credentials or no region.
    """
    given = given or Given()
    environment = os.environ if environment is None else environment
    if given.boto3_session is not None:
        return _boto3_signer(config, given.boto3_session)
    login = given.login or _named_login(config, given.username, given.password)
    if login is None and config.access_key_id and given.config:
        return _key_signer(config)
    login = login or _environment_login(config, environment) or _stored_login(config, home)
    if login is not None:
        return Signer(login.credentials, config.region or login.region)
    return _key_signer(config) if config.access_key_id else _boto3_signer(config)


def _named_login(config: Config, username: str | None, password: str | None) -> Login | None:
    if username is None or password is None:
        return None
    return open_login(find_pool(config), username, password)


def _environment_login(config: Config, environment: Mapping[str, str]) -> Login | None:
    username = environment.get("STEPGRID_USERNAME") or None
    password = environment.get("STEPGRID_PASSWORD") or None
    if (username is None) != (password is None):
        raise ConfigurationError("set both STEPGRID_USERNAME and STEPGRID_PASSWORD, or neither")
    return _named_login(config, username, password)


def _stored_login(config: Config, home: Path | None) -> Login | None:
    stored = load_login(config.endpoint, home)
    if stored is None:
        return None
    return open_login(stored.pool, stored.username, refresh_token=stored.refresh_token)


def _key_signer(config: Config) -> Signer:
    from botocore.credentials import Credentials  # noqa: PLC0415

    credentials = Credentials(str(config.access_key_id), str(config.secret_access_key))
    return Signer(credentials, config.region or "us-east-1")


def _boto3_signer(config: Config, session: Any = None) -> Signer:
    # boto3 takes a while to import, and a grid in memory does without it.
    import boto3  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415

    try:
        session = session or boto3.Session(profile_name=config.aws_profile)
        credentials = session.get_credentials()
    except BotoCoreError as error:
        raise ConfigurationError(f"boto3 finds no usable AWS credentials: {error}") from error
    if credentials is None:
        raise ConfigurationError(
            "no AWS credentials were found; log in with `stepgrid login`, run `aws configure` or "
            "`aws sso login`, or set AWS_PROFILE"
        )
    region = config.region or session.region_name
    if not region:
        raise ConfigurationError(
            f"the region of {config.endpoint} is not known; set STEPGRID_REGION or pass region="
        )
    return Signer(credentials, region)
