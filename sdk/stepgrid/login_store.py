"""The logins that `stepgrid login` keeps: a private file for each endpoint, below the home folder.

A file holds a refresh token, which is as good as the password until it ends or is revoked, and
never the password. This module knows files, and no Cognito.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from stepgrid_core.errors import ConfigurationError

from .cognito import UserPool
from .private_files import write_private_text

#: Below the home folder.
LOGINS_PATH = Path(".stepgrid", "logins")


@dataclass(frozen=True, slots=True)
class StoredLogin:
    """A user who logged in on this machine."""

    endpoint: str
    username: str
    pool: UserPool
    refresh_token: str = field(repr=False)


def login_path(endpoint: str, home: Path | None = None) -> Path:
    """Where the login for an endpoint is kept."""
    name = hashlib.sha256(endpoint.rstrip("/").encode()).hexdigest()[:32]
    return (home or Path.home()) / LOGINS_PATH / f"{name}.json"


def store_login(login: StoredLogin, home: Path | None = None) -> Path:
    """Keep a login, readable by this user only, in place of an earlier one. Raises OSError."""
    path = login_path(login.endpoint, home)
    write_private_text(path, json.dumps(asdict(login), indent=2) + "\n")
    return path


def load_login(endpoint: str, home: Path | None = None) -> StoredLogin | None:
    """The login for an endpoint, None if there is none.

    Raises ConfigurationError for a file that is none: to go on as somebody else would be worse.
    """
    path = login_path(endpoint, home)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        pool = UserPool(**content["pool"])
        return StoredLogin(content["endpoint"], content["username"], pool, content["refresh_token"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        # Not what was wrong with it: that may quote the file.
        raise ConfigurationError(
            f"the login in {path} can't be read; log in again: `stepgrid login`"
        ) from None


def forget_login(endpoint: str, home: Path | None = None) -> bool:
    """Remove the login for an endpoint; answers whether there was one."""
    path = login_path(endpoint, home)
    existed = path.is_file()
    path.unlink(missing_ok=True)
    return existed
