"""Which route a request goes to, and what every refusal looks like: {"msg", "errors"?}.

    HttpRequest --> "/api" or "" --> find route --> who asks --> route --> Answer

Everything is there at "" too, in the shapes of vantage6's clients before 4. Who asks is only looked
at where a route wants to know. A fault of the deployment is raised, as in `endpoints`.
"""

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from ..endpoints import HttpRequest
from ..errors import REQUEST_ERRORS, AccessDenied, RequestError, Unavailable
from ..telemetry import logger
from . import (
    collaboration_routes,
    node_routes,
    node_sync,
    open_routes,
    organization_routes,
    role_routes,
    run_routes,
    socket_routes,
    study_routes,
    task_routes,
    token_routes,
    user_routes,
)
from .authentication import authenticate, bearer_token
from .http import Answer, Call, Refused, Route
from .permissions import lacking

if TYPE_CHECKING:
    from .principals import Principal
    from .service import Federation

API = "/api"
#: Where signed requests ask, in front of the same routes.
SIGNED = "/v1/federation"
ROUTES: tuple[Route, ...] = (
    *open_routes.ROUTES,
    *token_routes.ROUTES,
    *organization_routes.ROUTES,
    *collaboration_routes.ROUTES,
    *study_routes.ROUTES,
    *node_routes.ROUTES,
    *user_routes.ROUTES,
    *role_routes.ROUTES,
    *task_routes.ROUTES,
    *run_routes.ROUTES,
    *node_sync.ROUTES,
    *socket_routes.ROUTES,
)


def answer(federation: "Federation", request: HttpRequest, base: str = "") -> Answer:
    """Carry a request out. base: what stands before its path in links, the stage: "/dev"."""
    try:
        return _answer(federation, request, base)
    except RequestError as error:
        return _refuse(error)
    except Unavailable as error:
        logger.warning("service unavailable", reason=str(error))
        message = "the grid can't do this right now; send the same request again"
        return Answer({"msg": message}, HTTPStatus.SERVICE_UNAVAILABLE)


def answer_signed(
    federation: "Federation", request: HttpRequest, principal: "Principal", base: str = ""
) -> Answer:
    """As `answer`, below /v1/federation, for somebody whose signature was verified.

    Errors have the shape of /v1. Raises Unavailable.
    """
    try:
        asked = replace(request, path=request.path.removeprefix(SIGNED))
        route, ids = _find(asked)
        if "user" not in route.who:
            raise Refused(HTTPStatus.NOT_FOUND, f"there is no route {request.path[:128]!r}")
        return route.use(Call(federation, principal, asked, ids, base + SIGNED, legacy=False))
    except RequestError as error:
        return refuse_signed(error, request)


def refuse_signed(error: RequestError, request: HttpRequest) -> Answer:
    """vantage6's 401 for what somebody may not is /v1's 403: who asks is known by the signature."""
    status = error.http_status if isinstance(error, Refused) else error.status
    if status == HTTPStatus.UNAUTHORIZED:
        status = AccessDenied.status
    code = next(
        (each.code for each in REQUEST_ERRORS.values() if each.status == status), error.code
    )
    shown = {"code": code, "message": error.message, "details": error.details or {}}
    return Answer({"error": shown, "request_id": request.request_id}, status)


def _answer(federation: "Federation", request: HttpRequest, base: str) -> Answer:
    prefix = API if request.path.startswith(f"{API}/") else ""
    asked = replace(request, path=request.path.removeprefix(prefix))
    route, ids = _find(asked)
    principal = _principal(federation, route, asked)
    return route.use(Call(federation, principal, asked, ids, base + prefix, legacy=not prefix))


def _find(request: HttpRequest) -> tuple[Route, Mapping[str, str]]:
    matches = [(route, match) for route in ROUTES if (match := route.match(request.path))]
    if not matches:
        raise Refused(HTTPStatus.NOT_FOUND, f"there is no route {request.path[:128]!r}")
    for route, match in matches:
        if route.method == request.method:
            return route, match.groupdict()
    message = f"{request.path[:128]!r} does not take {request.method[:16]}"
    raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, message)


def _principal(federation: "Federation", route: Route, request: HttpRequest) -> "Principal | None":
    if not route.who:
        return None
    principal = authenticate(federation, bearer_token(request))
    if principal.kind not in route.who:
        raise lacking()
    return principal


def _refuse(error: RequestError) -> Answer:
    """Of errors of the grid's own, only the message: their details have another shape."""
    if not isinstance(error, Refused):
        return Answer({"msg": error.message}, error.status)
    errors = {} if error.details is None else {"errors": error.details}
    return Answer({"msg": error.message, **errors}, error.http_status)
