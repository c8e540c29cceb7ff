"""Sessions of federated tasks by the `/v1` routes: what their owners see of them, and who does."""

import json
from typing import Any

import pytest

from stepgrid import TaskCancelled, TaskFailed
from stepgrid.cli.rendering import session_fields
from stepgrid.session import Session as ClientSession
from stepgrid.testing import InMemoryGrid
from stepgrid_core.cancellation import cancel
from stepgrid_core.contract import SubmitRequest
from stepgrid_core.description import list_sessions
from stepgrid_core.endpoints import HttpAnswer, HttpRequest, answer
from stepgrid_core.federation.events import FederationKind
from stepgrid_core.federation.run_rows import kill_run
from stepgrid_core.names import runs_prefix
from stepgrid_core.output_parts import PART_BYTES
from stepgrid_core.ports import NoMembers
from stepgrid_core.result_pages import PEEK_BYTES_PER_PAGE, read_results
from stepgrid_core.states import SessionState
from tests.federated import OWNER, SESSION_ID, end_run, federate, federated_grid
from tests.submitting import submit

PATH = f"/v1/sessions/{SESSION_ID}"
LARGE = "x" * (PART_BYTES + 100_000)


class World:
    """A grid with one federated task of three organizations."""

    def __init__(self) -> None:
        self.memory, self.members = federated_grid()
        self.grid = self.memory.wiring
        self.session = federate(self.grid)

    def ask(self, method: str, path: str, body: Any = None, **query: str) -> HttpAnswer:
        values = {name: [value] for name, value in query.items()}
        sent = json.dumps(body).encode() if body is not None else b""
        return answer(self.grid, HttpRequest(method, path, values, sent), lambda: OWNER)

    def client(self) -> ClientSession:
        return self.memory.client(OWNER).session(SESSION_ID)


@pytest.fixture
def world() -> World:
    return World()


def test_the_sdk_reads_a_federated_task_as_any_session(world: World) -> None:
    """Results in order, with the errors of runs that failed or were killed in their places."""
    end_run(world.grid, world.session, 0, "first")
    end_run(world.grid, world.session, 1, None)
    assert kill_run(world.grid, world.session, 2)
    first, second, third = world.client().results(return_exceptions=True)
    assert first == "first"
    assert isinstance(second, TaskFailed)
    assert (second.remote_type, second.remote_message) == ("crashed", "last words")
    assert isinstance(third, TaskCancelled)


@pytest.mark.parametrize("result", ["small", "y" * 100_000, LARGE])
def test_results_of_any_size_are_read(world: World, result: str) -> None:
    """Twice, too: what came is kept."""
    for index in range(3):
        end_run(world.grid, world.session, index, f"{index}{result}")
    session = world.client()
    for _ in range(2):
        assert session.results() == [f"{index}{result}" for index in range(3)]


def test_no_url_leads_to_a_result(world: World) -> None:
    """One that is too large for a page is read by signed requests alone."""
    end_run(world.grid, world.session, 0, LARGE)
    end_run(world.grid, world.session, 1, "small")
    page = read_results(world.grid, OWNER, SESSION_ID)
    assert [chunk.url for chunk in page.chunks] == [None] * 3
    assert [chunk.by_parts for chunk in page.chunks] == [True] * 3
    assert [chunk.lines is None for chunk in page.chunks] == [True, False, True]


def test_a_page_carries_no_more_than_an_answer_can(world: World) -> None:
    session = federate(world.grid, 250, session_id="f" + SESSION_ID[1:])
    for index in range(250):
        end_run(world.grid, session, index, "z" * 7_000)
    page = read_results(world.grid, OWNER, session.session_id)
    sent = sum(len(chunk.lines) for chunk in page.chunks if chunk.lines is not None)
    assert PEEK_BYTES_PER_PAGE - 10_000 < sent <= PEEK_BYTES_PER_PAGE
    results = world.memory.client(OWNER).session(session.session_id).results()
    assert results == ["z" * 7_000] * 250


