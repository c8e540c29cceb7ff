"""Jobs by the API: what is told of them, to whom, and how they are ended."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest

from stepgrid.testing import JobFailed
from stepgrid_core.contract import JobSpec
from stepgrid_core.names import task_id
from stepgrid_core.records import JobFile
from stepgrid_core.states import ChunkState, JobState

from .job_world import OTHER, OWNER, JobWorld

UNKNOWN = "0b54e6a1-6e4f-5c1a-9d2e-3f4a5b6c7d8e"
DAY = 86_400


def work(spec: JobSpec, index: int, inputs: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """The second of an array fails."""
    if index == 1:
        raise JobFailed(3, {"STDERR.txt": b"no"})
    return {"a.txt": b"12345", "b.csv": b"", "STDOUT.txt": b"said"}


def get(world: JobWorld, job_id: str, rest: str = "", owner: str = OWNER) -> Any:
    status, answered = world.ask("GET", f"/v1/jobs/{job_id}{rest}", owner=owner)
    assert status == 200, answered
    return answered


def test_a_job_is_told_from_its_submit_to_its_end() -> None:
    """State, times, exit code and stages, and the same under the id of its only task."""
    world = JobWorld(work)
    job_id = world.submit(name="one", tags={"a": "b"}, outputs=["a.txt", "*.csv"])
    before = get(world, job_id)
    assert (before["state"], before["name"], before["tags"]) == ("pending", "one", {"a": "b"})
    assert (before["array"], before["queue"], before["walltime_seconds"]) == (1, "Test", 300)
    assert before["started_at"] is before["completed_at"] is before["counts"] is None
    world.memory.run()
    after = get(world, job_id)
    assert (after["state"], after["exit_code"], after["error"]) == ("completed", 0, None)
    assert after["completed_at"] >= after["started_at"] >= after["created_at"]
    assert get(world, f"{job_id}_0") == after


def test_a_running_job_is_what_its_container_says() -> None:
    """Once its row is taken; and what a lost container said counts no more."""
    world = JobWorld()
    job_id = world.submit()
    world.set_row(job_id, 0, state=ChunkState.RUNNING, attempt=1, token="t")
    assert get(world, job_id)["state"] == "pending"
    world.report(job_id, state=JobState.PROCESSING, staging_inputs_at=10.0, processing_at=12.5)
    told = get(world, job_id)
    assert (told["state"], told["started_at"], told["completed_at"]) == ("processing", 10.0, None)
    assert told["stages"]["staging_inputs"] == 2.5
    world.set_row(job_id, 0, state=ChunkState.PENDING, token="")
    assert get(world, job_id)["state"] == "pending"


def test_a_job_that_failed_says_why() -> None:
    """Its exit code is its error code."""
    world = JobWorld(work)
    job_id = world.submit(array=2)
    world.memory.run()
    told = get(world, f"{job_id}_1")
    assert (told["state"], told["exit_code"], told["error_code"]) == ("failed", 3, 3)
    assert "exit code 3" in told["error"]
    assert told["job_id"] == f"{job_id}_1"
    assert told["array"] == 1


def test_missing_outputs_are_named() -> None:
    """They make a job fail that ended with 0."""
    world = JobWorld(work)
    job_id = world.submit(outputs=["a.txt", "*.png"])
    world.memory.run()
    told = get(world, job_id)
    assert (told["state"], told["missing"], told["exit_code"]) == ("failed", ["*.png"], 0)


def test_a_job_without_a_word_has_the_error_of_its_task() -> None:
    """What the worker said, as its output has it, as long as that is kept."""

    def broken(spec: JobSpec, index: int, inputs: Mapping[str, bytes]) -> Mapping[str, bytes]:
        raise ValueError("no such image")

    world = JobWorld(broken)
    job_id = world.submit()
    world.memory.run()
    told = get(world, job_id)
    assert (told["state"], told["error"]) == ("failed", "ValueError: no such image")
    world.memory.payloads.delete_prefix("results/")
    assert get(world, job_id)["state"] == "failed"


def test_a_job_whose_time_is_over_fails() -> None:
    """Whoever asks finds it so, also before the sweeper; what it had reported stays."""
    world = JobWorld()
    job_id = world.submit()
    world.set_row(job_id, 0, state=ChunkState.RUNNING, attempt=1, token="t")
    world.report(job_id, staging_inputs_at=10.0)
    world.memory.clock.advance(14 * DAY + 2)
    told = get(world, job_id)
    assert told["state"] == "failed"
    assert told["error"].startswith("SessionTimeout: ")
    assert told["started_at"] == 10.0


def test_an_array_is_told_as_a_whole() -> None:
    """Counts, and failed if one of them failed; no exit code is that of all."""
    world = JobWorld(work)
    job_id = world.submit(array=4)
    told = get(world, job_id)
    assert (told["state"], told["counts"], told["array"]) == ("pending", {"pending": 4}, 4)
    world.memory.run()
    told = get(world, job_id)
    assert (told["state"], told["counts"]) == ("failed", {"completed": 3, "failed": 1})
    assert (told["error"], told["exit_code"]) == ("1 of 4 jobs failed", None)
    assert [get(world, f"{job_id}_{n}")["state"] for n in range(4)] == [
        "completed", "failed", "completed", "completed",
    ]  # fmt: skip


def test_an_array_that_runs_is_processing() -> None:
    """Also while some have not begun, and some have ended."""
    world = JobWorld()
    job_id = world.submit(array=40)
    world.set_row(job_id, 39, state=ChunkState.RUNNING, attempt=1, token="t")
    told = get(world, job_id)
    assert (told["state"], told["counts"]) == ("processing", {"pending": 39, "processing": 1})


@pytest.mark.parametrize(
    "job_id",
    [
        UNKNOWN,
        f"{UNKNOWN}_0",
        "{own}_1",
        "{own}_00",
        "{own}_-1",
        "{own}_",
        "{own}_0_0",
        "{own}_99999",
        "{own}_100000",
        "{own}x",
        "{other}",
        "{other}_0",
        "{session}",
        "x",
        "%00",
        "é",
        "a" * 2000,
    ],
)
@pytest.mark.parametrize(
    ("method", "rest"), [("GET", ""), ("GET", "/outputs"), ("POST", "/cancel")]
)
def test_what_is_no_own_job_is_not_found(job_id: str, method: str, rest: str) -> None:
    """Unknown, malformed and foreign ids, and sessions that are no jobs, are answered alike."""
    world = JobWorld()
    own, other = world.submit(), world.submit(client_token="u")
    moved = dataclasses.replace(world.session(other), owner=OTHER)
    plain = dataclasses.replace(
        world.session(own), session_id=UNKNOWN[::-1][:8] + UNKNOWN[8:], worker="echo", job=None
    )
    world.memory.table._sessions |= {other: moved, plain.session_id: plain}
    name = job_id.format(own=own, other=other, session=plain.session_id)
    status, answered = world.ask(method, f"/v1/jobs/{name}{rest}")
    assert (status, answered["error"]["code"]) == (404, "not_found")
    assert answered["error"]["message"] == (
        f"there is no job {name[:80]!r} of yours; it may have expired"
    )
    assert world.session(other).verdict is None


# --- outputs --------------------------------------------------------------------------------------


def test_outputs_are_listed_with_links() -> None:
    """The script first, what was asked for, then STDOUT and STDERR; patterns as what fits them."""
    world = JobWorld(work)
    job_id = world.submit(
        script="#!/bin/sh\n", script_name="run.sh", outputs=["*.csv", "a.txt", "*.png"]
    )
    names = ["run.sh", "*.csv", "a.txt", "*.png", "STDOUT.txt", "STDERR.txt"]
    before = get(world, job_id, "/outputs")["outputs"]
    assert [(one["name"], one["available"], one["url"]) for one in before] == [
        (name, False, None) for name in names
    ]
    world.memory.run()
    after = get(world, job_id, "/outputs")["outputs"]
    names[1] = "b.csv"
    assert [one["name"] for one in after] == names
    assert [one["available"] for one in after] == [True, True, True, False, True, True]
    found = {one["name"]: one for one in after}
    assert found["a.txt"]["size"] == 5
    assert world.memory.payloads.get(found["a.txt"]["url"].removeprefix("memory:")) == b"12345"


def test_outputs_that_were_kept_long_enough_are_not_there() -> None:
    """The job is, if its session is kept longer."""
    world = JobWorld(work)
    job_id = world.submit(retention_days=1)
    world.memory.run()
    assert any(one["available"] for one in get(world, job_id, "/outputs")["outputs"])
    world.memory.clock.advance(DAY)
    assert not any(one["available"] for one in get(world, job_id, "/outputs")["outputs"])
    assert get(world, job_id)["state"] == "completed"


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/x", "a//b", "", ".", "x" * 1024])
def test_a_name_that_leads_elsewhere_gets_no_link(name: str) -> None:
    """Whatever a container reports."""
    world = JobWorld()
    job_id = world.submit()
    world.report(job_id, outputs=(JobFile(name, 1, "0" * 64),))
    outputs = get(world, job_id, "/outputs")["outputs"]
    assert [one["url"] for one in outputs] == [None] * 3


def test_an_array_has_no_outputs_of_its_own() -> None:
    """The refusal names the id of one of its jobs."""
    world = JobWorld(work)
    job_id = world.submit(array=2)
    status, answered = world.ask("GET", f"/v1/jobs/{job_id}/outputs")
    assert status == 400
    assert task_id(job_id, 0) in answered["error"]["message"]
    world.memory.run()
    outputs = get(world, f"{job_id}_1", "/outputs")["outputs"]
    assert [one["name"] for one in outputs] == ["STDOUT.txt", "STDERR.txt"]
    assert f"/{job_id}/1/1/STDERR.txt" in outputs[1]["url"]


def test_the_outputs_of_a_deleted_job_are_removed() -> None:
    """Deleting its session leaves nothing of it; those of others stay."""
    world = JobWorld(work)
    job_id, other = world.submit(), world.submit(client_token="u")
    world.memory.run()
    assert world.ask("DELETE", f"/v1/sessions/{job_id}")[0] == 200
    assert world.ask("GET", f"/v1/jobs/{job_id}")[0] == 404
    kept = [key for key in world.memory.payloads.list_keys() if key.startswith("jobs/")]
    assert kept
    assert all(other in key for key in kept)


# --- cancel and list ------------------------------------------------------------------------------


def test_a_job_is_cancelled_for_good() -> None:
    """By either of its ids, again and again; 1002 comes from its container."""
    world = JobWorld()
    job_id = world.submit()
    for name in (job_id, f"{job_id}_0", job_id):
        status, told = world.ask("POST", f"/v1/jobs/{name}/cancel")
        assert (status, told["state"], told["error_code"]) == (200, "cancelled", None)
    world.report(job_id, state=JobState.CANCELLED, error="killed by request", error_code=1002)
    assert get(world, job_id)["error_code"] == 1002


def test_a_job_that_has_ended_stays_as_it_is() -> None:
    """A cancel that comes too late answers how it ended."""
    world = JobWorld(work)
    job_id = world.submit()
    world.memory.run()
    assert world.ask("POST", f"/v1/jobs/{job_id}/cancel")[1]["state"] == "completed"


def test_an_array_is_cancelled_as_a_whole() -> None:
    """One of its jobs can't be: the refusal says what can."""
    world = JobWorld()
    job_id = world.submit(array=3)
    status, answered = world.ask("POST", f"/v1/jobs/{job_id}_1/cancel")
    assert (status, job_id in answered["error"]["message"]) == (400, True)
    assert get(world, job_id)["state"] == "pending"
    status, told = world.ask("POST", f"/v1/jobs/{job_id}/cancel")
    assert (told["state"], told["counts"]) == ("cancelled", {"cancelled": 3})


