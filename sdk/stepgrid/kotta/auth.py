"""The auth file: an address with the token in it, as the old client read it, and where it is found.

    -a FILE  >  KOTTA_AUTH  >  .stepgrid/kotta.auth here or in a parent folder
             >  ~/.stepgrid/kotta.auth

The address is the server's too: what stands before its last part. The old library's JSON with an
`access_token` is read as well, but says nothing about the server.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from stepgrid_core.errors import ConfigurationError

from ..config import is_trusted
from ..http_client import is_loopback
from ..private_files import write_private_text

#: Below a project's folder or the home folder.
AUTH_PATH = Path(".stepgrid", "kotta.auth")
_HOW = "make one with `stepgrid login --kotta FILE`"


@dataclass(frozen=True, slots=True)
class Auth:
    token: str = field(repr=False)
    #: without `/rest/v1`; None: the file does not say
    server: str | None


def find_auth(
    given: str | None, environment: Mapping[str, str], folder: Path, home: Path
) -> Path | None:
    """The auth file. Raises ConfigurationError if the one that is found is another user's."""
    named = given or environment.get("KOTTA_AUTH")
    if named:
        return Path(named)
    for path in _candidates(folder, home):
        # Not path.is_file(), which raises where another user's .stepgrid above is private.
        if os.path.isfile(path):
            _check_owner(path)
            return path
    return None


def _candidates(folder: Path, home: Path) -> Iterator[Path]:
    for parent in (folder, *folder.parents):
        yield parent / AUTH_PATH
    yield home / AUTH_PATH


def _check_owner(path: Path) -> None:
    if not is_trusted(path.stat().st_uid, os.getuid()):
        raise ConfigurationError(
            f"{path} belongs to another user and is not trusted; name it with -a to use it"
        )


def read_auth(path: Path) -> Auth:
    """Raises ConfigurationError, which does not quote the file."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"authfile {path} can't be read: {_reason(error)}") from None
    return _read_json(path, text) if text.startswith("{") else _read_address(path, text)


def _read_address(path: Path, text: str) -> Auth:
    try:
        parts = urlsplit(text)
        token = dict(parse_qsl(parts.query)).get("access_token")
    except ValueError:
        token = None
    if not token:
        raise ConfigurationError(f"authfile {path} has no access_token; {_HOW}")
    base = parts.path.rpartition("/")[0]
    server = f"{parts.scheme}://{parts.netloc}{base}" if parts.scheme and parts.netloc else None
    return Auth(token, server)


def _read_json(path: Path, text: str) -> Auth:
    try:
        token = json.loads(text).get("access_token")
    except ValueError:
        token = None
    if not isinstance(token, str) or not token:
        raise ConfigurationError(f"authfile {path} has no access_token; {_HOW}")
    return Auth(token, None)


def _reason(error: Exception) -> str:
    return error.strerror or "" if isinstance(error, OSError) else "it is no text"


def choose_server(given: str | None, environment: Mapping[str, str], auth: Auth) -> str:
    """given: by --url; else KOTTA_URL, else the auth file. Raises ConfigurationError."""
    server = given or environment.get("KOTTA_URL") or auth.server
    if not server:
        raise ConfigurationError("the server is not known: set KOTTA_URL, or give --url")
    parts = urlsplit(server)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"{server!r} is no server; one looks like https://HOST/STAGE")
    if parts.scheme == "http" and not is_loopback(server):
        raise ConfigurationError(f"{server} speaks plain HTTP: the token is not sent there")
    path = parts.path.rstrip("/").removesuffix("/rest/v1")
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def server_of(endpoint: str) -> str:
    """The server that these clients call, of a grid whose API is at `endpoint`."""
    return endpoint.rstrip("/").removesuffix("/v1")


def write_auth(path: Path, endpoint: str, id_token: str, lifetime_seconds: float) -> None:
    """Write an auth file (0600) in place of one that is there. Raises OSError."""
    query = {
        "access_token": id_token,
        "token_type": "bearer",
        "expires_in": int(lifetime_seconds),
    }
    write_private_text(path, f"{server_of(endpoint)}/login?{urlencode(query)}\n")
