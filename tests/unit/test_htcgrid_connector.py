"""AWSConnector on the real planes in memory: HTC-Grid's formats, field by field."""

import json
from typing import Any

import pytest

from stepgrid import ConfigurationError, InvalidRequest, NotFound, Unavailable
from stepgrid.htcgrid import AWSConnector
from stepgrid.testing import InMemoryGrid
from stepgrid_core.invocation import Invocation, facts_of
from tests.unit.sdk_fakes import Sent, World

LISTS = [
    f"{state}{end}" for state in ("finished", "cancelled", "failed") for end in ("", "_OUTPUT")
]
NOTHING = {**{name: [] for name in LISTS}, "metadata": {"tasks_in_response": 0}}
UNKNOWN = "00000000-0000-5000-8000-000000000000"
ZEROS = {
    "cancelled_retrying": 0,
    "cancelled_pending": 0,
    "cancelled_processing": 0,
    "total_cancelled_tasks": 0,
}


class ConnectedWorld(World):
    """A grid in memory with an AWSConnector whose requests are recorded."""

    def __init__(self, *args: Any, config: dict[str, Any] | None = None, **named: Any) -> None:
        super().__init__(*args, **named)
        self.connector = AWSConnector(config or {}, grid=self.grid)

    def run_chunk(self, chunk: int) -> None:
        """One chunk of the session that was submitted first, where nothing runs by itself."""
        dispatch = self.memory.dispatcher.started[0]
        lines = dispatch.lines[chunk] if dispatch.lines else None
        token = f"token-{chunk}"
        self.memory.executions.invoke(Invocation(facts_of(dispatch.session), chunk, token, lines))


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


# --- results


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1000, "1000"),
        ("x", '"x"'),
        ("Zürich", '"Z\\u00fcrich"'),
        ({"b": 1, "a": [1, 2]}, '{"b": 1, "a": [1, 2]}'),
        ([1, "2", None], '[1, "2", null]'),
        (None, "null"),
        (0.1, "0.1"),
        (1e300, "1e+300"),
        (True, "true"),
        (2**70, "1180591620717411303424"),
        ({}, "{}"),
        ("", '""'),
    ],
)
def test_finished_output_is_the_json_text_of_the_return_value(value: Any, text: str) -> None:
    """Exactly what json.dumps of the handler's return value is."""
    world = ConnectedWorld(lambda event, context: value)
    results = world.connector.get_results(world.connector.send([{}]))
    assert results["finished_OUTPUT"] == [text] == [json.dumps(value)]


def test_results_have_the_form_of_htc_grid() -> None:
    """All six lists in order of submission, the error's text, and the number of ended tasks."""
    connector = ConnectedWorld().connector
    sent = connector.send([3, "fail", 1, 2])
    ids = sent["task_ids"]
    results = connector.get_results(sent)
    (error,) = results.pop("failed_OUTPUT")
    assert results == {
        "finished": [ids[0], ids[2], ids[3]],
        "finished_OUTPUT": ["9", "1", "4"],
        "cancelled": [],
        "cancelled_OUTPUT": [],
        "failed": [ids[1]],
        "metadata": {"tasks_in_response": 4},
    }
    assert f"task {ids[1]} failed: ValueError: no square of that" in error
    assert "Traceback" in error


def test_results_are_plain_and_answer_to_dict() -> None:
    """They are JSON as they are; to_dict, which HTC-Grid's objects have, gives plain dicts."""
    connector = ConnectedWorld().connector
    results = connector.get_results(connector.send([2]))
    assert json.loads(json.dumps(results)) == results == results.to_dict()
    assert type(results.to_dict()["metadata"]) is dict
    assert results["metadata"].to_dict() == {"tasks_in_response": 1}


def test_order_is_that_of_submission_over_many_chunks() -> None:
    """Outputs stay beside their ids, whatever chunk they were in."""
    world = ConnectedWorld(lambda event, context: event)
    sent = world.connector.send(range(500))
    results = world.connector.get_results(sent)
    assert results["finished"] == sent["task_ids"]
    assert results["finished_OUTPUT"] == [str(number) for number in range(500)]


