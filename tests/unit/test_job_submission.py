"""What a job becomes when it is accepted, and what is refused."""

import json
from typing import Any

import pytest

from stepgrid_core.contract import JobSpec
from stepgrid_core.errors import Conflict, InvalidRequest, NotFound, RequestTooLarge
from stepgrid_core.job_submission import STAGING_SECONDS, submit_job
from stepgrid_core.records import JobFacts

from .job_world import OTHER, OWNER, JobWorld, request

DAY = 86_400
QUEUES = json.dumps(
    [
        {"name": "Small", "concurrency": 2, "max_walltime_seconds": 600},
        {"name": "Own", "concurrency": 1, "owners": ["*/alice"]},
        {"name": "Large", "concurrency": 50, "vcpu": 4, "memory_mib": 16384, "storage_gib": 100,
         "spot": True, "walltime_seconds": 3600},
    ]
)  # fmt: skip


@pytest.fixture
def world() -> JobWorld:
    return JobWorld(queues=QUEUES)


def test_a_job_is_a_session_of_its_queue(world: JobWorld) -> None:
    """One task in one chunk, on Fargate, with the size and the slots of the queue."""
    job_id = world.submit(
        queue="Large", name="fit", tags={"a": "b"}, outputs=["*.png"], walltime_seconds=7200
    )
    session = world.session(job_id)
    assert (session.worker, session.queue, session.lane) == ("job", "Large", "job/Large")
    assert (session.backend, session.tasks, session.chunks, session.slots) == ("fargate", 1, 1, 1)
    assert session.container is not None
    assert (session.container.vcpu, session.container.memory_mib) == (4, 16384)
    assert session.task_timeout_seconds == 7200 + STAGING_SECONDS
    assert session.max_attempts == 3
    assert (session.name, session.tags) == ("fit", {"a": "b"})
    assert session.job == JobFacts("true", 7200, ("*.png",))


def test_its_spec_is_the_common_input(world: JobWorld) -> None:
    """What a container is given: a contract.JobSpec with the walltime of the queue."""
    job_id = world.submit(queue="Large", args=["-x"], script="#!/bin/sh\n", script_name="a.sh")
    common = world.session(job_id).common
    assert common is not None
    spec = JobSpec.model_validate_json(world.memory.payloads.get(common.key))
    assert (spec.executable, spec.args, spec.walltime_seconds) == ("true", ["-x"], 3600)
    assert (spec.script, spec.script_name) == ("#!/bin/sh\n", "a.sh")


def test_an_array_is_a_session_of_many(world: JobWorld) -> None:
    """Each job a chunk of its own, and as many containers as the queue lets run."""
    session = world.session(world.submit(queue="Small", array=1000))
    assert (session.tasks, session.chunks, session.slots) == (1000, 1000, 2)
    session = world.session(world.submit(queue="Large", array=10, client_token="u"))
    assert (session.slots, session.containers_for(10)) == (10, 10)


def test_what_finds_no_room_waits_in_its_queue(world: JobWorld) -> None:
    """Other queues are not held up by it."""
    jobs = [world.submit(queue="Small", client_token=f"t{n}") for n in range(3)]
    assert [world.session(job).waiting for job in jobs] == [False, False, True]
    assert not world.session(world.submit(queue="Large", client_token="x")).waiting


def test_the_same_job_again_is_the_same(world: JobWorld) -> None:
    """By its token; another job, queue or retention under the same token is a conflict."""
    job_id = world.submit(queue="Large")
    assert world.submit(queue="Large") == job_id
    for other in ({"executable": "false"}, {"queue": "Small"}, {"retention_days": 1}):
        with pytest.raises(Conflict):
            world.submit(**{"queue": "Large", **other})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"queue": "Dev"}, r"Queue : \[Dev\] is not valid"),
        ({"walltime_seconds": 601}, "601.*'Small'.*600"),
        ({"resources": {"vcpu": 2}}, "vcpu is 2.*'Small'"),
        ({"resources": {"memory_mib": 4096}}, "memory_mib is 4096.*2048"),
        ({"resources": {"storage_gib": 22}}, "storage_gib"),
        ({"resources": {"count": 2}}, "resources.count"),
        ({"resources": {"architecture": "x86_64"}}, "architecture"),
        ({"resources": {"vcpu": 1, "memory_mib": 600}}, "memory_mib"),
        ({"outputs": ["/".join(["x" * 200] * 5)] * 17}, "outputs: the names"),
    ],
)
def test_what_can_not_be_is_refused(world: JobWorld, fields: dict[str, Any], words: str) -> None:
    """Says what, and what could be; nothing is stored."""
    with pytest.raises(InvalidRequest, match=words):
        world.submit(**{"queue": "Small", **fields})
    assert world.ask("GET", "/v1/sessions")[1]["sessions"] == []
    assert world.memory.payloads.list_keys() == []


