"""The `/v1` routes as typed calls: contract models in, contract models out.

It knows paths and models, and neither how requests travel nor what to do with an answer.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from stepgrid_core.contract import (
    CancelRequest,
    CancelResponse,
    DeleteResponse,
    EventBatch,
    Health,
    JobDescription,
    JobList,
    JobOutputs,
    JobRequest,
    LoginDescription,
    LogPage,
    OutputPart,
    PlanDescription,
    PlanRequest,
    QuotaDescription,
    ReceiveRequest,
    ResultPage,
    SessionDescription,
    SessionList,
    SessionReport,
    SessionUpdate,
    SubscribeRequest,
    Subscription,
    TaskPage,
    UnsubscribeResponse,
    Upload,
    UploadRequest,
    WorkerList,
)
from stepgrid_core.errors import InvalidRequest, NotFound, Unavailable
from stepgrid_core.names import JOB_ID, SESSION_ID, TASK_ID
from stepgrid_core.states import SessionState, TaskState

from .transport import Query, Transport

Model = TypeVar("Model", bound=BaseModel)


class Api:
    """Each method is one request. All raise what Transport.request raises."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def health(self) -> Health:
        return self._call(Health, "GET", "/v1/health")

    def describe_login(self) -> LoginDescription:
        return self._call(LoginDescription, "GET", "/v1/login")

    def list_workers(self) -> WorkerList:
        return self._call(WorkerList, "GET", "/v1/workers")

    def create_upload(self, request: UploadRequest) -> Upload:
        return self._call(Upload, "POST", "/v1/uploads", body=_encode(request))

    def submit(self, body: bytes) -> SessionDescription:
        """body: a SubmitRequest as JSON text; its tasks are not parsed on the way."""
        return self._call(SessionDescription, "POST", "/v1/sessions", body=body)

    def plan(self, request: PlanRequest) -> PlanDescription:
        return self._call(PlanDescription, "POST", "/v1/plans", body=_encode(request))

    def read_plan(self, session_id: str) -> PlanDescription:
        return self._call(PlanDescription, "GET", _path(session_id, "/plan"))

    def list_sessions(self, state: SessionState | None, cursor: str | None) -> SessionList:
        query = _given(state=state, cursor=cursor)
        return self._call(SessionList, "GET", "/v1/sessions", query)

    def describe(
        self,
        session_id: str,
        wait_seconds: float = 0.0,
        timeout_seconds: float | None = None,
        *,
        results: bool = False,
    ) -> SessionReport:
        """wait_seconds: how long the grid may hold the answer back while the session is open.

        results: ask for the first page of results as well, once it has ended.
        """
        query = _waiting(wait_seconds) | _given(results="true" if results else None)
        path = _path(session_id)
        return self._call(
            SessionReport,
            "GET",
            path,
            query,
            timeout_seconds=timeout_seconds,
            held_seconds=wait_seconds,
        )

    def update(self, session_id: str, update: SessionUpdate) -> SessionDescription:
        return self._call(SessionDescription, "PATCH", _path(session_id), body=_encode(update))

    def read_quota(self) -> QuotaDescription:
        return self._call(QuotaDescription, "GET", "/v1/quota")

    def read_results(
        self,
        session_id: str,
        cursor: str | None,
        timeout_seconds: float | None = None,
        *,
        seen: int | None = None,
        wait_seconds: float = 0.0,
    ) -> ResultPage:
        """seen: ask only for final chunks that are not in it, bit k for the page's chunk k.

        wait_seconds: how long the grid may hold the answer back until there is such a chunk.
        """
        path = _path(session_id, "/results")
        hexadecimal = None if seen is None else f"{seen:x}"
        query = _given(cursor=cursor, seen=hexadecimal) | _waiting(wait_seconds)
        return self._call(
            ResultPage,
            "GET",
            path,
            query,
            timeout_seconds=timeout_seconds,
            held_seconds=wait_seconds,
        )

    def read_output(self, session_id: str, chunk: int, offset: int = 0) -> OutputPart:
        return self._call(
            OutputPart, "GET", _path(session_id, f"/outputs/{chunk}"), {"offset": offset}
        )

    def list_tasks(self, session_id: str, state: TaskState | None, cursor: str | None) -> TaskPage:
        query = _given(state=state, cursor=cursor)
        return self._call(TaskPage, "GET", _path(session_id, "/tasks"), query)

    def read_logs(
        self,
        session_id: str,
        task: int | None,
        *,
        every: bool = False,
        since: float | None = None,
        cursor: str | None = None,
    ) -> LogPage:
        query = _given(
            task=None if task is None else str(task),
            all="true" if every else None,
            since=None if since is None else f"{since:.3f}",
            cursor=cursor,
        )
        return self._call(LogPage, "GET", _path(session_id, "/logs"), query)

    def cancel(self, session_ids: Sequence[str]) -> CancelResponse:
        body = _encode(CancelRequest(session_ids=list(session_ids)))
        return self._call(CancelResponse, "POST", "/v1/sessions/cancel", body=body)

    def delete(self, session_id: str) -> DeleteResponse:
        return self._call(DeleteResponse, "DELETE", _path(session_id))

    def submit_job(self, request: JobRequest) -> JobDescription:
        return self._call(JobDescription, "POST", "/v1/jobs", body=_encode(request))

    def list_jobs(self, cursor: str | None) -> JobList:
        return self._call(JobList, "GET", "/v1/jobs", _given(cursor=cursor))

    def describe_job(self, job_id: str) -> JobDescription:
        return self._call(JobDescription, "GET", _job_path(job_id))

    def cancel_job(self, job_id: str) -> JobDescription:
        return self._call(JobDescription, "POST", _job_path(job_id, "/cancel"))

    def list_job_outputs(self, job_id: str) -> JobOutputs:
        return self._call(JobOutputs, "GET", _job_path(job_id, "/outputs"))

    def subscribe(self, request: SubscribeRequest) -> Subscription:
        return self._call(Subscription, "POST", "/v1/subscriptions", body=_encode(request))

    def receive(
        self, subscription_id: str, request: ReceiveRequest, timeout_seconds: float
    ) -> EventBatch:
        path = f"/v1/subscriptions/{quote(subscription_id, safe='')}/events"
        return self._call(
            EventBatch,
            "POST",
            path,
            body=_encode(request),
            timeout_seconds=timeout_seconds,
            held_seconds=request.wait_seconds,
        )

    def unsubscribe(self, subscription_id: str, timeout_seconds: float) -> UnsubscribeResponse:
        path = f"/v1/subscriptions/{quote(subscription_id, safe='')}"
        return self._call(UnsubscribeResponse, "DELETE", path, timeout_seconds=timeout_seconds)

    def ask_federation(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """A route of the federation, in vantage6's shapes, as the one who signs."""
        text = None if body is None else json.dumps(body).encode()
        return self._transport.request(method, f"/v1/federation{path}", query, text)

    def _call(
        self,
        model: type[Model],
        method: str,
        path: str,
        query: Query | None = None,
        *,
        body: bytes | None = None,
        timeout_seconds: float | None = None,
        held_seconds: float = 0.0,
    ) -> Model:
        answer = self._transport.request(
            method, path, query, body, timeout_seconds, held_seconds=held_seconds
        )
        try:
            return model.model_validate(answer)
        except ValidationError as error:
            raise Unavailable(
                f"{method} {path}: the answer is not a {model.__name__} as this version of "
                f"stepgrid knows it; is the endpoint a grid's, and stepgrid up to date? ({error})"
            ) from error


def _encode(request: BaseModel) -> bytes:
    """Only what was set: a grid that is older than this SDK does not refuse new fields at rest."""
    return request.model_dump_json(exclude_unset=True).encode()


def _given(**query: str | None) -> dict[str, str | float]:
    return {name: str(value) for name, value in query.items() if value is not None}


def _waiting(seconds: float) -> dict[str, str | float]:
    return {"wait": round(seconds, 3)} if seconds > 0 else {}


def check_id(session_id: object) -> None:
    """Raises InvalidRequest for what can't be an id: None, a uuid.UUID, a Session."""
    if not isinstance(session_id, str):
        raise InvalidRequest(
            f"a session's id is a str, not {type(session_id).__name__}: see Session.id"
        )


def _path(session_id: str, rest: str = "") -> str:
    check_id(session_id)
    if SESSION_ID.fullmatch(session_id) is None:
        if task := TASK_ID.fullmatch(session_id):
            raise NotFound(f"{session_id!r} is one task: its session is {task['session']!r}")
        raise NotFound(
            f"there is no session {session_id!r}: an id looks like "
            "0b54e6a1-6e4f-5c1a-9d2e-3f4a5b6c7d8e"
        )
    return f"/v1/sessions/{quote(session_id, safe='')}{rest}"


def _job_path(job_id: str, rest: str = "") -> str:
    if not isinstance(job_id, str) or JOB_ID.fullmatch(job_id) is None:
        raise NotFound(
            f"there is no job {job_id!r}: an id looks like 0b54e6a1-6e4f-5c1a-9d2e-3f4a5b6c7d8e, "
            "and that of one job of an array ends in _ and its number"
        )
    return f"/v1/jobs/{quote(job_id, safe='')}{rest}"
