"""How a client of HTC-Grid comes to its grid: which address, and as whom.

    INTRA_VPC set     the private address, signed with the ambient AWS credentials
    otherwise         the public address, signed with the keys of a login (stepgrid.login)

The grid itself says where its users log in. This module knows the configuration, and no tasks.
"""

import os
import threading
from typing import Any

from stepgrid_core.errors import ConfigurationError

from ..client import Grid
from ..config import Config
from ..login import Login, find_pool, open_login
from .agent_config import AgentConfig
from .cognito_client import ClientCalls


def is_intra_vpc() -> bool:
    """HTC-Grid's switch: any value but the empty one."""
    return bool(os.environ.get("INTRA_VPC"))


def find_endpoint(config: AgentConfig, intra_vpc: bool) -> str:
    """Base address of the API with `/v1`. Raises ConfigurationError."""
    url = (config.private_url if intra_vpc else None) or config.public_url
    if url is None:
        raise ConfigurationError("public_api_gateway_url is missing in the configuration")
    return url.rstrip("/").removesuffix("/v1") + "/v1"


def find_user(config: AgentConfig, username: str, password: str) -> tuple[str, str]:
    """Name and password: the arguments, else the configuration's, else the environment's.

    Raises ConfigurationError, which says which is missing.
    """
    user = username or config.username or os.environ.get("USERNAME")
    secret = password or config.password or os.environ.get("PASSWORD")
    if not user or not secret:
        missing = "password" if user else "username"
        raise ConfigurationError(
            f"the {missing} is missing: give it to init, in the configuration, or in the "
            f"environment as {missing.upper()}; with INTRA_VPC=1 calls are signed with the ambient "
            "AWS credentials instead"
        )
    return user, secret


class Access:
    """The Grid of one configuration, opened when it is needed first. Safe for several threads."""

    def __init__(
        self,
        config: AgentConfig,
        username: str = "",
        password: str = "",
        cognito_client: Any = None,
    ) -> None:
        """cognito_client: a boto3 client for cognito-idp, to log in with."""
        self._config = config
        self._username = username
        self._password = password
        self._cognito_client = cognito_client
        self._lock = threading.Lock()
        self._login: Login | None = None
        self._grid: Grid | None = None

    def grid(self) -> Grid:
        """Raises LoginRefused for a wrong name or password, ConfigurationError, Unavailable."""
        with self._lock:
            if self._grid is None:
                self._grid = self._open()
            return self._grid

    def refresh(self) -> None:
        """Renew the login now; without one there is nothing to do. Raises as `grid`."""
        self.grid()
        if self._login is not None:
            self._login.sign_in()

    def close(self) -> None:
        with self._lock:
            if self._grid is not None:
                self._grid.close()
            self._grid = self._login = None

    def _open(self) -> Grid:
        intra_vpc = is_intra_vpc()
        config = Config(find_endpoint(self._config, intra_vpc), self._config.region)
        if intra_vpc:
            # boto3 takes a while to import, and a login does without it.
            import boto3  # noqa: PLC0415

            return Grid(config=config, session=boto3.Session(region_name=self._config.region))
        username, password = find_user(self._config, self._username, self._password)
        users = None if self._cognito_client is None else ClientCalls(self._cognito_client)
        login = open_login(find_pool(config), username, password, users=users)
        login.sign_in()
        self._login = login
        return Grid(config=config, login=login)
