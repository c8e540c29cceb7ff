"""The `/v1` routes: which request model goes to which use case, and what every error looks like.

    HttpRequest --> find route --> owner --> read body and query --> use case --> HttpAnswer

One table serves the api function, the OpenAPI document and the in-memory grid. No 5xx for anything
that a caller can send. A fault of the deployment, such as a right that a role lacks, is raised:
Lambda counts and logs it, and API Gateway answers 502 in the shape of all errors. This module knows
no HTTP server and no Lambda event.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ValidationError

from . import __version__, contract
from .admission import show_quota
from .cancellation import cancel
from .contract import read_faults
from .description import describe, describe_login, describe_started, list_sessions, list_workers
from .errors import InvalidRequest, MethodNotAllowed, NotFound, RequestError, Unavailable
from .job_description import cancel_job, describe_job, list_jobs, list_outputs
from .job_submission import submit_job
from .logs import read_logs
from .output_parts import read_part
from .outputs import delete_session, list_tasks
from .plans import plan_session, read_plan
from .result_pages import describe_to_end, read_results
from .steering import update_session
from .submission import create_upload, submit
from .subscriptions import receive, subscribe, unsubscribe
from .telemetry import logger
from .wiring import Grid


@dataclass(frozen=True, slots=True)
class HttpRequest:
    method: str
    path: str
    query: Mapping[str, list[str]] = field(default_factory=dict)
    body: bytes = b""
    request_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)  #: by their names in lower case


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    status: int
    body: str  #: JSON
    session_id: str | None = None  #: the one session that the request was about


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was read: what a use case gets."""

    grid: Grid
    owner: str
    ids: Mapping[str, str]  #: from the path, by their names in the route
    body: Any
    query: Any

    @property
    def session_id(self) -> str:
        return self.ids["session_id"]

    @property
    def job_id(self) -> str:
        return self.ids["job_id"]

    @property
    def subscription_id(self) -> str:
        return self.ids["subscription_id"]


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    path: str
    summary: str
    use: Callable[[Call], BaseModel]
    answer: type[BaseModel]
    body: type[BaseModel] | None = None
    query: type[BaseModel] = contract.NoQuery
    status: HTTPStatus = HTTPStatus.OK
    signed: bool = True  #: False: answers without knowing who asks

    def match(self, path: str) -> re.Match[str] | None:
        return re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path), path)


def _submit(call: Call) -> BaseModel:
    submitted = submit(call.grid, call.owner, call.body)
    if submitted.just_started:
        return describe_started(call.grid, submitted.session)
    return describe(call.grid, call.owner, submitted.session.session_id)


def _describe(call: Call) -> BaseModel:
    use = describe_to_end if call.query.results else describe
    return use(call.grid, call.owner, call.session_id, call.query.wait)


def _read_results(call: Call) -> BaseModel:
    query = call.query
    return read_results(
        call.grid,
        call.owner,
        call.session_id,
        query.cursor,
        seen=query.seen,
        wait_seconds=query.wait,
    )


def _read_output(call: Call) -> BaseModel:
    chunk, offset = call.ids["chunk"], call.query.offset
    return read_part(call.grid, call.owner, call.session_id, chunk, offset)


def _cancel(call: Call) -> BaseModel:
    counts = cancel(call.grid, call.owner, call.body.session_ids)
    return contract.CancelResponse(sessions=counts)


def _update(call: Call) -> BaseModel:
    update_session(call.grid, call.owner, call.session_id, call.body)
    return describe(call.grid, call.owner, call.session_id)


def _delete(call: Call) -> BaseModel:
    delete_session(call.grid, call.owner, call.session_id)
    return contract.DeleteResponse(session_id=call.session_id)


def _submit_job(call: Call) -> BaseModel:
    job_id = submit_job(call.grid, call.owner, call.body)
    return describe_job(call.grid, call.owner, job_id)


