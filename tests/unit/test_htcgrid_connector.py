"""AWSConnector on the real planes in memory: what it sends, and how it is made."""

import json
from typing import Any

import pytest

from stepgrid import ConfigurationError, InvalidRequest, NotFound
from stepgrid.htcgrid import AWSConnector
from stepgrid.testing import InMemoryGrid
from tests.unit.htcgrid_world import ConnectedWorld

# --- submitting


def test_send_answers_ids_in_order() -> None:
    """One session, and a task id of its id and index for each task."""
    answer = ConnectedWorld().connector.send([1, 2, 3])
    session_id = answer["session_id"]
    assert answer == {
        "session_id": session_id,
        "task_ids": [f"{session_id}_{index}" for index in range(3)],
    }


@pytest.mark.parametrize("tasks", [[], (), iter([])])
def test_send_of_nothing_is_refused(tasks: Any) -> None:
    """No tasks are an error in clear words, and nothing was sent."""
    world = ConnectedWorld()
    with pytest.raises(InvalidRequest, match="tasks_list is empty; a session needs at least one"):
        world.connector.send(tasks)
    assert world.transport.asked("POST", "/sessions") == []


@pytest.mark.parametrize("tasks", [None, {"a": 1}, "text", 5])
def test_send_takes_lists_only(tasks: Any) -> None:
    """A single task is not taken for a list of its keys or letters."""
    with pytest.raises(InvalidRequest, match="give a list, with one entry for each task"):
        ConnectedWorld().connector.send(tasks)


def test_send_names_the_task_that_is_not_json() -> None:
    """The index of the bad task is in the message."""
    with pytest.raises(InvalidRequest, match="task 1 is not JSON"):
        ConnectedWorld().connector.send([1, {1, 2}])


def test_each_send_is_a_session_of_its_own() -> None:
    """The same tasks sent twice run twice."""
    connector = ConnectedWorld().connector
    assert connector.send([1])["session_id"] != connector.send([1])["session_id"]


def test_several_sessions_at_once() -> None:
    """send_sessions answers one submission for each list, in order."""
    connector = ConnectedWorld().connector
    answers = connector.send_sessions([[1], [2, 3]])
    assert [len(answer["task_ids"]) for answer in answers] == [1, 2]
    assert connector.get_results(answers[1])["finished_OUTPUT"] == ["4", "9"]


# --- the job dictionary


def test_a_job_has_the_form_of_htc_grid() -> None:
    """Session id, scheduler data, eight stages and the ids of the tasks; nothing was sent."""
    world = ConnectedWorld()
    job = world.connector.generate_user_task_json([{"a": 1}, {"b": 2}])
    name = job["session_id"]
    assert {"session_id", "scheduler_data", "stats", "tasks_list"} <= set(job)
    assert job["tasks_list"]["tasks"] == [f"{name}_0", f"{name}_1"]
    assert job["scheduler_data"] == {
        "task_timeout_sec": 3600,
        "retry_count": 5,
        "tstamp_api_grid_connector_ms": 0,
        "tstamp_agent_read_from_sqs_ms": 0,
    }
    assert len(job["stats"]) == 8
    assert all(set(stage) == {"label", "tstmp"} for stage in job["stats"].values())
    assert world.transport.sent == []


def test_a_submitted_job_bears_the_ids_of_the_grid() -> None:
    """What submit answers, and what the dictionary says afterwards, is the same."""
    connector = ConnectedWorld().connector
    job = connector.generate_user_task_json([2, 3])
    answer = connector.submit(job)
    assert job["session_id"] == answer["session_id"]
    assert job["tasks_list"]["tasks"] == answer["task_ids"]
    assert connector.get_results(answer)["finished_OUTPUT"] == ["4", "9"]


def test_ids_noted_before_the_submit_stay_good() -> None:
    """Who kept the job's first ids gets results and counts under them."""
    world = ConnectedWorld(autorun=False)
    job = world.connector.generate_user_task_json([2, 3])
    noted = {"session_id": job["session_id"], "task_ids": job["tasks_list"]["tasks"]}
    world.connector.submit(job)
    world.memory.run()
    assert world.connector.get_results(noted)["finished"] == noted["task_ids"]
    assert list(world.connector.cancel_sessions([noted["session_id"]])) == [noted["session_id"]]


def test_a_repeated_submit_finds_the_same_session() -> None:
    """A client that did not see the answer may submit again."""
    connector = ConnectedWorld().connector
    job = connector.generate_user_task_json([2])
    assert connector.submit(job) == connector.submit(job)


def test_a_job_may_be_submitted_elsewhere() -> None:
    """The dictionary is JSON, and all of it: another process's connector can submit it."""
    job = json.loads(json.dumps(ConnectedWorld().connector.generate_user_task_json([4, "fünf"])))
    connector = ConnectedWorld(lambda event, context: event).connector
    assert connector.get_results(connector.submit(job))["finished_OUTPUT"] == ["4", '"f\\u00fcnf"']


def test_a_job_keeps_the_tasks_as_they_were() -> None:
    """As with HTC-Grid, later changes of a task do not reach the job."""
    task = {"value": 1}
    connector = ConnectedWorld().connector
    job = connector.generate_user_task_json([task])
    task["value"] = 2
    assert connector.get_results(connector.submit(job))["finished_OUTPUT"] == ['{"value": 1}']