@pytest.mark.parametrize(
    ("chunk", "offset", "status"),
    [
        ("0", "0", 200),
        ("0", "99999999", 400),
        ("0", "-1", 400),
        ("0", "x", 400),
        ("1", "0", 404),
        ("3", "0", 404),
        ("-1", "0", 404),
        ("\u0663", "0", 404),
        ("9" * 20, "0", 404),
    ],
)
def test_a_part_that_is_not_there_is_refused(
    world: World, chunk: str, offset: str, status: int
) -> None:
    end_run(world.grid, world.session, 0, "result")
    assert world.ask("GET", f"{PATH}/outputs/{chunk}", offset=offset).status == status


def test_parts_are_for_federated_tasks_alone() -> None:
    """Other outputs can be as large as they like, and have URLs."""
    memory = InMemoryGrid({"echo": lambda event, _: event})
    request = {"client_token": "t", "worker": "echo", "tasks": [1]}
    session = submit(memory.wiring, OWNER, SubmitRequest.model_validate(request))
    memory.run()
    path = f"/v1/sessions/{session.session_id}/outputs/0"
    assert answer(memory.wiring, HttpRequest("GET", path), lambda: OWNER).status == 400


def test_a_description_tells_of_the_task(world: World) -> None:
    shown = json.loads(world.ask("GET", PATH).body)
    assert shown["federation"] == {
        "task_id": 7,
        "collaboration_id": 1,
        "organization_ids": [1, 2, 3],
    }
    assert (shown["backend"], shown["state"], shown["execution"]) == ("node", "pending", None)
    assert shown["timings"]["dispatched_at"] is None


READS = {
    "describe": ("GET", PATH),
    "results": ("GET", f"{PATH}/results"),
    "output": ("GET", f"{PATH}/outputs/0"),
    "tasks": ("GET", f"{PATH}/tasks"),
    "logs": ("GET", f"{PATH}/logs"),
    "plan": ("GET", f"{PATH}/plan"),
    "job": ("GET", f"/v1/jobs/{SESSION_ID}"),
    "delete": ("DELETE", PATH),
}


@pytest.mark.parametrize("read", READS)
def test_who_leaves_a_collaboration_finds_nothing(world: World, read: str) -> None:
    """In the same words as of a session that was never there, with the next request."""
    end_run(world.grid, world.session, 0, "result")
    world.members.left.add(OWNER)
    method, path = READS[read]
    refused, other_id = world.ask(method, path), "f" + SESSION_ID[1:]
    unknown = world.ask(method, path.replace(SESSION_ID, other_id))
    assert refused.status == 404
    assert refused.body == unknown.body.replace(other_id, SESSION_ID)


def test_who_leaves_a_collaboration_changes_nothing(world: World) -> None:
    """Not even ends it; and it is in no list."""
    assert len(list_sessions(world.grid, OWNER, None, None).sessions) == 1
    world.members.left.add(OWNER)
    assert list_sessions(world.grid, OWNER, None, None).sessions == []
    assert cancel(world.grid, OWNER, [SESSION_ID])[SESSION_ID].total_cancelled_tasks == 0
    assert world.ask("PATCH", PATH, {"priority": 9}).status == 404
    stored = world.grid.table.read_session(SESSION_ID)
    assert stored is not None
    assert stored.verdict is None


@pytest.mark.parametrize(("leaves", "told"), [(False, ["accepted", "started"]), (True, [])])
def test_who_leaves_a_collaboration_hears_nothing(
    world: World, leaves: bool, told: list[str]
) -> None:
    """Also by a subscription that was there before, and of what waits in it."""
    made = world.ask("POST", "/v1/subscriptions", {"client_token": "t"})
    name = json.loads(made.body)["subscription_id"]
    federate(world.grid, session_id="1" + SESSION_ID[1:], task_id=8)
    if leaves:
        world.members.left.add(OWNER)
    batch = json.loads(world.ask("POST", f"/v1/subscriptions/{name}/events", {}).body)
    assert sorted(each["kind"] for each in batch["events"]) == told
    assert len(batch["ack"]) == 2


