"""agent_config.json: what HTC-Grid's client programs are configured with, made for this grid.

The stack's output AgentConfig is the text of one; a client finds the file by AGENT_CONFIG_FILE. Its
keys are HTC-Grid's, and some of ours: identity_pool_id, and stepgrid_worker, the worker of sessions
that name none.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stepgrid_core.errors import ConfigurationError

from .private_files import write_private_text

#: The stack's output.
AGENT_CONFIG_OUTPUT = "AgentConfig"
#: Beside the profile.
AGENT_CONFIG_NAME = "agent_config.json"


def make_agent_config(
    outputs: Mapping[str, str],
    *,
    endpoint: str | None = None,
    username: str = "",
    password: str = "",
) -> dict[str, Any]:
    """What belongs into the file.

    outputs: of the stack. endpoint: of the API, where it is not the stack's own. username,
    password: of a user, if the file is to hold them. Raises ConfigurationError if the stack has no
    such output.
    """
    try:
        values: dict[str, Any] = json.loads(outputs[AGENT_CONFIG_OUTPUT])
    except (KeyError, ValueError):
        raise ConfigurationError(
            f"the stack has no usable output {AGENT_CONFIG_OUTPUT}; deploy it again"
        ) from None
    if endpoint is not None:
        values |= {"public_api_gateway_url": endpoint, "private_api_gateway_url": endpoint}
    return values | {"username": username, "password": password}


def write_agent_config(values: Mapping[str, Any], path: Path) -> None:
    """Write the file (0600), in place of one that is there. Raises OSError."""
    write_private_text(path, json.dumps(values, indent=2) + "\n")