@pytest.mark.parametrize("name", [UNKNOWN, "62d2beea-6911-11eb-b5fb-060372291b89-part002", "", "x"])
def test_an_unknown_session_has_no_results(name: str) -> None:
    """The same empty structure at once, and no error, even without a time limit."""
    asked = {"session_id": name, "task_ids": [f"{name}_0"]}
    assert ConnectedWorld().connector.get_results(asked) == NOTHING


@pytest.mark.parametrize("asked", [None, {}, "id", {"session_id": None}])
def test_results_need_a_session_id(asked: Any) -> None:
    """What is not a submission is an error that says so."""
    with pytest.raises(InvalidRequest, match="there is no session_id"):
        ConnectedWorld().connector.get_results(asked)


def test_on_timeout_there_is_what_there_is() -> None:
    """After timeout_sec, in the grid's time, the tasks that have ended; the others are missing."""
    world = ConnectedWorld(autorun=False)
    sent = world.connector.send([1, 2, 3])
    world.run_chunk(1)
    before = world.memory.clock.monotonic()
    results = world.connector.get_results(sent, timeout_sec=7)
    assert world.memory.clock.monotonic() - before == pytest.approx(7, abs=0.1)
    assert results["finished"] == [sent["task_ids"][1]]
    assert results["finished_OUTPUT"] == ["4"]
    assert results["metadata"]["tasks_in_response"] == 1


def test_a_task_that_is_tried_again_has_not_ended() -> None:
    """Asked during its second attempt: its neighbour has ended, and it has not failed."""
    seen: list[Any] = []

    def work(task: Any, context: Any) -> Any:
        if task == "stumbles" and context.attempt == 1:
            raise ValueError("once")
        if task == "stumbles":
            seen.append(world.connector.get_results(sent, timeout_sec=1))
        return task

    world = ConnectedWorld(work, autorun=False)
    sent = world.connector.send(["walks", "stumbles"] * 41)
    world.memory.run()
    walker, stumbler = sent["task_ids"][:2]
    assert walker in seen[0]["finished"]
    assert stumbler not in seen[0]["finished"]
    assert all(results["failed"] == [] for results in seen)
    assert world.connector.get_results(sent)["finished"] == sent["task_ids"]


def test_without_timeout_it_waits_to_the_end() -> None:
    """0 means for ever: here until the tasks run after ten minutes."""
    world = ConnectedWorld(autorun=False)
    sent = world.connector.send([1, 2])
    started = world.memory.clock.monotonic()

    def before(request: Sent) -> None:
        if world.memory.clock.monotonic() - started > 600:
            world.memory.run()

    world.transport.before = before
    assert world.connector.get_results(sent)["finished_OUTPUT"] == ["1", "4"]


def test_it_waits_for_as_many_tasks_as_there_are_ids() -> None:
    """The length of task_ids says how many ended tasks are enough, as in HTC-Grid."""
    world = ConnectedWorld(autorun=False)
    sent = world.connector.send([1, 2, 3])
    world.run_chunk(2)
    asked = {"session_id": sent["session_id"], "task_ids": sent["task_ids"][:1]}
    assert world.connector.get_results(asked)["finished"] == [sent["task_ids"][2]]


def test_more_ids_than_tasks_do_not_wait_for_ever() -> None:
    """A session that has ended is answered, whatever was expected of it."""
    connector = ConnectedWorld().connector
    sent = connector.send([1])
    asked = {"session_id": sent["session_id"], "task_ids": ["a", "b"]}
    assert connector.get_results(asked)["finished_OUTPUT"] == ["1"]


