"""Tasks that run are stopped when their session is over: real processes, the real clock.

Each task holds a FIFO open while it lives, so that its end is seen and not waited for.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stepgrid.testing import InMemoryGrid
from stepgrid_core.aws.clock import SystemClock
from stepgrid_core.cancellation import cancel
from stepgrid_core.compute_plane import run_chunk
from stepgrid_core.contract import SubmitRequest
from stepgrid_core.description import describe
from stepgrid_core.invocation import Invocation, facts_of
from stepgrid_core.outputs import list_tasks
from stepgrid_core.records import Session
from stepgrid_core.states import FailureReason, SessionState, TaskState
from stepgrid_core.wiring import Grid
from tests.integration.runner_bench import RunnerMaker, await_end_of_file
from tests.submitting import submit

OWNER = "owner"
#: A task is a FIFO to hold open for ever, or a value to return.
HOLD = """
import os, threading

def handle(event, context):
    if isinstance(event, int):
        return event
    os.open(event, os.O_WRONLY)
    threading.Event().wait()
"""


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "held"
    os.mkfifo(path)
    return path


@pytest.fixture
def grid() -> Grid:
    return replace(InMemoryGrid({"hold": print}, autorun=False).wiring, clock=SystemClock())


def submit_tasks(grid: Grid, tasks: list[Any], **options: Any) -> Session:
    request = {
        "client_token": "token",
        "worker": "hold",
        "tasks": tasks,
        "options": {"chunk_size": len(tasks), **options},
    }
    return submit(grid, OWNER, SubmitRequest.model_validate(request))


@contextmanager
def worker(grid: Grid, session: Session, make_runner: RunnerMaker) -> Iterator[None]:
    """A worker runs the session's one chunk meanwhile, and has let it go at the end."""
    invocation = Invocation(facts_of(session), 0, "token")
    runner = make_runner(HOLD)
    thread = threading.Thread(target=run_chunk, args=(grid, invocation, runner, lambda: 900.0))
    thread.start()
    yield
    thread.join()


def states(grid: Grid, session: Session) -> list[TaskState]:
    page = list_tasks(grid, OWNER, session.session_id, None, None)
    return [task.state for task in page.tasks]


def test_a_running_task_is_killed_by_cancel(
    grid: Grid, fifo: Path, make_runner: RunnerMaker
) -> None:
    """Its process ends; what its worker had not published yet is cancelled as well."""
    session = submit_tasks(grid, [1, str(fifo), 3])
    with worker(grid, session, make_runner), fifo.open("rb", buffering=0) as held:
        counts = cancel(grid, OWNER, [session.session_id])[session.session_id]
        await_end_of_file(held.fileno())
    assert counts.cancelled_processing == counts.total_cancelled_tasks == 3
    assert states(grid, session) == [TaskState.CANCELLED] * 3


def test_a_running_task_is_killed_at_the_deadline(
    grid: Grid, fifo: Path, make_runner: RunnerMaker
) -> None:
    """Its process ends, it has failed for that, and what was finished before is kept."""
    session = submit_tasks(grid, [1, str(fifo), 3], timeout_seconds=2)
    with worker(grid, session, make_runner), fifo.open("rb", buffering=0) as held:
        await_end_of_file(held.fileno())
    assert states(grid, session) == [TaskState.FINISHED, TaskState.FAILED, TaskState.FAILED]
    failed = list_tasks(grid, OWNER, session.session_id, TaskState.FAILED, None).tasks
    assert [task.reason for task in failed] == [FailureReason.SESSION_TIMEOUT] * 2
    assert describe(grid, OWNER, session.session_id).state is SessionState.FAILED


def test_whoever_waits_is_told_of_the_deadline(grid: Grid) -> None:
    """A session that nobody runs ends under the eyes of its poller; no sweeper is needed."""
    session = submit_tasks(grid, [1, 2], timeout_seconds=1)
    shown = describe(grid, OWNER, session.session_id, wait_seconds=20)
    assert (shown.state, shown.counts.failed) == (SessionState.FAILED, 2)
    assert shown.timings.closed_at is not None
