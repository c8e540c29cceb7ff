"""HTCGridClient on the real planes in memory, used as HTC-Grid's user guide uses it."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from stepgrid import ConfigurationError, InvalidRequest, NotFound
from stepgrid.client import Grid
from stepgrid.config import Config
from stepgrid.htcgrid import GridConnectionError, HTCGridClient
from tests.unit.sdk_fakes import FakeClock, Reply, World, serving

UNKNOWN = "00000000-0000-5000-8000-000000000000"


class ClientWorld(World):
    """A grid in memory with an HTCGridClient whose requests are recorded."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.client = HTCGridClient(grid=self.grid)


def tasks(*payloads: Any, **settings: Any) -> list[dict[str, Any]]:
    return [{"payload": payload, **settings} for payload in payloads]


def sent_options(world: ClientWorld) -> Any:
    options = world.transport.asked("POST", "/sessions")[0].body["options"]
    return {name: value for name, value in options.items() if value is not None}


def test_the_function_gets_the_payload_and_results_are_values() -> None:
    """In order of submission, as the function returned them."""
    client = ClientWorld().client
    session_id = client.submit_session(tasks(3, {"a": [1]}, 2, runtime="python"))
    assert client.get_session_results(session_id) == [9, {"a": [1]}, 4]


def test_a_failed_task_has_an_error_in_its_place() -> None:
    """As the guide reads it: a statusCode that is not 200, and an error."""
    client = ClientWorld().client
    session_id = client.submit_session(tasks(3, "fail", retry_count=0))
    good, bad = client.get_session_results(session_id)
    assert good == 9
    assert (bad["statusCode"], bad["state"], bad["task_id"]) == (500, "failed", f"{session_id}_1")
    assert "ValueError: no square of that" in bad["error"]


def test_status_counts_ended_tasks() -> None:
    """completed_tasks reaches total_tasks, also when some failed: the guide's loop ends."""
    client = ClientWorld().client
    session_id = client.submit_session(tasks(3, "fail"))
    status = client.get_session_status(session_id)
    assert status == {
        "session_id": session_id,
        "status": "finished",
        "total_tasks": 2,
        "completed_tasks": 2,
        "pending_tasks": 0,
        "processing_tasks": 0,
        "retrying_tasks": 0,
        "finished_tasks": 1,
        "failed_tasks": 1,
        "cancelled_tasks": 0,
    }
    assert json.loads(json.dumps(status)) == status


def test_a_cancelled_session() -> None:
    """Cancel answers counts, and results say that the tasks were cancelled."""
    client = ClientWorld(autorun=False).client
    session_id = client.submit_session(tasks(1, 2))
    assert client.cancel_session(session_id)["cancelled_pending"] == 2
    assert client.cancel_session(session_id)["total_cancelled_tasks"] == 0
    states = [item["state"] for item in client.get_session_results(session_id)]
    assert states == ["cancelled", "cancelled"]
    assert client.get_session_status(session_id)["completed_tasks"] == 2


def test_active_sessions_are_listed() -> None:
    """Those that have not ended, or all; newest first."""
    world = ClientWorld(autorun=False)
    first = world.client.submit_session(tasks(1))
    world.memory.run()
    world.memory.clock.advance(1)
    second = world.client.submit_session(tasks(1, 2), name="second")
    (active,) = world.client.list_sessions()
    assert (active["session_id"], active["total_tasks"], active["name"]) == (second, 2, "second")
    assert [item["session_id"] for item in world.client.list_sessions("all")] == [second, first]


def test_waiting_ends_with_a_timeout_error() -> None:
    """timeout is in seconds, and what is raised is Python's TimeoutError."""
    client = ClientWorld(autorun=False).client
    session_id = client.submit_session(tasks(1))
    with pytest.raises(TimeoutError, match="did not end within 3 s"):
        client.get_session_results(session_id, timeout=3)


def test_unknown_sessions_are_not_found() -> None:
    """Results and status of what is not there raise; a cancel counts nothing."""
    client = ClientWorld().client
    for call in (client.get_session_results, client.get_session_status):
        with pytest.raises(NotFound, match=UNKNOWN):
            call(UNKNOWN)
    assert client.cancel_session(UNKNOWN)["total_cancelled_tasks"] == 0


# --- what tasks ask for


def test_settings_become_options() -> None:
    """timeout, retry_count and priority of the tasks hold for their session."""
    world = ClientWorld()
    world.client.submit_session(
        tasks(1, 2, timeout=300, memory=1024, retry_count=3, priority="high")
    )
    assert sent_options(world) == {"task_timeout_seconds": 300, "max_attempts": 4, "priority": 7}