def test_queues_of_others_are_not_there(world: JobWorld) -> None:
    """The same words as for a queue that does not exist."""
    assert world.submit(queue="Own")
    with pytest.raises(InvalidRequest, match=r"Queue : \[Own\] is not valid; you have Small, La"):
        submit_job(world.grid, OTHER, request(queue="Own"))


def test_a_smaller_container_may_be_asked_for(world: JobWorld) -> None:
    """Fargate's memory for it, if none was said."""
    session = world.session(world.submit(queue="Large", resources={"vcpu": 1, "spot": False}))
    assert session.container is not None
    assert (session.container.vcpu, session.container.memory_mib) == (1, 8192)
    assert not session.container.spot


def test_a_job_that_is_too_large_says_what_to_do(world: JobWorld) -> None:
    """Not what to do with a session."""
    with pytest.raises(RequestTooLarge, match="name it in inputs"):
        world.submit(queue="Large", args=["x" * 8192] * 200)


@pytest.mark.parametrize(
    ("asked", "kept", "most", "days"),
    [
        (None, 14, 365, 30),
        (None, 1, 365, 1),
        (None, 7, 365, 7),
        (None, 400, 365, 365),
        (None, 14, 20, 7),
        (None, 14, 3, 1),
        (1, 14, 365, 1),
        (365, 14, 365, 365),
        (90, 14, 90, 90),
    ],
)
def test_outputs_are_kept(asked: int | None, kept: int, most: int, days: int) -> None:
    """As long as was asked for; else the least that is no shorter than sessions are kept."""
    world = JobWorld(retention_days=kept, max_output_days=most)
    session = world.session(world.submit(retention_days=asked))
    assert session.output_days == days
    longest = min(kept, 30)  # of a session; from its end on outputs are kept
    assert session.expires_at == int(session.created_at) + (max(longest + days, kept) + 1) * DAY


@pytest.mark.parametrize(("asked", "most"), [(365, 364), (7, 1), (30, 20)])
def test_outputs_are_not_kept_longer_than_the_grid_allows(asked: int, most: int) -> None:
    """The error says how long."""
    with pytest.raises(InvalidRequest, match="at most"):
        JobWorld(max_output_days=most).submit(retention_days=asked)


@pytest.mark.parametrize(("kept", "days"), [(14, 14), (1, 1), (100, 30)])
def test_a_job_may_wait_as_long_as_its_input_is_kept(kept: int, days: int) -> None:
    """And no longer than any session."""
    world = JobWorld(retention_days=kept)
    session = world.session(world.submit(retention_days=1))
    assert session.deadline_at == session.created_at + days * DAY


def test_a_job_that_outlives_its_session_is_refused() -> None:
    """With the time for its files."""
    world = JobWorld(retention_days=1)
    with pytest.raises(InvalidRequest, match="outlive"):
        world.submit(queue="Prod", walltime_seconds=DAY - STAGING_SECONDS + 1)
    assert world.submit(queue="Prod", walltime_seconds=DAY - STAGING_SECONDS)


def test_the_longest_walltime_is_no_longer_than_a_task(world: JobWorld) -> None:
    """Of seven days nothing is left for files; the walltime is as it was said."""
    session = world.session(world.submit(queue="Large", walltime_seconds=7 * DAY))
    assert session.task_timeout_seconds == 7 * DAY


def test_sessions_of_jobs_are_made_by_jobs_alone(world: JobWorld) -> None:
    """The worker is in no list, and takes no tasks."""
    body = {"client_token": "t", "worker": "job", "tasks": [{"index": 0}]}
    status, answered = world.ask("POST", "/v1/sessions", body)
    assert status == 400
    assert "POST /v1/jobs" in answered["error"]["message"]
    assert world.ask("GET", "/v1/workers")[1]["workers"] == []


def test_a_grid_without_containers_says_so() -> None:
    """In place of the name of a worker that nobody asked for."""
    world = JobWorld()
    del world.memory.dispatcher.workers["job"]
    with pytest.raises(NotFound, match="runs no jobs"):
        submit_job(world.grid, OWNER, request())


def test_dependencies_are_passed_on(world: JobWorld) -> None:
    """They are part of the job, and told with it."""
    before = world.submit(queue="Large", client_token="before")
    job_id = world.submit(queue="Large", depends_on=[before])
    assert world.ask("GET", f"/v1/jobs/{job_id}")[1]["depends_on"] == [before]


@pytest.mark.parametrize("days", [1, 7, 30, 90, 365])
def test_a_job_can_be_described_as_long_as_its_outputs_are_kept(days: int) -> None:
    """Also one that ended at its very deadline: they are kept from then on."""
    world = JobWorld()
    session = world.session(world.submit(retention_days=days))
    assert session.expires_at >= session.deadline_at + days * 86_400
