"""The permission matrix, continued: routes that ask for no rule."""

from .federation_reach import PRINCIPALS, OpenCase
from .federation_world import USERS

_ALL_ALIKE: dict[int, dict[str | None, int]] = {
    status: dict.fromkeys(PRINCIPALS, status) for status in (200, 400, 401)
}
OPEN: list[OpenCase] = [
    OpenCase(
        "GET", "/whoami", {**dict.fromkeys(USERS, 200), "node": 401, "container": 401, None: 401}
    ),
    OpenCase("GET", "/version", _ALL_ALIKE[200]),
    OpenCase("GET", "/health", _ALL_ALIKE[200]),
    OpenCase("GET", "/blobstream/status", {**_ALL_ALIKE[200], None: 401}),
    # Without what they want to know, to everybody.
    OpenCase("POST", "/token/user", _ALL_ALIKE[400]),
    OpenCase("GET", "/token/user", _ALL_ALIKE[400]),
    OpenCase("POST", "/token/node", _ALL_ALIKE[400]),
    OpenCase("POST", "/token/container", {**_ALL_ALIKE[401], "node": 400}),
    # An access token renews nothing.
    OpenCase("POST", "/token/refresh", _ALL_ALIKE[401]),
    # A client that says no token is connected, and told of it there: see test_socket_routes.
    *(
        OpenCase(method, path, _ALL_ALIKE[400])
        for path in ("/socket.io/", "/socket.io")
        for method in ("GET", "POST")
    ),
]
