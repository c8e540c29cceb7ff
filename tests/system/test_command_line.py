"""The command line and the executor against the deployed grid, as a user runs them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import as_completed
from pathlib import Path

import pytest

from stepgrid import Grid, GridExecutor, InvalidRequest, Session
from stepgrid.config import write_profile
from stepgrid.login import sign_in
from stepgrid.users import make_password

Shell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def shell(grid: Grid, tmp_path: Path) -> Shell:
    """Runs `stepgrid` in a folder whose profile names the grid."""
    assert grid.config is not None
    write_profile(grid.config, tmp_path / ".stepgrid" / "profile.json")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(Path(sys.executable).with_name("stepgrid")), *arguments],
            cwd=tmp_path,
            input=stdin,
            env=environment | {"HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def test_submit_wait_and_results(shell: Shell, tmp_path: Path) -> None:
    """A file of tasks becomes a file of results; the exit code tells that one failed."""
    tasks = [{"return_bytes": 3}, {"raise": "no such curve"}, {"return_bytes": 1}]
    (tmp_path / "tasks.jsonl").write_text("".join(json.dumps(task) + "\n" for task in tasks))
    options = ("--wait", "--max-attempts", "1", "--results", "results.jsonl")
    submitted = shell("submit", "mock-compute", "tasks.jsonl", *options)
    assert submitted.returncode == 1, submitted.stderr
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert (lines[0], lines[2]) == ("xxx", "x")
    assert lines[1]["error"]["message"] == "no such curve"
    session = submitted.stdout.strip()
    status = json.loads(shell("status", session, "--json").stdout)
    assert (status["counts"]["finished"], status["counts"]["failed"]) == (2, 1)
    failed = json.loads(shell("tasks", session, "--state", "failed", "--json").stdout)
    assert failed["error"]["type"] == "RuntimeError"


def test_cancel_and_list(shell: Shell, grid: Grid) -> None:
    """A running session is cancelled from another process, and listed as such."""
    session = grid.submit("mock-compute", [{"worker_arguments": ["500", "1", "1"]}] * 60)
    cancelled = shell("cancel", session.id, "--json")
    assert cancelled.returncode == 0, cancelled.stderr
    counts = session.status().counts
    assert counts.cancelled == json.loads(cancelled.stdout)["total_cancelled_tasks"] > 0
    assert session.id in shell("list", "--state", "cancelled").stdout


def test_errors_are_one_line(shell: Shell) -> None:
    """What went wrong and what to do, without a traceback; the exit code tells the kind."""
    missing = shell("status", "00000000-0000-0000-0000-000000000000")
    assert missing.returncode == 4
    assert missing.stderr.count("\n") == 1
    assert "Traceback" not in missing.stderr


def test_workers_are_listed(shell: Shell) -> None:
    """Names for people, JSON for scripts."""
    assert "portfolio-pricing" in shell("workers").stdout
    names = {json.loads(line)["name"] for line in shell("workers", "--json").stdout.splitlines()}
    assert names == {"echo", "mock-compute", "portfolio-pricing"}


def test_a_worker_is_tried_with_one_event(shell: Shell, tmp_path: Path) -> None:
    """Its result on stdout; an error with the remote traceback, and exit code 1."""
    (tmp_path / "event.json").write_text('{"return_bytes": 3}')
    good = shell("workers", "test", "mock-compute", "event.json")
    assert (good.returncode, json.loads(good.stdout)) == (0, "xxx"), good.stderr
    (tmp_path / "event.json").write_text('{"raise": "no such curve"}')
    bad = shell("workers", "test", "mock-compute", "event.json")
    assert (bad.returncode, bad.stdout) == (1, "")
    assert "RuntimeError: no such curve" in bad.stderr
    assert "Traceback" in bad.stderr


def test_an_executor_runs_futures(grid: Grid) -> None:
    """Futures of a real executor: results, an exception, and shutdown."""
    with GridExecutor(grid, "mock-compute", max_attempts=1) as executor:
        good = [executor.submit({"return_bytes": n}) for n in range(20)]
        bad = executor.submit({"raise": "as asked"})
        assert {len(future.result()) for future in as_completed(good)} == set(range(20))
        assert "as asked" in str(bad.exception())


def test_logs_show_what_a_task_printed(shell: Shell, grid: Grid) -> None:
    """By any way, each line with its task, on the deployed grid; a bad cursor is refused."""
    below_python = {"write_fd_1": "from C", "worker_arguments": ["5", "1", "1"]}
    tasks = [{"return_bytes": 1}, {"print": "from Python"}, below_python]
    session = grid.submit("mock-compute", tasks, chunk_size=3)
    session.wait()
    await_line(session, "chunk run")  # the last one of the chunk
    shown = [json.loads(line) for line in shell("logs", session.id, "--json").stdout.splitlines()]
    assert [(line["task"], line["message"]) for line in shown] == [
        (1, "from Python"),
        (2, "from C"),
    ]
    one = shell("logs", session.id, "1")
    assert one.stdout.endswith("  task 1  from Python\n")
    assert "  grid  chunk run\n" in shell("logs", session.id, "--all").stdout
    with pytest.raises(InvalidRequest, match="cursor"):
        grid.connection.api.read_logs(session.id, None, cursor="none")


def await_line(session: Session, message: str) -> None:
    """A log is behind what it tells of; return when the line is there."""
    while message not in {line.message for line in session.logs(every=True)}:
        assert session.status().state == "finished"


def test_a_user_is_added_logs_in_and_leaves(shell: Shell, grid: Grid) -> None:
    """From the administrator's `users add` to `logout`; commands in between are the user's."""
    session = grid.submit("mock-compute", [{}]).id
    added = shell("users", "add", "shelly", "--json")
    assert added.returncode == 0, added.stderr
    temporary = json.loads(added.stdout)["temporary_password"]
    assert "shelly" in shell("users", "list").stdout
    assert grid.config is not None
    password = make_password()
    sign_in(grid.config.endpoint, "shelly", temporary, new_password=password)
    entered = shell("login", "-u", "shelly", "--password-stdin", stdin=f"{password}\n")
    assert entered.returncode == 0, entered.stderr
    assert session not in shell("list").stdout
    assert shell("logout").stdout == "logged out shelly\n"
    assert session in shell("list").stdout
    assert shell("users", "remove", "shelly").returncode == 0
