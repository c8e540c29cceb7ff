"""How a session would run, or runs: what is said is what a submit does."""

import itertools
from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from stepgrid.testing import InMemoryGrid
from stepgrid_core.container_sizes import default_size
from stepgrid_core.contract import PlanDescription, PlanRequest, SubmitRequest
from stepgrid_core.data_plane import encode_lines
from stepgrid_core.errors import InvalidRequest, NotFound, RequestTooLarge
from stepgrid_core.memory import MemoryWorkerRegistry
from stepgrid_core.plans import TASK_BYTES, plan_session, read_plan
from stepgrid_core.prices import CHECKED
from stepgrid_core.records import Session
from stepgrid_core.registration import Registration
from stepgrid_core.task_time import TaskTime
from tests.submitting import submit

OWNER = "owner"
TOKENS = (f"t{number}" for number in itertools.count())


def make_grid(fargate: bool = True, **settings: Any) -> InMemoryGrid:
    """Its worker can run on Fargate; nothing runs."""
    memory = InMemoryGrid({"echo": lambda task, _: task}, autorun=False, settings=settings)
    if fargate:
        worker = memory.dispatcher.workers["echo"]
        memory.dispatcher.workers["echo"] = replace(worker, container=default_size("arm64"))
    return memory


def asked(
    memory: InMemoryGrid, tasks: int, size: int | None = None, **options: Any
) -> PlanDescription:
    request = {"worker": "echo", "tasks": tasks, "size": size, "options": options}
    return plan_session(memory.wiring, OWNER, PlanRequest.model_validate(request))


def submitted(memory: InMemoryGrid, tasks: list[Any], **options: Any) -> Session:
    request = {"client_token": next(TOKENS), "worker": "echo", "tasks": tasks, "options": options}
    return submit(memory.wiring, OWNER, SubmitRequest.model_validate(request))


def test_twenty_minutes_go_to_fargate() -> None:
    """It says why, and what that takes and costs."""
    plan = asked(make_grid(), 10, task_seconds=1200, task_timeout_seconds=1500)
    assert plan.backend == plan.estimate.backend == "fargate"
    assert plan.reason == (
        "a task may need 1,500 s, and a function of this worker gives it 840 s at most"
    )
    assert (plan.layout, plan.chunks, plan.chunk_size, plan.slots) == ("10x1", 10, 1, 10)
    assert plan.containers is not None
    assert (plan.containers.count, plan.containers.vcpu, plan.containers.spot) == (10, 1, True)
    assert plan.estimate.task_seconds == 1200
    assert 1200 < plan.estimate.seconds < 1300
    assert 0.05 < plan.estimate.dollars < 0.1
    assert plan.others == []
    assert plan.prices == f"us-east-1, {CHECKED}"


def test_the_other_backend_is_told_as_well() -> None:
    """Where the work could run on both."""
    plan = asked(make_grid(), 100, task_seconds=1)
    assert (plan.backend, plan.containers) == ("lambda", None)
    assert [other.backend for other in plan.others] == ["fargate"]
    assert "no bulk" in plan.reason


def test_a_size_that_is_not_said_is_a_thousand_bytes_a_task() -> None:
    """As the description of the field says."""
    memory = make_grid()
    assert asked(memory, 40_000) == asked(memory, 40_000, 40_000 * TASK_BYTES)
    assert asked(memory, 40_000) != asked(memory, 40_000, 40_000 * 10_000)
    assert f"{TASK_BYTES:,}" in (PlanRequest.model_fields["size"].description or "")


def test_nothing_is_stored() -> None:
    """However often it is asked."""
    memory = make_grid()
    asked(memory, 1_000)
    with memory.client(OWNER) as grid:
        assert list(grid.sessions()) == []
        assert grid.quota().tasks == 0
    assert memory.dispatcher.started == []