def test_a_grid_without_a_federation_shows_no_federated_task(world: World) -> None:
    """Nobody can say there who is a member of what."""

    assert not NoMembers().may_read(world.session)


@pytest.mark.parametrize("change", [{"priority": 9}, {"paused": True}, {"paused": False}])
def test_what_waits_for_nodes_is_neither_paused_nor_urgent(
    world: World, change: dict[str, Any]
) -> None:
    refused = world.ask("PATCH", PATH, change)
    assert refused.status == 400
    assert "federated task" in refused.body


def test_there_is_no_plan_for_nodes(world: World) -> None:
    refused = world.ask("GET", f"{PATH}/plan")
    assert refused.status == 400
    assert "nodes" in refused.body


@pytest.mark.parametrize(
    "request_",
    [
        {"worker": "federation", "tasks": [1]},
        {"worker": "echo", "tasks": [1], "options": {"backend": "node"}},
    ],
)
@pytest.mark.parametrize("route", ["/v1/sessions", "/v1/plans"])
def test_a_submit_makes_no_federated_task(
    world: World, route: str, request_: dict[str, Any]
) -> None:
    """It is told what does."""
    body = {"client_token": "t", **request_}
    if route == "/v1/plans":
        body = {**request_, "tasks": 1}
    refused = world.ask("POST", route, body)
    assert refused.status == 400
    assert "POST /v1/federation/task " in refused.body


def test_cancel_ends_what_is_open(world: World) -> None:
    """At once: no worker of the grid has to be waited for."""
    end_run(world.grid, world.session, 0, "result")
    before = world.memory.clock.now()
    counts = cancel(world.grid, OWNER, [SESSION_ID])[SESSION_ID]
    assert counts.cancelled_pending == 2
    assert world.memory.clock.now() == before
    assert world.client().status().state is SessionState.CANCELLED


@pytest.mark.parametrize("how", ["cancel", "deadline"])
def test_nodes_are_told_what_was_ended(world: World, how: str) -> None:
    """And of nothing that had ended before."""
    session = federate(world.grid, session_id="f" + SESSION_ID[1:], timeout_seconds=60)
    end_run(world.grid, session, 0, "result")
    if how == "cancel":
        cancel(world.grid, OWNER, [session.session_id])
        cancel(world.grid, OWNER, [session.session_id])
    else:
        world.memory.clock.advance(61)
        world.memory.sweep()
    (event,) = world.memory.events.notified
    assert (event.kind, event.organization_ids) == (FederationKind.KILL, (2, 3))
    assert event.facts == {
        "kill_list": [
            {"task_id": 7, "run_id": 7001, "organization_id": 2},
            {"task_id": 7, "run_id": 7002, "organization_id": 3},
        ]
    }


def test_a_deleted_task_leaves_no_object(world: World) -> None:
    session = federate(world.grid, session_id="f" + SESSION_ID[1:], inputs=["i" * 20_000] * 3)
    for index in range(3):
        end_run(world.grid, session, index, "y" * 20_000)
    keys = world.memory.payloads.list_keys()
    assert len([key for key in keys if key.startswith(runs_prefix(session.session_id))]) == 4
    assert world.ask("DELETE", f"/v1/sessions/{session.session_id}").status == 200
    assert world.memory.payloads.list_keys() == []


def test_failed_runs_are_dead_letters(world: World) -> None:
    end_run(world.grid, world.session, 1, None)
    (letter,) = world.client().dead_letters()
    assert letter.index == 1


def test_the_status_of_a_session_names_its_federated_task(world: World) -> None:
    fields = dict(session_fields(world.client().status(), world.memory.clock.now()))
    assert fields["backend"] == "node"
    assert fields["federated task"] == "7, of collaboration 1"
