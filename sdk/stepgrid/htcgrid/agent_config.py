"""HTC-Grid's client configuration: the dictionary that its clients read from a JSON file.

    AGENT_CONFIG_FILE  >  /etc/agent/Agent_config.tfvars.json

Keys that say nothing to a client of stepgrid are ignored. What is missing is an error only where it
is needed. It knows neither HTTP nor AWS.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stepgrid_core.errors import ConfigurationError

DEFAULT_PATH = Path("/etc/agent/Agent_config.tfvars.json")
#: The grid's deployment chooses where payloads lie; a client may name what HTC-Grid has.
STORAGE_SERVICES = ("S3", "REDIS", "S3+REDIS")
DEFAULT_PULL_INTERVAL_SECONDS = 0.5

#: field -> the keys it is read from, the first that is there. HTC-Grid's documents have several.
_TEXT_KEYS = {
    "public_url": ("public_api_gateway_url", "api_gateway_url"),
    "private_url": ("private_api_gateway_url",),
    "region": ("region", "REGION"),
    "username": ("username",),
    "password": ("password",),
    "storage_service": ("grid_storage_service",),
    "worker": ("stepgrid_worker",),
}
_NUMBER_KEYS = {
    "pull_interval_seconds": ("dynamodb_results_pull_interval_sec",),
    "task_timeout_seconds": ("stepgrid_task_timeout_sec",),
    "retry_count": ("stepgrid_retry_count",),
}


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """What of the configuration a client uses."""

    #: base address of the API, with or without its `/v1`
    public_url: str | None = None
    #: the same inside a VPC; where it is missing, the public one counts
    private_url: str | None = None
    region: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    storage_service: str | None = None
    #: longest pause between two looks at an open session
    pull_interval_seconds: float = DEFAULT_PULL_INTERVAL_SECONDS
    #: ours: the worker that runs the tasks; HTC-Grid has one for each grid
    worker: str | None = None
    #: ours: in place of HTC-Grid's 3600, for tasks that are sent without a limit of their own
    task_timeout_seconds: float | None = None
    #: ours: in place of HTC-Grid's 5
    retry_count: float | None = None

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> "AgentConfig":
        """From HTC-Grid's dictionary. Raises ConfigurationError, which names the key."""
        if not isinstance(data, Mapping):
            raise ConfigurationError(
                f"the configuration is a dictionary, not {type(data).__name__}; read the file "
                "first, for example with load_agent_config()"
            )
        texts = {name: _text(data, keys) for name, keys in _TEXT_KEYS.items()}
        numbers = {name: _number(data, keys) for name, keys in _NUMBER_KEYS.items()}
        known = {name: value for name, value in (texts | numbers).items() if value is not None}
        service = texts["storage_service"]
        if service is not None and service not in STORAGE_SERVICES:
            raise ConfigurationError(
                f"grid_storage_service is {service!r}; there are {', '.join(STORAGE_SERVICES)}"
            )
        return cls(**known)  # type: ignore[arg-type]  # by name, as the two tables say


def load_agent_config(path: str | os.PathLike[str] | None = None) -> dict[str, Any]:
    """HTC-Grid's dictionary from its JSON file.

    path: of the file; that of AGENT_CONFIG_FILE when left out, else where HTC-Grid's containers
    have it. Raises ConfigurationError if it can't be read.
    """
    chosen = Path(path or os.environ.get("AGENT_CONFIG_FILE") or DEFAULT_PATH)
    try:
        data = json.loads(chosen.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"agent configuration {chosen} can't be read: {type(error).__name__}; "
            "set AGENT_CONFIG_FILE to where it is"
        ) from None  # a decoder's message may quote the file, and a password stands in it
    if not isinstance(data, dict):
        raise ConfigurationError(f"agent configuration {chosen} is no JSON object")
    return data


def _first(data: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[str, Any]:
    return next(((key, data[key]) for key in keys if data.get(key) not in (None, "")), ("", None))


def _text(data: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    key, value = _first(data, keys)
    if value is not None and not isinstance(value, str):
        raise ConfigurationError(f"{key} is text, not {type(value).__name__}")
    return value


def _number(data: Mapping[str, Any], keys: tuple[str, ...]) -> float | None:
    """Terraform writes numbers as text at times."""
    key, value = _first(data, keys)
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ConfigurationError(f"{key} is a number, not {value!r}") from None
    if not 0 <= number < float("inf"):
        raise ConfigurationError(f"{key} is {value!r}; give a number from 0 on")
    return number