def _health(_: Call) -> BaseModel:
    return contract.Health(version=__version__, contract_version=contract.CONTRACT_VERSION)


ROUTES = (
    Route("POST", "/v1/uploads", "Presigned URLs to PUT an input file to",
          lambda call: create_upload(call.grid, call.owner, call.body),
          contract.Upload, contract.UploadRequest, status=HTTPStatus.CREATED),
    Route("POST", "/v1/sessions", "Submit a session; idempotent by client_token",
          _submit, contract.SessionDescription, contract.SubmitRequest,
          status=HTTPStatus.ACCEPTED),
    Route("POST", "/v1/plans", "How such a session would run, and why; nothing is stored",
          lambda call: plan_session(call.grid, call.owner, call.body),
          contract.PlanDescription, contract.PlanRequest),
    Route("GET", "/v1/sessions", "Own sessions, newest first",
          lambda call: list_sessions(call.grid, call.owner, call.query.state, call.query.cursor),
          contract.SessionList, query=contract.SessionsQuery),
    Route("POST", "/v1/sessions/cancel", "Cancel sessions; idempotent",
          _cancel, contract.CancelResponse, contract.CancelRequest),
    Route("GET", "/v1/sessions/{session_id}", "State, counts, timings; can wait for the end",
          _describe, contract.SessionReport, query=contract.WaitQuery),
    Route("PATCH", "/v1/sessions/{session_id}", "Change the priority, pause or resume",
          _update, contract.SessionDescription, contract.SessionUpdate),
    Route("GET", "/v1/sessions/{session_id}/results", "Chunk outputs in order; can wait for more",
          _read_results, contract.ResultPage, query=contract.ResultsQuery),
    Route("GET", "/v1/sessions/{session_id}/outputs/{chunk}",
          "Bytes of an output that no URL leads to, as those of federated tasks",
          _read_output, contract.OutputPart, query=contract.OutputQuery),
    Route("GET", "/v1/sessions/{session_id}/plan", "How it runs, why, and what it was to take",
          lambda call: read_plan(call.grid, call.owner, call.session_id),
          contract.PlanDescription),
    Route("GET", "/v1/sessions/{session_id}/tasks", "Tasks, in order, by state",
          lambda call: list_tasks(
              call.grid, call.owner, call.session_id, call.query.state, call.query.cursor),
          contract.TaskPage, query=contract.TasksQuery),
    Route("GET", "/v1/sessions/{session_id}/logs", "What its tasks printed, oldest first",
          lambda call: read_logs(call.grid, call.owner, call.session_id, call.query),
          contract.LogPage, query=contract.LogsQuery),
    Route("DELETE", "/v1/sessions/{session_id}", "Forget a closed session and its results",
          _delete, contract.DeleteResponse),
    Route("POST", "/v1/jobs", "Submit a job, or an array of jobs; idempotent by client_token",
          _submit_job, contract.JobDescription, contract.JobRequest, status=HTTPStatus.ACCEPTED),
    Route("GET", "/v1/jobs", "Own jobs, newest first",
          lambda call: list_jobs(call.grid, call.owner, call.query.cursor),
          contract.JobList, query=contract.JobsQuery),
    Route("GET", "/v1/jobs/{job_id}", "State, times and outcome of a job",
          lambda call: describe_job(call.grid, call.owner, call.job_id), contract.JobDescription),
    Route("POST", "/v1/jobs/{job_id}/cancel", "Cancel a job or an array; idempotent",
          lambda call: cancel_job(call.grid, call.owner, call.job_id), contract.JobDescription),
    Route("GET", "/v1/jobs/{job_id}/outputs", "Files that a job left, with links to them",
          lambda call: list_outputs(call.grid, call.owner, call.job_id), contract.JobOutputs),
    Route("GET", "/v1/quota", "What the caller's open sessions hold, and may hold",
          lambda call: show_quota(call.grid, call.owner), contract.QuotaDescription),
    Route("POST", "/v1/subscriptions", "Keep own events from now on; idempotent by client_token",
          lambda call: subscribe(call.grid, call.owner, call.body),
          contract.Subscription, contract.SubscribeRequest, status=HTTPStatus.CREATED),
    Route("POST", "/v1/subscriptions/{subscription_id}/events", "The next events; can wait for one",
          lambda call: receive(call.grid, call.owner, call.subscription_id, call.body),
          contract.EventBatch, contract.ReceiveRequest),
    Route("DELETE", "/v1/subscriptions/{subscription_id}", "Keep no more events",
          lambda call: unsubscribe(call.grid, call.owner, call.subscription_id),
          contract.UnsubscribeResponse),
    Route("GET", "/v1/workers", "Workers that tasks can be sent to",
          lambda call: list_workers(call.grid), contract.WorkerList),
    Route("GET", "/v1/health", "Version of the grid; no signature needed",
          _health, contract.Health, signed=False),
    Route("GET", "/v1/login", "Where users log in; no signature needed",
          lambda call: describe_login(call.grid), contract.LoginDescription, signed=False),
)  # fmt: skip