def test_arguments_stand_for_tasks_that_do_not_say() -> None:
    """A task's own setting wins, and may be what the argument is."""
    world = ClientWorld()
    mixed = [{"payload": 1}, {"payload": 2, "timeout": 60}]
    world.client.submit_session(mixed, timeout=60, priority=9)
    assert sent_options(world) == {"task_timeout_seconds": 60, "priority": 9}


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"timeout": 5}, "task 1 has timeout 5, and task 0 has None"),
        ({"priority": "low"}, "task 1 has priority 'low', and task 0 has None"),
        ({"runtime": "other"}, "task 1 has runtime 'other', and task 0 has None"),
    ],
)
def test_tasks_that_differ_are_refused(second: dict[str, Any], message: str) -> None:
    """A session runs its tasks alike: what differs is named, nothing is ignored or submitted."""
    world = ClientWorld()
    with pytest.raises(InvalidRequest, match=message):
        world.client.submit_session([{"payload": 1}, {"payload": 2, **second}])
    assert world.transport.asked("POST", "/sessions") == []


def test_tasks_are_taken_as_they_are_packed() -> None:
    """Any iterable does; of a large one no list is made."""
    client = ClientWorld().client
    session_id = client.submit_session({"payload": n} for n in range(3))
    assert client.get_session_results(session_id) == [0, 1, 4]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([], "a session needs at least one task"),
        ({"payload": 1}, "tasks is a dict; give a list"),
        ([{"worker_arguments": ["1"]}], "task 0 has no payload"),
        (["text"], "task 0 has no payload"),
        ([{"payload": 1, "time_out": 3}], "task 0 has 'time_out', which is not known"),
        ([{"payload": 1, "priority": "urgent"}], "priority is 'urgent'; give one of"),
        ([{"payload": 1, "priority": 10}], "priority is 10; give one of"),
        ([{"payload": 1, "retry_count": 10}], "retry_count is 10; give a whole number"),
        ([{"payload": 1, "memory": "1 GB"}], "memory is '1 GB'; give a whole number of MB"),
        ([{"payload": 1, "memory": 4096}], "asks for 4096 MB of memory, and worker 'square' has"),
        ([{"payload": 1, "timeout": -1}], "option task_timeout_seconds"),
        (
            [{"payload": 1, "runtime": "cobol"}],
            "'cobol' is no worker of this grid; there are",
        ),
    ],
)
def test_impossible_tasks_are_refused(bad: Any, message: str) -> None:
    """The message says which task, what is wrong, and what there is; no session is made."""
    world = ClientWorld()
    with pytest.raises(InvalidRequest, match=message):
        world.client.submit_session(bad)
    assert world.transport.asked("POST", "/sessions") == []


def test_the_runtime_names_the_worker() -> None:
    """A grid with several workers runs a session on the one of its runtime."""
    world = ClientWorld()
    workers = {"square": lambda e, c: e * e, "negate": lambda e, c: -e}
    memory = type(world.memory)(workers)
    with memory.client() as grid:
        client = HTCGridClient(grid=grid)
        assert client.get_session_results(client.submit_session(tasks(3, runtime="negate"))) == [-3]
        with pytest.raises(InvalidRequest, match="no worker is chosen; there are negate, square"):
            client.submit_session(tasks(3, runtime="python"))
        chosen = HTCGridClient(config={"stepgrid_worker": "square"}, grid=grid)
        assert chosen.get_session_results(chosen.submit_session(tasks(3))) == [9]


# --- configuration


def test_the_configuration_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guide's keys; an address that nobody answers is a ConnectionError."""
    monkeypatch.setenv("INTRA_VPC", "1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
    path = tmp_path / "agent_config.json"
    path.write_text(json.dumps({"api_gateway_url": "https://x.example/p", "region": "eu-west-1"}))
    HTCGridClient(config_file=path).close()
    monkeypatch.setenv("AGENT_CONFIG_FILE", str(path))
    HTCGridClient().close()
    with pytest.raises(ConfigurationError, match="can't be read"):
        HTCGridClient(config_file=tmp_path / "missing.json")


def test_a_grid_that_does_not_answer_is_a_connection_error() -> None:
    """As the guide catches it."""
    with serving(Reply(503)) as server:
        config = Config(server.url + "/v1", "eu-west-1", "AKIAEXAMPLE", "example")
        grid = Grid(config=config, clock=FakeClock(), timeout_seconds=5)
        with grid, pytest.raises(ConnectionError) as raised:
            HTCGridClient(grid=grid).submit_session(tasks(1))
    assert isinstance(raised.value, GridConnectionError)


def test_the_log_level_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTC_LOG_LEVEL holds for stepgrid's own loggers."""
    log = logging.getLogger("stepgrid")
    monkeypatch.setattr(log, "level", log.level)
    monkeypatch.setenv("HTC_LOG_LEVEL", "info")
    HTCGridClient(config={})
    assert log.level == logging.INFO
    monkeypatch.setenv("HTC_LOG_LEVEL", "loud")
    with pytest.raises(ConfigurationError, match="HTC_LOG_LEVEL is 'loud'"):
        HTCGridClient(config={})
