"""Cloud Kotta's `/rest/v1` routes, called with a token.

The token goes in a header, never into an address that somebody logs. Nothing is sent twice: a
submit that was sent again would be a second job.
"""

from collections.abc import Mapping
from typing import Any

import requests
from requests.auth import AuthBase

from stepgrid_core.errors import NotFound, StepgridError, Unavailable

from ..http_client import describe_failure, open_client, time_limits
from ..retry import Transient

CALL_SECONDS = 35.0

Answer = dict[str, Any]


class _Bearer(AuthBase):
    """As an `auth`, so that requests does not put a ~/.netrc in its place."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class KottaClient:
    """server: without `/rest/v1`. All methods raise Unavailable or another StepgridError."""

    def __init__(self, server: str, token: str) -> None:
        self._base = f"{server}/rest/v1"
        self._auth = _Bearer(token)
        self._client = open_client(server, connections=2)

    def submit(self, job: Mapping[str, str]) -> Answer:
        """{"status": "Success", "job_id"} or {"status": "Fail", "reason"}."""
        return self._call("POST", "submit_task", job)

    def status(self, job_id: str) -> Answer:
        """{"status", "items"}. Raises NotFound."""
        return self._call("GET", f"status_task/{job_id}")

    def list(self) -> Answer:
        """{"status": "Success", "items"}, or why not."""
        return self._call("GET", "list_tasks")

    def cancel(self, job_id: str) -> Answer:
        """As of submit. Raises NotFound."""
        return self._call("POST", f"cancel_task/{job_id}", {})

    def close(self) -> None:
        """Close idle connections."""
        self._client.close()

    def _call(self, method: str, path: str, form: Mapping[str, str] | None = None) -> Answer:
        url = f"{self._base}/{path}"
        try:
            response = self._client.request(
                method,
                url,
                data=form,
                auth=self._auth,
                timeout=time_limits(CALL_SECONDS),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise _plain(describe_failure(error, url, "is the server up?")) from None
        return _read(url, response)


def _read(url: str, response: requests.Response) -> Answer:
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise Unavailable(f"{url}: HTTP {response.status_code}, and no JSON; is it a stepgrid?")
    if response.status_code == requests.codes.not_found:
        raise NotFound(_reason(answer))
    if response.status_code != requests.codes.ok:
        raise Unavailable(f"{url}: HTTP {response.status_code}: {_reason(answer)}")
    return answer


def _reason(answer: Answer) -> str:
    return str(answer.get("reason") or answer.get("message") or "no reason given")


def _plain(error: StepgridError | Transient) -> StepgridError:
    return error.error if isinstance(error, Transient) else error