@pytest.mark.parametrize(
    ("fargate", "tasks", "options", "error", "words"),
    [
        (False, 1, {"backend": "fargate"}, InvalidRequest, "can't run on it here"),
        (False, 1, {"task_timeout_seconds": 1200}, InvalidRequest, "can't run it on Fargate"),
        (False, 1, {"container": {"vcpu": 1}}, InvalidRequest, "options.container is for Fargate"),
        (True, 1, {"container": {"memory_mib": 1000}}, InvalidRequest, "near to it 2048"),
        (True, 1, {"timeout_seconds": 2_000_000}, InvalidRequest, "may not last longer"),
        (True, 1_000_001, {}, RequestTooLarge, "1000000 at most"),
    ],
)
def test_what_a_submit_refuses_is_refused(
    fargate: bool, tasks: int, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    """In the same words; a session of so many tasks would be sent as a file."""
    memory = make_grid(fargate)
    with pytest.raises(error, match=words) as planned:
        asked(memory, tasks, **options)
    if tasks == 1:
        with pytest.raises(error) as refused:
            submitted(memory, [1], **options)
        assert str(refused.value) == str(planned.value)


def test_jobs_are_planned_by_their_queues() -> None:
    """What a submit refuses for their worker is refused here too."""
    request = PlanRequest.model_validate({"worker": "job", "tasks": 1})
    with pytest.raises(InvalidRequest, match="runs jobs"):
        plan_session(make_grid().wiring, OWNER, request)


def test_an_unknown_worker_is_refused() -> None:
    """As a submit does."""
    with pytest.raises(NotFound, match="no worker 'none'"):
        plan_session(make_grid().wiring, OWNER, PlanRequest(worker="none", tasks=1))


def test_a_registered_function_runs_on_lambda_only() -> None:
    """It is no package that a container could run."""
    memory = make_grid()
    memory.dispatcher.registry = MemoryWorkerRegistry()
    memory.dispatcher.registry.register(Registration("plain", "arn", "nodejs22.x", 30, 512, None))
    request = {"worker": "plain", "tasks": 10_000, "options": {"task_seconds": 10}}
    plan = plan_session(memory.wiring, OWNER, PlanRequest.model_validate(request))
    assert (plan.backend, plan.others) == ("lambda", [])
    request["options"] = {"backend": "fargate"}
    with pytest.raises(InvalidRequest, match="can't run on it here"):
        plan_session(memory.wiring, OWNER, PlanRequest.model_validate(request))


options_of_a_session = st.fixed_dictionaries(
    {},
    optional={
        "task_seconds": st.floats(0.001, 10_000),
        "task_timeout_seconds": st.floats(1, 2_000),
        "chunk_size": st.integers(1, 300),
        "max_concurrency": st.integers(1, 500),
        "backend": st.sampled_from(["auto", "fargate"]),
        "container": st.fixed_dictionaries(
            {},
            optional={
                "count": st.integers(1, 100),
                "vcpu": st.sampled_from([0.25, 1, 4]),
                "spot": st.booleans(),
            },
        ),
    },
)


@given(
    st.integers(1, 400),
    st.integers(1, 200),
    options_of_a_session,
    st.none() | st.builds(TaskTime, st.floats(0, 1_000), st.floats(0, 1_000)),
    st.sampled_from([0, 4, 64]),
)
def test_the_plan_is_what_a_submit_does(
    tasks: int, task_bytes: int, options: dict[str, Any], known: TaskTime | None, slots: int
) -> None:
    """Backend, reason, layout and slots, whatever is known of the tasks and asked for."""
    memory = make_grid(worker_concurrency=slots, fargate_concurrency=slots, owner_concurrency=50)
    if known is not None:
        memory.table._task_times["echo"] = known
    inline = ["x" * task_bytes] * tasks
    plan = asked(memory, tasks, sum(map(len, encode_lines(inline))), **options)
    session = submitted(memory, inline, **options)
    assert (plan.backend, plan.reason) == (session.backend, session.backend_reason)
    assert (plan.layout, plan.chunks) == (str(session.layout), session.chunks)
    assert (plan.route, plan.slots) == (session.route, session.slots)
    count = plan.containers.count if plan.containers else 0
    assert count == session.containers_for(session.chunks)
    stored = read_plan(memory.wiring, OWNER, session.session_id)
    assert stored == plan.model_copy(update={"others": stored.others})


def test_the_plan_of_a_session_is_kept() -> None:
    """Whatever has become known of its worker since."""
    memory = make_grid()
    memory.table._task_times["echo"] = TaskTime(10.0, 10.0)
    session = submitted(memory, list(range(2_000)))
    before = read_plan(memory.wiring, OWNER, session.session_id)
    memory.table._task_times["echo"] = TaskTime(0.001, 0.001)
    assert read_plan(memory.wiring, OWNER, session.session_id) == before
    assert before.estimate.task_seconds == 10


def test_what_the_owner_said_of_the_tasks_is_kept() -> None:
    """Whatever was known of the worker; what it teaches the worker does not come from it."""
    memory = make_grid()
    memory.table._task_times["echo"] = TaskTime(10.0, 10.0)
    session = submitted(memory, list(range(50)), task_seconds=2.0)
    assert session.planned_task_time == TaskTime(2.0, 2.0)
    assert session.worker_task_time == TaskTime(10.0, 10.0)
    plan = read_plan(memory.wiring, OWNER, session.session_id)
    assert plan.estimate == asked(memory, 50, session.input.size, task_seconds=2.0).estimate
    assert plan.estimate.task_seconds == 2.0


def test_a_session_of_an_earlier_version_was_planned_by_its_worker() -> None:
    """Its row says nothing else."""
    session = submitted(make_grid(), [1])
    values = session.as_dict() | {"worker_task_time": {"mean": 3.0, "slow": 4.0}}
    del values["planned_task_time"]
    assert Session.read(values).planned_task_time == TaskTime(3.0, 4.0)
    assert Session.read(session.as_dict()) == session


def test_a_session_whose_worker_is_gone_has_a_plan() -> None:
    """Its estimate is that of a function with one vCPU."""
    memory = make_grid()
    session = submitted(memory, [1, 2])
    before = read_plan(memory.wiring, OWNER, session.session_id)
    del memory.dispatcher.workers["echo"]
    after = read_plan(memory.wiring, OWNER, session.session_id)
    assert after == before.model_copy(update={"others": []})


def test_unknown_and_foreign_sessions_are_alike() -> None:
    """A plan tells nobody what others run."""
    memory = make_grid()
    session = submitted(memory, [1])
    missing = session.session_id[:-1] + ("0" if session.session_id[-1] != "0" else "1")
    told = []
    for session_id in (session.session_id, missing):
        with pytest.raises(NotFound) as refused:
            read_plan(memory.wiring, "another", session_id)
        told.append(str(refused.value).replace(session_id, "ID"))
    assert told[0] == told[1]
