"""Cloud Kotta's `/rest/v1` routes: forms in, JSON out, the caller known by a bearer token.

    HttpRequest --> find route --> form and token --> Caller --> use case --> HttpAnswer

What went wrong is HTTP 200 with {"status": "Fail", "reason": ...}, as its clients want it. There
are three exceptions: 404 for whatever is not the caller's, because the clients' only sign of an
unknown job is another status than 200; 405; and 503, for which the answer is to ask again. Like
`endpoints`, this module knows no HTTP server and no Lambda event.
"""

import base64
import binascii
import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import PurePosixPath
from urllib.parse import parse_qsl

from pydantic import ValidationError

from . import contract
from .endpoints import HttpAnswer, HttpRequest, session_of_job
from .errors import InvalidRequest, MethodNotAllowed, NotFound, RequestError, Unavailable
from .kotta_jobs import first_fault, invalid_queue, read_job
from .kotta_service import JobService
from .kotta_status import CANCEL_REASON, describe_list, describe_status
from .ports import Caller
from .queues import find_queue, read_queues
from .states import TERMINAL_JOBS, JobState
from .telemetry import logger
from .wiring import Grid

PREFIX = "/rest/v1/"
#: A list has no pages: this many of the newest jobs are in it.
MAX_LISTED = 10_000
#: So long is looked for them, among all the sessions of an owner: an answer has to come in 29 s.
LIST_SECONDS = 15.0
MAX_FIELDS = 500

Answer = dict[str, object]


class NotAuthenticated(RequestError):
    """The token is missing, or is none of this grid's users."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was read."""

    grid: Grid
    jobs: JobService
    caller: Caller
    form: Mapping[str, str]
    job_id: str

    @property
    def owner(self) -> str:
        return self.caller.owner


def _submit(call: Call) -> Answer:
    request = read_job(call.form, uuid.uuid4().hex)
    try:
        find_queue(read_queues(call.grid.settings.queues), request.queue, call.owner)
    except InvalidRequest:
        raise invalid_queue(request.queue) from None
    job_id = call.jobs.submit(call.grid, call.owner, request)
    return {"status": "Success", "job_id": job_id}


def _status(call: Call) -> Answer:
    job = call.jobs.describe(call.grid, call.owner, call.job_id)
    outputs: list[contract.JobOutput] = []
    if job.state in TERMINAL_JOBS:
        outputs = call.jobs.list_outputs(call.grid, call.owner, call.job_id).outputs
    return describe_status(job, outputs, call.caller)


def _list(call: Call) -> Answer:
    clock = call.grid.clock
    give_up_at = clock.monotonic() + LIST_SECONDS
    page = call.jobs.list_page(call.grid, call.owner, None)
    found = list(page.jobs)
    while page.cursor and len(found) < MAX_LISTED and clock.monotonic() < give_up_at:
        page = call.jobs.list_page(call.grid, call.owner, page.cursor)
        found += page.jobs
    return describe_list(found[:MAX_LISTED])


def _upload(call: Call) -> Answer:
    """The file's name stays: it is the name of the input that it becomes."""
    name = PurePosixPath(call.form.get("filepath", "")).name
    if not name or name == "..":
        raise InvalidRequest("filepath missing")
    try:
        url = call.jobs.upload(call.grid, call.owner, name)
    except ValidationError as error:
        raise InvalidRequest(f"filepath : {first_fault(error)}") from None
    return {"status": "Success", "upload_url": url}


def _cancel(call: Call) -> Answer:
    """A job that was cancelled before is as wanted; one that ended otherwise stays as it is."""
    job = call.jobs.cancel(call.grid, call.owner, call.job_id)
    if job.state in (JobState.COMPLETED, JobState.FAILED):
        raise InvalidRequest(f"job {job.job_id} is {job.state} already")
    return {"status": "Success", "job_id": job.job_id, "reason": CANCEL_REASON}


@dataclass(frozen=True, slots=True)
class Route:
    methods: tuple[str, ...]
    path: str
    use: Callable[[Call], Answer]


ROUTES = (
    Route(("POST",), "submit_task", _submit),
    Route(("GET",), "status_task/([^/]+)", _status),
    Route(("GET",), "list_tasks", _list),
    Route(("POST",), "upload_url", _upload),
    Route(("POST", "GET"), "cancel_task/([^/]+)", _cancel),
)


def answer(grid: Grid, request: HttpRequest, jobs: JobService | None = None) -> HttpAnswer:
    """Carry a request out. jobs: the jobs API, this grid's own when left out."""
    about_a_job = False
    try:
        route, job_id = _find(request)
        about_a_job = bool(job_id)
        form = _read_form(request)
        caller = _authenticate(grid, request, form)
        result = route.use(Call(grid, jobs or JobService(), caller, form, job_id))
        return HttpAnswer(HTTPStatus.OK, json.dumps(result), _session_of(job_id, result))
    except RequestError as error:
        return _fail(_status_of(error, about_a_job), error.message)
    except Unavailable as error:
        logger.warning("service unavailable", reason=str(error))
        message = "the grid can't do this right now; send the same request again"
        return _fail(HTTPStatus.SERVICE_UNAVAILABLE, message)


def _session_of(job_id: str, result: Answer) -> str | None:
    """Of the job that was asked for, or that was made."""
    return session_of_job(job_id or str(result.get("job_id", ""))) or None


def _status_of(error: RequestError, about_a_job: bool) -> int:
    """To somebody without a token every job is unknown."""
    if isinstance(error, MethodNotAllowed | NotFound):
        return error.status
    if isinstance(error, NotAuthenticated) and about_a_job:
        return HTTPStatus.NOT_FOUND
    return HTTPStatus.OK


def _fail(status: int, reason: str) -> HttpAnswer:
    return HttpAnswer(status, json.dumps({"status": "Fail", "reason": reason}))


def _find(request: HttpRequest) -> tuple[Route, str]:
    path = request.path.removeprefix(PREFIX)
    for route in ROUTES:
        if match := re.fullmatch(route.path, path):
            if request.method in route.methods:
                return route, "".join(match.groups())
            raise MethodNotAllowed(f"{path[:128]} does not take {request.method[:16]}")
    raise NotFound(f"there is no {path[:128]!r}")


def _read_form(request: HttpRequest) -> dict[str, str]:
    """The body's fields; of one that comes twice the last, as the old server had it."""
    try:
        text = request.body.decode("utf-8")
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError:
        raise InvalidRequest("the body is no form in UTF-8") from None


def _authenticate(grid: Grid, request: HttpRequest, form: Mapping[str, str]) -> Caller:
    token = form.get("access_token") or _query_token(request) or _header_token(request)
    if not token:
        raise NotAuthenticated(
            "refresh_token is not supported; send an access_token"
            if form.get("refresh_token")
            else "access_token missing"
        )
    caller = grid.tokens.verify(token)
    if caller is None:
        raise NotAuthenticated("Failed to authenticate")
    return caller


def _query_token(request: HttpRequest) -> str:
    """Of a GET, whose body may get lost on the way."""
    return next(iter(request.query.get("access_token", ())), "")


def _header_token(request: HttpRequest) -> str:
    """`Bearer TOKEN`, or the password of `Basic`: what requests takes from a ~/.netrc.

    With the latter the old clients ask for a status, to which they add no token.
    """
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value, validate=True).decode("ascii").partition(":")[2]
    except (binascii.Error, ValueError):
        return ""
