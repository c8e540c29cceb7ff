"""Sessions that share a worker of the deployed grid: order, pause, resume, quotas."""

from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from stepgrid import Grid, Session
from stepgrid.local import LocalCloud
from stepgrid.registrar import GridStack, Registrar
from stepgrid_core.errors import QuotaExceeded
from stepgrid_core.names import execution_name
from stepgrid_core.states import TERMINAL_SESSIONS, SessionState

#: More than any worker's budget on a local cloud: such a session wants all of it.
EVERYTHING: dict[str, Any] = {"chunk_size": 1, "max_concurrency": 10_000}
TASKS = 64


def naps(milliseconds: int, starts: Path | None = None) -> list[dict[str, Any]]:
    task: dict[str, Any] = {"worker_arguments": [str(milliseconds), "1", "1"]}
    if starts is not None:
        task["append_time"] = str(starts)
    return [task] * TASKS


def first_start(starts: Path) -> float:
    return min(float(line) for line in starts.read_text(encoding="ascii").split())


def fill(grid: Grid) -> Session:
    """A session that uses up the worker's budget for a while."""
    session = grid.submit("mock-compute", naps(400), **EVERYTHING)
    assert not session.status().waiting
    return session


def test_sessions_on_a_full_worker_start_by_priority(grid: Grid, tmp_path: Path) -> None:
    """Submitted in the wrong order, started in the right one; one was moved while it waited."""
    running = fill(grid)
    sessions = {}
    for name, priority in (("low", 1), ("moved", 2), ("high", 8)):
        tasks = naps(0, tmp_path / name)
        sessions[name] = grid.submit("mock-compute", tasks, priority=priority, **EVERYTHING)
        assert sessions[name].status().waiting
    assert sessions["moved"].set_priority(9).priority == 9
    assert running.status().state not in TERMINAL_SESSIONS, "it ended too soon for this test"
    for session in sessions.values():
        assert session.wait().counts.finished == TASKS
    starts = {name: first_start(tmp_path / name) for name in sessions}
    assert sorted(starts, key=lambda name: starts[name]) == ["moved", "high", "low"]


def test_a_paused_session_stands_still_until_it_is_resumed(grid: Grid) -> None:
    """What runs is finished, nothing more starts, and others get its slots meanwhile."""
    session = grid.submit("mock-compute", naps(100), **EVERYTHING)
    paused = session.pause()
    assert (paused.paused, paused.slots) == (True, 0)
    other = grid.submit("mock-compute", [{"worker_arguments": ["0", "1", "1"]}])
    assert other.results() == [0]
    still = session.status()
    assert still.state in (SessionState.PENDING, SessionState.RUNNING)
    assert still.counts.pending > 0
    session.resume()
    assert session.results() == [100] * TASKS


def executions_have_ended(cloud: LocalCloud, session: Session) -> bool:
    machine = cloud.status().outputs["SessionMachineArn"]
    found = cloud.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
    again = [each for each in found if each["name"] == execution_name(session.id, 2)]
    return bool(again) and all(each["status"] != "RUNNING" for each in again)


def test_a_resumed_session_is_cancelled_with_its_counts(grid: Grid, cloud: LocalCloud) -> None:
    """Its task went on all the while, so the execution of the resume had nothing to do, and has
    ended when it is to be stopped."""
    session = grid.submit("mock-compute", [{"worker_arguments": ["30000", "1", "1"]}])
    while not session.status().counts.processing:
        Event().wait(0.1)
    session.pause()
    session.resume()
    while not executions_have_ended(cloud, session):
        Event().wait(0.1)
    assert session.cancel().cancelled_processing == 1
    assert session.status().counts.cancelled == 1


def test_an_over_quota_submit_leaves_no_trace(
    make_grid: Callable[[str], Grid], cloud: LocalCloud
) -> None:
    """Refused at once, with the numbers; what fits is taken, and the quota is this owner's only."""
    modest = make_grid("modest")
    stack = GridStack.read(cloud.status().stack_name, cloud.status().outputs, True)
    # Not by `modest.quota()`: the API keeps for a minute what it has read.
    owner = cloud.client("iam").get_user(UserName="modest")["User"]["Arn"]
    Registrar(stack, cloud.client).set_quota(owner, tasks=50)
    with pytest.raises(QuotaExceeded, match=r"51 tasks.*50 at once"):
        modest.submit("mock-compute", naps(0)[:51])
    assert list(modest.sessions()) == []
    assert modest.submit("mock-compute", naps(0)[:50]).results() == [0] * 50
    assert (modest.quota().owner, modest.quota().tasks) == (owner, 0)
    assert make_grid("quant").quota().max_tasks is None
