"""The `/rest/v1` routes: every reason, and who is let in."""

import base64
import json
from typing import Any
from urllib.parse import urlencode, urlparse

import pytest

from stepgrid_core import kotta_routes
from stepgrid_core.contract import JobList
from stepgrid_core.endpoints import HttpAnswer, HttpRequest
from stepgrid_core.errors import QuotaExceeded, Unavailable
from stepgrid_core.kotta_service import JobService
from stepgrid_core.ports import NoTokens
from stepgrid_core.wiring import Grid

from .kotta_world import (
    ANN,
    BOBS_TOKEN,
    JOB_ID,
    SEED_JOB,
    TOKEN,
    FakeJobs,
    make_grid,
    output,
)
from .test_kotta_jobs import ECHO

#: What each route answers somebody whose token is missing or wrong.
SUBMIT = ("POST", "submit_task")
LIST = ("GET", "list_tasks")
STATUS = ("GET", f"status_task/{JOB_ID}")
CANCEL = ("POST", f"cancel_task/{JOB_ID}")
UPLOAD = ("POST", "upload_url")


@pytest.fixture
def jobs() -> FakeJobs:
    return FakeJobs()


def call(  # type: ignore[no-untyped-def]
    jobs: FakeJobs,
    route: tuple[str, str],
    form: Any = None,
    grid=None,
    headers: Any = None,
    **query: str,
) -> tuple[int, dict[str, Any]]:
    answered = ask(jobs, route, form, grid, headers, **query)
    return int(answered.status), json.loads(answered.body)


def ask(  # type: ignore[no-untyped-def]
    jobs: FakeJobs,
    route: tuple[str, str],
    form: Any = None,
    grid=None,
    headers: Any = None,
    **query: str,
) -> HttpAnswer:
    body = form if isinstance(form, bytes) else urlencode(form or {}).encode()
    request = HttpRequest(
        method=route[0],
        path=f"/rest/v1/{route[1]}",
        query={name: [value] for name, value in query.items()},
        body=body,
        headers=headers or {},
    )
    return kotta_routes.answer(grid or make_grid(), request, jobs.service())


def fail(reason: str) -> dict[str, str]:
    return {"status": "Fail", "reason": reason}


def test_answers_say_which_session_they_are_about(jobs: FakeJobs) -> None:
    """That of the job, where one is known and the caller's: logs and costs are found by it."""
    jobs.add(SEED_JOB.model_copy(update={"state": "processing"}))
    token = {"access_token": TOKEN}
    session_id = JOB_ID.partition("_")[0]
    assert ask(jobs, SUBMIT, ECHO | token).session_id == session_id
    assert ask(jobs, STATUS, token).session_id == session_id
    assert ask(jobs, CANCEL, token).session_id == session_id
    assert ask(jobs, LIST, token).session_id is None
    assert ask(jobs, STATUS).session_id is None


def test_submit(jobs: FakeJobs) -> None:
    """The job is its caller's; two submits of the same are two jobs, as they were."""
    for _ in range(2):
        answer = call(jobs, SUBMIT, ECHO | {"access_token": TOKEN})
        assert answer == (200, {"status": "Success", "job_id": JOB_ID})
    (owner, first), (_, second) = jobs.submitted
    assert owner == ANN.owner
    assert first.name == ECHO["jobname"]
    assert first.client_token != second.client_token


@pytest.mark.parametrize("route", [SUBMIT, LIST, UPLOAD])
def test_without_a_token(jobs: FakeJobs, route: tuple[str, str]) -> None:
    """HTTP 200 and the old reasons; nothing is submitted."""
    assert call(jobs, route, ECHO) == (200, fail("access_token missing"))
    wrong = ECHO | {"access_token": "wrong"}
    assert call(jobs, route, wrong) == (200, fail("Failed to authenticate"))
    assert jobs.submitted == []


def test_a_grid_without_users(jobs: FakeJobs) -> None:
    """Nothing is a token there."""
    grid = make_grid()
    object.__setattr__(grid, "tokens", NoTokens())
    answer = call(jobs, LIST, {"access_token": TOKEN}, grid=grid)
    assert answer == (200, fail("Failed to authenticate"))