def test_a_job_may_hold_its_tasks_themselves() -> None:
    """The documented small payload: task definitions in tasks_list instead of ids."""
    connector = ConnectedWorld().connector
    answer = connector.submit({"session_id": "mine", "tasks_list": {"tasks": [{"a": 1}]}})
    assert connector.get_results(answer)["finished_OUTPUT"] == ['{"a": 1}']


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (None, "jobs is no dictionary with a tasks_list"),
        ({"session_id": "a"}, "jobs is no dictionary with a tasks_list"),
        ({"tasks_list": {"tasks": [1]}}, "has no session_id"),
        ({"session_id": "None", "tasks_list": {"tasks": [1]}}, "has no session_id"),
        ({"session_id": "a", "tasks_list": {"tasks": []}}, "tasks_list is empty"),
        ({"session_id": "a", "tasks_list": {"tasks": ["a_0"]}}, "ids but no inputs"),
        ({"session_id": "a", "tasks_list": {"inputs": ["{"]}}, "is not JSON text"),
        ({"session_id": "a", "tasks_list": {"inputs": [7]}}, "is not JSON text"),
        ({"session_id": "a", "tasks_list": {"inputs": 7}}, "give a list of JSON texts"),
        ({"session_id": "a", "tasks_list": {"inputs": "[1]"}}, "give a list of JSON texts"),
    ],
)
def test_what_is_no_job_is_refused(job: Any, message: str) -> None:
    """The message says what is wrong with it, before anything is sent."""
    world = ConnectedWorld()
    with pytest.raises(InvalidRequest, match=message):
        world.connector.submit(job)
    assert world.transport.asked("POST", "/sessions") == []


# --- limits of tasks


def submitted_options(world: ConnectedWorld) -> Any:
    return world.transport.asked("POST", "/sessions")[0].body["options"]


def test_scheduler_data_is_honoured() -> None:
    """task_timeout_sec limits one attempt, and retry_count is the attempts after the first."""
    world = ConnectedWorld()
    job = world.connector.generate_user_task_json(["fail"])
    job["scheduler_data"] |= {"task_timeout_sec": 20, "retry_count": 1}
    answer = world.connector.submit(job)
    assert submitted_options(world) == {"task_timeout_seconds": 20, "max_attempts": 2}
    task = world.grid.session(answer["session_id"]).task(0)
    assert task.attempts == 2


def test_a_task_over_its_time_fails() -> None:
    """The worker stops what runs longer than task_timeout_sec, and failed_OUTPUT says so."""

    def work(event: Any, context: Any) -> None:
        world.memory.clock.advance(event)

    world = ConnectedWorld(work)
    job = world.connector.generate_user_task_json([1, 30])
    job["scheduler_data"] |= {"task_timeout_sec": 20, "retry_count": 0}
    results = world.connector.get_results(world.connector.submit(job))
    assert results["finished_OUTPUT"] == ["null"]
    assert "TaskTimeout: the task ran longer than 20 s" in results["failed_OUTPUT"][0]


def test_the_default_limits_are_the_grids_own() -> None:
    """HTC-Grid's 3600 s chose nobody: the timeout is left to the grid; there are six attempts."""
    world = ConnectedWorld()
    world.connector.send([1])
    assert submitted_options(world) == {"max_attempts": 6}


def test_the_configuration_may_choose_the_limits() -> None:
    """An operator sets them for scripts that can't: stepgrid_task_timeout_sec and _retry_count."""
    config = {"stepgrid_task_timeout_sec": 600, "stepgrid_retry_count": "2"}
    world = ConnectedWorld(config=config)
    world.connector.send([1])
    assert submitted_options(world) == {"task_timeout_seconds": 600, "max_attempts": 3}
    scheduler = world.connector.generate_user_task_json([1])["scheduler_data"]
    assert (scheduler["task_timeout_sec"], scheduler["retry_count"]) == (600, 2)


@pytest.mark.parametrize("retries", [-1, 10, 1.5, "3", True])
def test_impossible_retry_counts_are_refused(retries: Any) -> None:
    """The message names the field as the caller knows it."""
    connector = ConnectedWorld().connector
    job = connector.generate_user_task_json([1])
    job["scheduler_data"]["retry_count"] = retries
    with pytest.raises(InvalidRequest, match=r"retry_count is .*; give a whole number from 0 to 9"):
        connector.submit(job)


# --- construction


def test_nothing_works_without_a_configuration() -> None:
    """AWSConnector() alone says that init comes first."""
    with pytest.raises(ConfigurationError, match=r"call init\(agent_config_data\) first"):
        AWSConnector().send([1])


def test_the_worker_may_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the configuration, else by the environment; nobody is asked then."""
    world = ConnectedWorld(config={"stepgrid_worker": "nobody"})
    with pytest.raises(NotFound, match="nobody"):
        world.connector.send([1])
    monkeypatch.setenv("STEPGRID_WORKER", "someone")
    with pytest.raises(NotFound, match="someone"):
        ConnectedWorld().connector.send([1])
    monkeypatch.setenv("STEPGRID_WORKER", "")
    assert ConnectedWorld().connector.send([1])["task_ids"]


@pytest.mark.parametrize("default", ["", "gone"])
def test_a_grid_may_have_a_default_worker(default: str) -> None:
    """HTC-Grid's clients name none: the grid's default runs their tasks, if it is there."""
    workers = {"negate": lambda event, context: -event, "square": lambda event, context: event**2}
    memory = InMemoryGrid(workers, settings={"default_worker": "negate"})
    with memory.client() as grid:
        connector = AWSConnector(grid=grid)
        assert connector.get_results(connector.send([3]))["finished_OUTPUT"] == ["-3"]
    grid = InMemoryGrid(workers, settings={"default_worker": default}).client()
    message = "has these: negate, square; name one as"
    with grid, pytest.raises(ConfigurationError, match=message):
        AWSConnector(grid=grid).send([3])
