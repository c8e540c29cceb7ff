"""AWSConnector on the real planes in memory: what it answers, in HTC-Grid's formats."""

import gc
import json
from typing import Any

import pytest

from stepgrid import InvalidRequest, Unavailable
from stepgrid.collector import ResultCollector
from stepgrid.htcgrid.results import CHUNK_BYTES, SESSION_BYTES, TASK_BYTES, SessionResults
from tests.unit.htcgrid_world import NOTHING, UNKNOWN, ZEROS, ConnectedWorld
from tests.unit.sdk_fakes import Sent

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
    assert len(world.transport.asked("GET", "/results")) == 2  # the last came with the end
    assert len(set(world.objects.gets)) == 3


def test_a_complete_session_is_answered_from_memory() -> None:
    """Once all is known, asking again sends nothing at all."""
    connector = (world := ConnectedWorld()).connector
    sent = connector.send([1, 2])
    first = connector.get_results(sent)
    world.transport.sent.clear()
    assert connector.get_results(sent) == first
    assert world.transport.sent == []


def count_readers() -> int:
    gc.collect()
    return sum(isinstance(found, ResultCollector) for found in gc.get_objects())


def test_a_complete_session_keeps_its_texts_alone() -> None:
    """What read them is let go: of many sessions it would take more memory than the texts."""
    before = count_readers()
    world, sent = large_results_world()
    world.run_chunk(0)
    world.connector.get_results(sent, timeout_sec=1)
    assert count_readers() == before + 1
    world.memory.run()
    world.connector.get_results(sent)
    assert count_readers() == before


def test_what_is_kept_is_counted() -> None:
    """All that a session takes: its texts, and while it is open what its pages tell."""
    world, sent = large_results_world()
    results = SessionResults(world.grid.connection)
    sizes = [results.size_bytes]
    for run in (lambda: world.run_chunk(0), world.memory.run):
        run()
        report = world.grid.connection.api.describe(sent["session_id"], results=True)
        results.update(report, None)
        sizes.append(results.size_bytes)
    one_task = TASK_BYTES + len(json.dumps("x" * 20_000))
    assert sizes == [
        SESSION_BYTES,
        SESSION_BYTES + one_task + 3 * CHUNK_BYTES,
        SESSION_BYTES + 3 * one_task,
    ]


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
