"""kotta.auth of the local cloud: a token of its user, for Cloud Kotta's clients.

Whose name and password are in agent_config.json is logged in. A token ends within the hour, so
every `up` writes a new one; a file that somebody made for another server is left alone.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from stepgrid.http_client import is_loopback
from stepgrid.kotta.auth import read_auth, write_auth
from stepgrid.local.access import agent_config_is_ours, login_pool
from stepgrid.local.sam import AwsAccess
from stepgrid.local.storage import LocalPaths, read_json
from stepgrid.login import Login, open_login
from stepgrid_core.errors import ConfigurationError

#: In the address of every API in the emulator.
EMULATED_API = "/_aws/execute-api/"


def refresh_kotta_auth(
    paths: LocalPaths,
    outputs: dict[str, str],
    endpoint: str,
    access: AwsAccess,
    log_in: Callable[..., Login] = open_login,
) -> None:
    """Write kotta.auth, unless the stack has no users or the file is somebody's own.

    log_in: see login.open_login. Raises LoginError or Unavailable.
    """
    values = read_json(paths.agent_config) or {}
    wanted = not paths.kotta_auth.exists() or kotta_auth_is_ours(paths)
    if not wanted or not agent_config_is_ours(paths, outputs):
        return
    user = log_in(login_pool(outputs, access), values["username"], values["password"])
    tokens = user.id_token()
    write_auth(paths.kotta_auth, endpoint, tokens.id_token, tokens.lifetime_seconds)


def kotta_auth_is_ours(paths: LocalPaths) -> bool:
    """Whether it is one for a local cloud, this one or an earlier one."""
    try:
        server = read_auth(paths.kotta_auth).server or ""
    except ConfigurationError:
        return False
    return is_loopback(server) and urlsplit(server).path.startswith(EMULATED_API)