def test_jobs_are_listed_newest_first() -> None:
    """Only the owner's, and no other sessions; closed ones by their verdict and counts."""
    world = JobWorld(work)
    ids = []
    for n in range(4):
        ids.append(world.submit(client_token=f"t{n}", array=n + 1, name=f"n{n}"))
        world.memory.clock.advance(1)
    world.ask("POST", f"/v1/jobs/{ids[3]}/cancel")
    world.memory.run()
    ids.append(world.submit(client_token="open"))
    world.memory.clock.advance(1)
    world.set_row(ids[4], 0, state=ChunkState.RUNNING, attempt=1, token="t")
    world.report(ids[4], state=JobState.STAGING_INPUTS)
    status, listed = world.ask("GET", "/v1/jobs")
    assert status == 200
    assert [(job["job_id"], job["state"], job["array"]) for job in listed["jobs"]] == [
        (ids[4], "staging_inputs", 1),
        (ids[3], "cancelled", 4),
        (ids[2], "failed", 3),
        (ids[1], "failed", 2),
        (ids[0], "completed", 1),
    ]
    assert world.ask("GET", "/v1/jobs", owner=OTHER)[1] == {"jobs": [], "cursor": None}


def test_a_long_list_has_pages() -> None:
    """Sessions of other workers between the jobs are passed over."""
    world = JobWorld()
    ids = []
    for n in range(230):
        ids.append(world.submit(client_token=f"t{n}"))
        world.memory.clock.advance(1)
    for job_id in ids[::3]:
        plain = dataclasses.replace(world.session(job_id), worker="echo", job=None)
        world.memory.table._sessions[job_id] = plain
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        _, page = world.ask("GET", "/v1/jobs", **cursor)
        assert len(page["jobs"]) <= 100
        found += [job["job_id"] for job in page["jobs"]]
        if page["cursor"] is None:
            break
        cursor = {"cursor": page["cursor"]}
    assert found == [job_id for n, job_id in enumerate(ids) if n % 3][::-1]