def test_refresh_tokens_are_not_for_this_server(jobs: FakeJobs) -> None:
    """Beside an access token one is ignored; alone it is refused by name."""
    form = ECHO | {"refresh_token": "r"}
    assert call(jobs, SUBMIT, form) == (
        200,
        fail("refresh_token is not supported; send an access_token"),
    )
    assert call(jobs, SUBMIT, form | {"access_token": TOKEN})[1]["status"] == "Success"


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"kotta:{password}".encode()).decode()


@pytest.mark.parametrize(
    "ways",
    [
        {"form": {"access_token": TOKEN}},
        {"access_token": TOKEN},
        {"headers": {"authorization": f"Bearer {TOKEN}"}},
        {"headers": {"authorization": basic(TOKEN)}},
    ],
    ids=["form", "query", "bearer", "netrc"],
)
def test_ways_to_send_a_token(jobs: FakeJobs, ways: Any) -> None:
    """Form, query or header: one of them comes through whatever is on the way."""
    jobs.add(SEED_JOB)
    assert call(jobs, LIST, **ways)[1]["status"] == "Success"
    assert call(jobs, STATUS, **ways)[0] == 200


@pytest.mark.parametrize("header", ["Basic ***", "Basic", "Digest x", "", "Basic /w=="])
def test_headers_that_hold_no_token(jobs: FakeJobs, header: str) -> None:
    """As if there were none."""
    answer = call(jobs, LIST, headers={"authorization": header})
    assert answer == (200, fail("access_token missing"))


@pytest.mark.parametrize(
    ("queue", "reason"),
    [("dev", "Queue : [dev] is not valid"), (None, "Queue : [None] is not valid")],
)
def test_queues(jobs: FakeJobs, queue: str | None, reason: str) -> None:
    """The old words, and no orphan of a job is left."""
    form = {key: value for key, value in (ECHO | {"queue": queue}).items() if value is not None}
    assert call(jobs, SUBMIT, form | {"access_token": TOKEN}) == (200, fail(reason))
    assert jobs.submitted == []


def test_a_queue_of_others(jobs: FakeJobs) -> None:
    """Is as good as none."""
    queues = '[{"name": "Vip", "concurrency": 1, "owners": ["cognito:vip"]}]'
    form = ECHO | {"queue": "Vip", "access_token": TOKEN}
    answer = call(jobs, SUBMIT, form, grid=make_grid(queues=queues))
    assert answer == (200, fail("Queue : [Vip] is not valid"))


def test_what_the_grid_refuses_is_a_fail(jobs: FakeJobs) -> None:
    """With its own message."""
    jobs.failure = QuotaExceeded("too many jobs; wait")
    answer = call(jobs, SUBMIT, ECHO | {"access_token": TOKEN})
    assert answer == (200, fail("too many jobs; wait"))


def test_an_outage_is_503(jobs: FakeJobs) -> None:
    """Not a Fail: the same request will do."""
    jobs.failure = Unavailable("table: throttled")
    for route in (SUBMIT, STATUS):
        status, answer = call(jobs, route, ECHO | {"access_token": TOKEN})
        assert (status, answer["status"]) == (503, "Fail")
        assert "throttled" not in answer["reason"]


@pytest.mark.parametrize("route", [STATUS, CANCEL])
def test_jobs_that_are_not_ones_own(jobs: FakeJobs, route: tuple[str, str]) -> None:
    """404 for unknown ones, other owners' ones and without a token, for which old clients look."""
    assert call(jobs, route, access_token=TOKEN) == (404, fail(f"job {JOB_ID} is unknown"))
    jobs.add(SEED_JOB)
    assert call(jobs, route, access_token=BOBS_TOKEN) == (404, fail(f"job {JOB_ID} is unknown"))
    assert call(jobs, route) == (404, fail("access_token missing"))
    assert call(jobs, route, access_token="x") == (404, fail("Failed to authenticate"))


def test_status(jobs: FakeJobs) -> None:
    """Links as the clients want them."""
    jobs.add(SEED_JOB)
    jobs.outputs = [output("test.sh", "https://h/x?a=1&b=2"), output("foo.txt", None)]
    _, answer = call(jobs, STATUS, access_token=TOKEN)
    files = [item["outputs"] for item in answer["items"].values() if "outputs" in item]
    assert files == ["<i>foo.txt</i>", '<a href="https://h/x?a=1&b=2">test.sh</a>']


