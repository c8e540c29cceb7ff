"""Requests and answers of a federation's routes, and how a route is found. No route is here."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from ..errors import RequestError

if TYPE_CHECKING:
    # it would bring all routes of /v1 along, and every worker's cold start would pay for them
    from ..endpoints import HttpRequest
    from .principals import Principal
    from .service import Federation

JSON_TYPE = "application/json"
#: Of a list; clients of before 4, who are given the bare one, ask for no second page.
PER_PAGE = {False: 10, True: 1_000}
NUMBER = "[0-9]{1,15}"
_NAME = re.compile(r"\{(\w+)(?::([^{}]+))?\}")

Item = TypeVar("Item")


class Refused(RequestError):
    """A route refuses: the status and words are those that vantage6's clients know."""

    def __init__(self, status: int, message: str, errors: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, errors)
        self.http_status = status


class InvalidToken(Refused):
    """Whose it was is not told, nor whether it ever was one."""

    def __init__(self) -> None:
        message = "this token is not valid, or not any more; log in again"
        super().__init__(HTTPStatus.UNAUTHORIZED, message)


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. `body` is JSON unless it is bytes."""

    body: Any
    status: int = HTTPStatus.OK
    content_type: str = JSON_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was read: what a route gets."""

    federation: "Federation"
    principal: "Principal | None"  #: None only where the route is open
    request: "HttpRequest"
    ids: Mapping[str, str]  #: from the path, by their names in the route
    base: str  #: what stands before the route's path in links: stage and prefix, "/dev/api"
    legacy: bool  #: asked at "" as vantage6's clients before 4 did

    def number(self, name: str) -> int:
        """An id of the path."""
        return int(self.ids[name])

    def argument(self, name: str) -> str | None:
        """The last one of that name in the query."""
        values = self.request.query.get(name)
        return values[-1] if values else None

    def json(self) -> dict[str, Any]:
        """The body. Raises Refused where it is no JSON object."""
        try:
            body = json.loads(self.request.body or b"{}")
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            raise Refused(HTTPStatus.BAD_REQUEST, "Request body is incorrect", {})
        return body


@dataclass(frozen=True, slots=True)
class Route:
    """`who`: kinds of principals that may ask at all; empty: anybody, also without a token."""

    method: str
    #: "/task/{id}": an id is a number, unless the name has a pattern of its own: "/user/{id:[^/]+}"
    path: str
    use: Callable[[Call], Answer]
    who: tuple[str, ...] = ("user", "node", "container")

    def match(self, path: str) -> re.Match[str] | None:
        return _pattern(self.path).fullmatch(path)


@cache
def _pattern(path: str) -> re.Pattern[str]:
    texts, names, patterns = (_NAME.split(path)[start::3] for start in range(3))
    groups = [f"(?P<{name}>{own or NUMBER})" for name, own in zip(names, patterns, strict=True)]
    parts = zip(map(re.escape, texts), [*groups, ""], strict=True)
    return re.compile("".join(text + group for text, group in parts))


def page_of(
    call: Call,
    items: Sequence[Item],
    show: Callable[[Item], Any] | None = None,
    most_per_page: int | None = None,
) -> Answer:
    """A list in vantage6's envelope, cut by `page` and `per_page`; at "" the bare list.

    Only those of the page are shown, several at once; what is shown as None is gone meanwhile, and
    left out. show: None for what is shown already.
    most_per_page: more would be too large for an answer.
    Raises Refused for a page that is no number from 1 on, and for a bare list that would be cut by
    its size: who asks for one takes it for the whole, and would go on without the rest.
    """
    bare = call.legacy and "metadata" not in (call.argument("include") or "")
    page, per_page = _positive(call, "page", 1), _positive(call, "per_page", PER_PAGE[bare])
    if call.argument("no_pagination") == "1":
        per_page = max(1, len(items))
    if bare and most_per_page is not None and most_per_page < min(per_page, len(items)):
        raise Refused(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "these are more than one answer can carry; ask for them page by page, with "
            f"page=1&per_page={most_per_page}, or one by one",
        )
    per_page = min(per_page, most_per_page or per_page)
    part = items[(page - 1) * per_page : page * per_page]
    shapes = part if show is None else call.federation.grid.each(show, part)
    shown = [shape for shape in shapes if shape is not None]
    headers = {"total-count": str(len(items))}
    if bare:
        return Answer(shown, headers=headers)
    links = _links(call, page, max(1, -(-len(items) // per_page)))
    return Answer({"data": shown, "links": links}, headers=headers)


def _links(call: Call, page: int, last: int) -> dict[str, str]:
    numbers = {"first": 1, "self": page, "last": last}
    if page > 1:
        numbers["prev"] = page - 1
    if page < last:
        numbers["next"] = page + 1
    return {name: _link(call, number) for name, number in numbers.items()}


def _positive(call: Call, name: str, default: int) -> int:
    text = call.argument(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and int(text[:9]) > 0):
        raise Refused(HTTPStatus.BAD_REQUEST, f"{name} is no number from 1 on")
    return int(text[:9])


def _link(call: Call, page: int) -> str:
    kept = {name: values for name, values in call.request.query.items() if name != "page"}
    query = urlencode({**kept, "page": [page]}, doseq=True, safe=":,")
    return f"{call.base}{call.request.path}?{query}"