def test_polls_keep_to_the_configured_interval() -> None:
    """Each look may be held open by the grid for so long, and no pause lies between two."""
    world = ConnectedWorld(autorun=False, config={"dynamodb_results_pull_interval_sec": 2.5})
    world.connector.get_results(world.connector.send([1]), timeout_sec=6)
    waits = [sent.query["wait"] for sent in world.transport.sent if "wait" in sent.query]
    assert waits == [2.5, 2.5, pytest.approx(1.0, abs=0.01)]


def test_one_look_without_waiting() -> None:
    """invoke_get_results_lambda answers in the same form, at once."""
    world = ConnectedWorld(autorun=False)
    sent = world.connector.send([1, 2])
    assert world.connector.invoke_get_results_lambda({"session_id": sent["session_id"]}) == NOTHING
    world.memory.run()
    results = world.connector.invoke_get_results_lambda({"session_id": sent["session_id"]})
    assert results["finished_OUTPUT"] == ["1", "4"]


# --- repeated polls


def large_results_world() -> tuple[ConnectedWorld, dict[str, Any]]:
    """Three tasks whose outputs are too large for the table, none of which has run."""
    world = ConnectedWorld(lambda event, context: "x" * 20_000, autorun=False)
    return world, world.connector.send([1, 2, 3])


def test_short_polls_never_fetch_an_output_again() -> None:
    """However often it is asked, each output is downloaded once, and pages are read for news."""
    world, sent = large_results_world()
    for chunk in range(3):
        world.run_chunk(chunk)
        for _ in range(5):
            results = world.connector.get_results(sent, timeout_sec=0.1)
            assert results["metadata"]["tasks_in_response"] == chunk + 1
        assert len(world.objects.gets) == chunk + 1
        assert len(world.transport.asked("GET", "/results")) == chunk + 1
    assert len(set(world.objects.gets)) == 3


def test_a_complete_session_is_answered_from_memory() -> None:
    """Once all is known, asking again sends nothing at all."""
    connector = (world := ConnectedWorld()).connector
    sent = connector.send([1, 2])
    first = connector.get_results(sent)
    world.transport.sent.clear()
    assert connector.get_results(sent) == first
    assert world.transport.sent == []


def test_an_output_that_could_not_be_read_is_read_next_time() -> None:
    """An error on the way loses nothing."""
    world, sent = large_results_world()
    world.memory.run()
    world.objects.refusals = 10
    with pytest.raises(Unavailable, match="has expired"):
        world.connector.get_results(sent)
    world.objects.refusals = 0
    assert len(world.connector.get_results(sent)["finished"]) == 3


# --- cancelling


def test_cancel_counts_by_state_and_keeps_what_has_finished() -> None:
    """Plain counts for each session; the finished task keeps its output."""
    world = ConnectedWorld(autorun=False)
    sent = world.connector.send([1, 2, 3])
    world.run_chunk(0)
    answer = world.connector.cancel_sessions([sent["session_id"], UNKNOWN, "nonsense"])
    assert answer == {
        sent["session_id"]: {**ZEROS, "cancelled_pending": 2, "total_cancelled_tasks": 2},
        UNKNOWN: ZEROS,
        "nonsense": ZEROS,
    }
    assert json.loads(json.dumps(answer)) == answer
    results = world.connector.get_results(sent)
    assert results["finished_OUTPUT"] == ["1"]
    assert results["cancelled"] == sent["task_ids"][1:]
    assert results["cancelled_OUTPUT"] == ["read_from_dataplane"] * 2


def test_cancel_of_one_session() -> None:
    """`cancel`, which does nothing in HTC-Grid, cancels."""
    world = ConnectedWorld(autorun=False)
    sent = world.connector.send([1])
    assert world.connector.cancel(sent["session_id"])["total_cancelled_tasks"] == 1
    assert world.connector.cancel_sessions([]) == {}


def test_cancel_takes_a_list() -> None:
    """An id alone is not taken for a list of letters."""
    with pytest.raises(InvalidRequest, match="give a list"):
        ConnectedWorld().connector.cancel_sessions(UNKNOWN)


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