def test_list_has_all_pages(jobs: FakeJobs) -> None:
    """Own jobs only, as many as there are."""
    jobs.page = 2
    for number in range(5):
        jobs.add(SEED_JOB.model_copy(update={"job_id": f"job-{number}"}))
    jobs.add(SEED_JOB.model_copy(update={"job_id": "bobs"}), "cognito:bob")
    _, answer = call(jobs, LIST, {"access_token": TOKEN})
    assert [row["job_id"] for row in answer["items"].values()] == [f"job-{n}" for n in range(5)]


def test_a_list_ends_in_time(jobs: FakeJobs) -> None:
    """However many sessions an owner has beside the jobs."""
    grid = make_grid()
    jobs.add(SEED_JOB)
    first = jobs.service().list_page(grid, ANN.owner, None)

    def list_page(grid: Grid, owner: str, cursor: str | None) -> JobList:
        grid.clock.sleep(1.0)
        return first.model_copy(update={"cursor": "more"})

    jobs.list_page = list_page
    status, answer = call(jobs, LIST, {"access_token": TOKEN}, grid)
    assert (status, answer["status"]) == (200, "Success")
    assert 1 <= len(answer["items"]) <= 20


def test_cancel_is_real_and_may_be_repeated(jobs: FakeJobs) -> None:
    """By POST or GET."""
    jobs.add(SEED_JOB.model_copy(update={"state": "processing"}))
    for method in ("POST", "GET"):
        assert call(jobs, (method, CANCEL[1]), access_token=TOKEN) == (
            200,
            {"status": "Success", "job_id": JOB_ID, "reason": "User request cancel"},
        )
    _, answer = call(jobs, STATUS, access_token=TOKEN)
    assert {"reason": "User request cancel"} in answer["items"].values()


def test_what_has_ended_is_not_cancelled(jobs: FakeJobs) -> None:
    """A Fail that says so."""
    jobs.add(SEED_JOB)
    answer = call(jobs, CANCEL, access_token=TOKEN)
    assert answer == (200, fail(f"job {JOB_ID} is completed already"))


def test_upload_url(jobs: FakeJobs) -> None:
    """The bucket is the first word of the host, and the input's name the last of the path."""
    form = {"access_token": TOKEN, "filepath": "pkl/1.in.pkl"}
    status, answer = call(jobs, UPLOAD, form)
    assert (status, answer["status"]) == (200, "Success")
    parsed = urlparse(answer["upload_url"])
    found = f"s3://{parsed.netloc.split('.')[0]}{parsed.path}"
    assert found == "s3://bucket/files/1.in.pkl"
    assert jobs.uploads == [(ANN.owner, "1.in.pkl")]


@pytest.mark.parametrize("filepath", ["", "/", ".", "a/..", ".."])
def test_no_name_to_upload_to(jobs: FakeJobs, filepath: str) -> None:
    """Refused before anything is signed."""
    answer = call(jobs, UPLOAD, {"access_token": TOKEN, "filepath": filepath})
    assert answer == (200, fail("filepath missing"))


@pytest.mark.parametrize("filepath", ["a%b.csv", "what?", "a#b", "tab\t", "n" * 201])
def test_names_that_no_file_may_have(jobs: FakeJobs, filepath: str) -> None:
    """A Fail that says so, not a fault of the server."""
    jobs.upload = JobService().upload
    status, answer = call(jobs, UPLOAD, {"access_token": TOKEN, "filepath": filepath})
    assert (status, answer["status"]) == (200, "Fail")
    assert answer["reason"].startswith("filepath : file.name : ")


@pytest.mark.parametrize("body", [b"\xff\xfe", b"a=1&" * 600])
def test_bodies_that_are_no_form(jobs: FakeJobs, body: bytes) -> None:
    """No 5xx for anything that can be sent."""
    answer = call(jobs, SUBMIT, body, access_token=TOKEN)
    assert answer == (200, fail("the body is no form in UTF-8"))


def test_other_paths_and_methods(jobs: FakeJobs) -> None:
    """404 and 405, with JSON."""
    assert call(jobs, ("GET", "nothing"))[0] == 404
    assert call(jobs, ("GET", "status_task/a/b"))[0] == 404
    assert call(jobs, ("GET", "submit_task"))[0] == 405
