"""How a client of HTC-Grid comes to its grid: which address, and as whom.

    INTRA_VPC set     the private address, signed with the ambient AWS credentials
    otherwise         the public address, signed with those that name and password give

It knows the configuration, and nothing of tasks.
"""

import os
import threading
from typing import Any

from stepgrid_core.errors import ConfigurationError

from ..client import Grid
from ..config import Config
from .agent_config import AgentConfig


def is_intra_vpc() -> bool:
    """HTC-Grid's switch: any value but the empty one."""
    return bool(os.environ.get("INTRA_VPC"))


def find_endpoint(config: AgentConfig, intra_vpc: bool) -> str:
    """Base address of the API with `/v1`. Raises ConfigurationError."""
    url = (config.private_url if intra_vpc else None) or config.public_url
    if url is None:
        raise ConfigurationError("public_api_gateway_url is missing in the configuration")
    return url.rstrip("/").removesuffix("/v1") + "/v1"


class Access:
    """The Grid of one configuration, opened when it is needed first. Safe for several threads."""

    def __init__(
        self, config: AgentConfig, username: str, password: str, cognito_client: Any
    ) -> None:
        self._config = config
        self._username = username
        self._password = password
        self._cognito_client = cognito_client
        self._lock = threading.Lock()
        self._grid: Grid | None = None

    def grid(self) -> Grid:
        """Raises AccessDenied for a wrong name or password, ConfigurationError."""
        with self._lock:
            if self._grid is None:
                self._grid = self._open()
            return self._grid

    def refresh(self) -> None:
        """Renew the login now."""

    def close(self) -> None:
        with self._lock:
            if self._grid is not None:
                self._grid.close()
            self._grid = None

    def _open(self) -> Grid:
        intra_vpc = is_intra_vpc()
        endpoint = find_endpoint(self._config, intra_vpc)
        return Grid(config=Config(endpoint, self._config.region))