def answer(grid: Grid, request: HttpRequest, identify: Callable[[], str]) -> HttpAnswer:
    """Carry a request out; `identify` gives the verified owner, or raises AccessDenied."""
    try:
        route, ids = _find(request)
        owner = identify() if route.signed else ""
        query = _read_query(route, request)
        body = None if route.body is None else route.body.model_validate_json(request.body)
        model = route.use(Call(grid, owner, ids, body, query))
        return HttpAnswer(route.status, model.model_dump_json(), _session_of(ids, model))
    except RequestError as error:
        return _refuse(request, error.status, error.code, error.message, error.details)
    except ValidationError as error:
        return _refuse_invalid(request, error)
    except Unavailable as error:
        logger.warning("service unavailable", reason=str(error))
        message = "the grid can't do this right now; send the same request again"
        return _refuse(request, HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", message)


def _session_of(ids: Mapping[str, str], model: BaseModel) -> str | None:
    job_id = getattr(model, "job_id", None)
    if job_id is not None:
        return session_of_job(str(job_id))
    return ids.get("session_id") or getattr(model, "session_id", None)


def session_of_job(job_id: str) -> str:
    """The id of a job begins with that of its session."""
    return job_id.partition("_")[0]


def _find(request: HttpRequest) -> tuple[Route, Mapping[str, str]]:
    matches = [(route, match) for route in ROUTES if (match := route.match(request.path))]
    if not matches:
        raise NotFound(f"there is no route {request.path[:128]!r}; see the OpenAPI document")
    for route, match in matches:
        if route.method == request.method:
            return route, match.groupdict()
    raise MethodNotAllowed(f"{request.path[:128]!r} does not take {request.method[:16]}")


def _read_query(route: Route, request: HttpRequest) -> BaseModel:
    for name, values in request.query.items():
        if len(values) != 1:
            raise InvalidRequest(f"query parameter {name[:64]!r} was given {len(values)} times")
    return route.query.model_validate({name: values[0] for name, values in request.query.items()})


def _refuse_invalid(request: HttpRequest, error: ValidationError) -> HttpAnswer:
    """Says where and what, never the value: it may be a payload."""
    faults = read_faults(error)
    details = [{"where": where[:256], "what": what[:512]} for where, what in faults[:20]]
    more = f" (and {len(faults) - 1} more, see details)" if len(faults) > 1 else ""
    message = f"{details[0]['where'] or 'the request'}: {details[0]['what']}{more}"
    return _refuse(request, InvalidRequest.status, InvalidRequest.code, message, details)


def _refuse(
    request: HttpRequest, status: int, code: str, message: str, details: Any = None
) -> HttpAnswer:
    error = contract.ErrorBody(code=code, message=message, details=details)
    body = contract.ErrorResponse(error=error, request_id=request.request_id)
    return HttpAnswer(status, body.model_dump_json())
