"""What the API transport and the object transport share: a pooled client, and failures in words.

It knows neither routes nor signatures.
"""

import socket
import ssl
from collections.abc import Callable, Iterator
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from stepgrid_core.errors import ConfigurationError, DeadlineExceeded, StepgridError, Unavailable

from .retry import Transient

CONNECT_TIMEOUT_SECONDS = 10.0
#: API Gateway answers for its function after 29 s; more silence than this is a dead connection.
READ_TIMEOUT_SECONDS = 35.0
#: Where nobody listens, the name is unknown or the certificate is wrong, a minute of trying rarely
#: helps, and keeps a person waiting for "is the local cloud up?". AWS itself never refuses so.
REFUSED_PATIENCE_SECONDS = 5.0

#: Called with the method and the URL of a request.
Tell = Callable[[str, str], None]

_UNLIKELY_TO_HEAL = (ConnectionRefusedError, socket.gaierror, ssl.SSLCertVerificationError)


class _CountingAdapter(HTTPAdapter):
    """Tells of each request before it is sent, so that a lost one counts as well."""

    def __init__(self, tell: Tell, **options: Any) -> None:
        super().__init__(**options)
        self._tell = tell

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        self._tell(request.method or "", request.url or "")
        return super().send(request, *args, **kwargs)


def open_client(
    base_url: str, connections: int, tell: Tell = lambda _method, _url: None
) -> requests.Session:
    """A client with a connection pool; threads may share it, as it keeps no cookies.

    tell: called with method and URL of each attempt. On loopback the environment's proxies are left
    aside: they can't reach this machine's loopback.
    """
    client = requests.Session()
    adapter = _CountingAdapter(tell, pool_connections=4, pool_maxsize=connections)
    client.mount("https://", adapter)
    client.mount("http://", adapter)
    client.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    client.trust_env = not is_loopback(base_url)
    return client


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def time_limits(left_seconds: float) -> tuple[float, float]:
    """Connect and read timeouts of one attempt, within what is left of the call's time."""
    left_seconds = max(left_seconds, 0.01)
    return min(CONNECT_TIMEOUT_SECONDS, left_seconds), min(READ_TIMEOUT_SECONDS, left_seconds)


def describe_failure(
    error: requests.RequestException, what: str, hint: str
) -> StepgridError | Transient:
    """An error of requests as one of ours; Transient where another attempt may help."""
    if isinstance(error, requests.Timeout):
        return Transient(DeadlineExceeded(f"{what}: no answer in time; {hint}"))
    root = _innermost(error)
    if isinstance(root, _UNLIKELY_TO_HEAL):
        reason = f"{what}: can't connect ({root}); {hint}"
        return Transient(Unavailable(reason), patience_seconds=REFUSED_PATIENCE_SECONDS)
    if isinstance(error, ValueError):  # requests' words for a URL that is none
        return ConfigurationError(f"{what}: {error}; {hint}")
    return Transient(Unavailable(f"{what}: the connection broke ({root}); {hint}"))


def _innermost(error: BaseException) -> BaseException:
    """The cause at the bottom: urllib3 wraps the socket's own error several times."""
    chain = list(_chain(error))
    return next((item for item in chain if isinstance(item, _UNLIKELY_TO_HEAL)), chain[-1])


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__
