"""A session's common input is lost or damaged: its tasks fail for that, and nothing else does."""

from collections.abc import Callable
from typing import Any

import pytest

from stepgrid.testing import InMemoryGrid
from stepgrid_core.contract import SubmitRequest
from stepgrid_core.description import describe
from stepgrid_core.memory import MemoryPayloadStore
from stepgrid_core.outputs import list_tasks
from stepgrid_core.states import TaskState
from tests.submitting import submit

OWNER = "owner"


def request(token: str, common: Any) -> SubmitRequest:
    tasks, options = list(range(6)), {"chunk_size": 2}
    return SubmitRequest.model_validate(
        {
            "client_token": token,
            "worker": "add",
            "tasks": tasks,
            "common": common,
            "options": options,
        }
    )


def lose(payloads: MemoryPayloadStore, key: str) -> None:
    payloads.delete_prefix(key)


def damage(payloads: MemoryPayloadStore, key: str) -> None:
    payloads.put(key, b"[2]")


@pytest.mark.parametrize("harm", [lose, damage])
def test_its_tasks_fail_as_unreadable(harm: Callable[[MemoryPayloadStore, str], None]) -> None:
    """No task runs without it or with another; the session ends, and its neighbour is unharmed."""
    grid = InMemoryGrid({"add": lambda event, context: event + context.common[0]}, autorun=False)
    healthy = submit(grid.wiring, OWNER, request("healthy", [10]))
    session = submit(grid.wiring, OWNER, request("harmed", [1]))
    assert session.common is not None
    harm(grid.payloads, session.common.key)
    grid.run()
    counts = describe(grid.wiring, OWNER, session.session_id).counts
    assert (counts.finished, counts.failed) == (0, 6)
    failed = list_tasks(grid.wiring, OWNER, session.session_id, TaskState.FAILED, None).tasks
    assert {(task.error or {})["type"] for task in failed} == {"InputError"}
    assert describe(grid.wiring, OWNER, healthy.session_id).counts.finished == 6


def test_a_warm_worker_goes_on_without_the_object() -> None:
    """What an environment has read is checked already: it needs the object no more."""
    grid = InMemoryGrid({"add": lambda event, context: event + context.common[0]}, autorun=False)
    first = submit(grid.wiring, OWNER, request("first", [1]))
    grid.run()
    second = submit(grid.wiring, OWNER, request("second", [1]))
    assert first.common == second.common is not None
    lose(grid.payloads, second.common.key)
    grid.run()
    assert describe(grid.wiring, OWNER, second.session_id).counts.finished == 6
