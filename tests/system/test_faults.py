"""The promises on the deployed grid: killed workers, and cancel."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import psutil
import pytest

from stepgrid import Grid
from stepgrid.local import LocalCloud
from stepgrid_core.states import TERMINAL_SESSIONS

WORKER = "stepgrid-local-worker-mock-compute"


def worker_processes(cloud: LocalCloud) -> list[psutil.Process]:
    """The worker environments of mock-compute, without the children that run user code."""
    pid = cloud.status().pid
    assert pid is not None
    return [child for child in psutil.Process(pid).children() if _is_worker(child)]


def _is_worker(process: psutil.Process) -> bool:
    try:
        return process.environ().get("AWS_LAMBDA_FUNCTION_NAME") == WORKER
    except psutil.Error:
        return False


def kill_busy_environments(cloud: LocalCloud) -> Iterator[int]:
    """Each time it is asked: wait until environments run user code, and kill them all."""
    while True:
        wait_until(lambda: busy_environments(cloud))
        busy = busy_environments(cloud)
        for process in busy:
            process.kill()
        psutil.wait_procs(busy, timeout=10)
        yield len(busy)


def busy_environments(cloud: LocalCloud) -> list[psutil.Process]:
    return [process for process in worker_processes(cloud) if _children(process)]


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children()
    except psutil.Error:
        return []


def test_killed_environments_lose_nothing(grid: Grid, cloud: LocalCloud, tmp_path: Path) -> None:
    """Every worker process killed five times: all 2,000 tasks finish, each with one result."""
    trace = tmp_path / "starts"
    trace.touch()
    tasks = [
        {"append_time": str(trace), "worker_arguments": ["20", "1", "1"]} for _ in range(2_000)
    ]
    session = grid.submit("mock-compute", tasks, task_seconds=0.02, max_attempts=5)
    kills = kill_busy_environments(cloud)
    for round_number in range(1, 6):
        wait_for_starts(trace, 60 * round_number)
        assert next(kills) > 0
    results = session.results()
    assert results == [20] * 2_000
    counts = session.status().counts
    assert counts.finished == 2_000
    assert sum(counts.model_dump().values()) == 2_000
    assert count_starts(trace) > 2_000, "no kill hit work in progress"


def count_starts(trace: Path) -> int:
    return trace.read_bytes().count(b"\n")


def wait_for_starts(trace: Path, count: int) -> None:
    wait_until(lambda: count_starts(trace) >= count)


def wait_until(condition: Callable[[], object]) -> None:
    """Look again and again, 50 times a second, until it holds; fail after a minute."""
    pause, give_up_at = Event(), time.monotonic() + 60
    while not condition():
        assert time.monotonic() < give_up_at, "it did not come to pass"
        pause.wait(0.02)


def test_cancel_is_answered_soon_and_nothing_starts_afterwards(grid: Grid, tmp_path: Path) -> None:
    """Tasks write the time of their start; none is later than the answer, and counts add up."""
    trace = tmp_path / "starts"
    trace.touch()
    tasks = [{"append_time": str(trace), "worker_arguments": ["5", "1", "1"]} for _ in range(4_000)]
    session = grid.submit("mock-compute", tasks, chunk_size=100)
    wait_for_starts(trace, 500)
    asked_at = time.monotonic()
    counts = session.cancel()
    seconds = time.monotonic() - asked_at
    answered_at = time.time()
    assert counts.total_cancelled_tasks > 0
    status = session.status()
    assert status.state in TERMINAL_SESSIONS
    assert status.counts.cancelled == counts.total_cancelled_tasks
    assert sum(status.counts.model_dump().values()) == 4_000
    assert session.cancel().total_cancelled_tasks == 0
    grid.submit("mock-compute", [{"worker_arguments": ["1500", "1", "1"]}] * 8).wait()
    starts = [float(line) for line in trace.read_text().split()]
    assert max(starts) <= answered_at
    assert len(starts) < 4_000
    kept = [result for result in session.results(return_exceptions=True) if result == 5]
    assert len(kept) == status.counts.finished
    print(f"cancel answered after {seconds:.2f} s")


@pytest.mark.parametrize("watch", range(3))
def test_a_cancelled_session_can_be_cancelled_again(grid: Grid, watch: int) -> None:
    """The second answer has zeros, and nothing changes."""
    session = grid.submit("mock-compute", [{"worker_arguments": ["300", "1", "1"]}] * 30)
    first = session.cancel()
    before = session.status().counts
    assert session.cancel().total_cancelled_tasks == 0
    assert session.status().counts == before
    assert before.cancelled == first.total_cancelled_tasks
