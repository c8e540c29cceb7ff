"""The mock compute worker: what each named behaviour does to the process that runs it."""

import importlib.util
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

WORKER = Path(__file__).parents[2] / "functions/workers/mock_compute/mock_compute_engine.py"

#: Runs the task in argv[1] as a runner would: prints the result, or dies on the way.
RUN_TASK = f"""
import json, runpy, sys
worker = runpy.run_path({str(WORKER)!r})
print(json.dumps(worker["lambda_handler"](json.loads(sys.argv[1]), None)))
"""

#: An environment: its child runs the task, and it reports if it outlives its child.
RUN_ENVIRONMENT = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {RUN_TASK!r}, sys.argv[1]])
print("the environment lives")
"""


@pytest.fixture(scope="module")
def worker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mock_compute_engine", WORKER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_task(task: dict[str, Any], program: str = RUN_TASK) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, json.dumps(task)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@contextmanager
def started_task(task: dict[str, Any]) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", RUN_TASK, json.dumps(task)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("arguments", [["3", "1", "1"], ["3", "1", "100"], [3], ["3"]])
def test_a_task_returns_its_milliseconds(worker: ModuleType, arguments: list[Any]) -> None:
    """HTC-Grid's arguments give the integer milliseconds; the second and third are ignored."""
    assert worker.lambda_handler({"worker_arguments": arguments}, None) == 3


def test_a_task_without_a_sleep_returns_zero(worker: ModuleType) -> None:
    """A task that names no sleep sleeps 0 ms."""
    assert worker.lambda_handler({}, None) == 0


@pytest.mark.parametrize("arguments", [[], ["soon"], ["-1", "1", "1"], "1000", {}, [None], 5])
def test_unusable_worker_arguments_are_refused(worker: ModuleType, arguments: Any) -> None:
    """Arguments that don't start with a number of milliseconds are refused with an example."""
    with pytest.raises(ValueError, match=re.escape('like ["1000", "1", "1"]')):
        worker.lambda_handler({"worker_arguments": arguments}, None)


def test_an_unknown_key_is_refused_before_anything_runs(
    worker: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names the key, and no behaviour of the task has run."""
    with pytest.raises(ValueError, match="unknown task key 'sleep'"):
        worker.lambda_handler({"print": "hello", "sleep": 5}, None)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("off", [False, None])
def test_a_behaviour_can_be_turned_off(worker: ModuleType, off: bool | None) -> None:
    """False and null turn a behaviour off."""
    assert worker.lambda_handler({"hang": off, "raise": off, "return_set": off}, None) == 0


def test_raise_raises_the_message(worker: ModuleType) -> None:
    """`raise` fails the task with its message."""
    with pytest.raises(RuntimeError, match="no such curve"):
        worker.lambda_handler({"worker_arguments": ["1", "1", "1"], "raise": "no such curve"}, None)


def test_return_bytes_returns_a_text_of_that_size(worker: ModuleType) -> None:
    """`return_bytes` gives as many ASCII characters."""
    assert worker.lambda_handler({"return_bytes": 1000}, None) == "x" * 1000


def test_return_set_returns_what_json_cannot_carry(worker: ModuleType) -> None:
    """`return_set` gives a result that json refuses."""
    result = worker.lambda_handler({"return_set": True}, None)
    with pytest.raises(TypeError, match="not JSON serializable"):
        json.dumps(result)


@pytest.mark.parametrize("value", [1000, "x", {"b": [1], "a": None}, [1, "2"], None, False])
def test_return_json_returns_any_value(worker: ModuleType, value: Any) -> None:
    """`return_json` gives the value that its text says, null and false among them."""
    assert worker.lambda_handler({"return_json": json.dumps(value)}, None) == value


def test_behaviours_run_in_the_order_of_the_table(worker: ModuleType) -> None:
    """A task prints and sleeps before it fails, whatever order its keys have."""
    planned = worker.planned_behaviours({"raise": "x", "worker_arguments": ["0"], "print": "y"})
    assert list(planned) == ["print", "worker_arguments", "raise"]


def test_every_behaviour_is_documented(worker: ModuleType) -> None:
    """Each function of the table has a docstring."""
    assert all(behaviour.__doc__ for behaviour in worker.BEHAVIOURS.values())


@pytest.mark.parametrize("key", ["print", "write_fd_1"])
def test_printed_text_reaches_standard_output(key: str) -> None:
    """Text written through Python or below it comes before the result."""
    assert run_task({key: "hello"}).stdout.splitlines() == ["hello", "0"]


@pytest.mark.parametrize(
    ("task", "returncode"),
    [
        ({"exit": 3}, 3),
        ({"exit": 0}, 0),
        ({"os_exit": 3}, 3),
        ({"os_exit": 0}, 0),
        ({"segfault": True}, -signal.SIGSEGV),
    ],
    ids=str,
)
def test_a_dying_task_leaves_its_status_and_no_result(
    task: dict[str, Any], returncode: int
) -> None:
    """Exits and crashes end a real process with their own status, and no result is printed."""
    ended = run_task(task)
    assert (ended.returncode, ended.stdout) == (returncode, "")


def test_exit_is_an_exception_and_os_exit_is_not(worker: ModuleType) -> None:
    """`exit` can be caught as SystemExit, as user code's sys.exit can."""
    with pytest.raises(SystemExit) as caught:
        worker.lambda_handler({"exit": 3}, None)
    assert caught.value.code == 3


def test_hang_outlives_every_wait() -> None:
    """A hanging task is still there after the wait, and only a kill ends it."""
    with started_task({"print": "started", "hang": True}) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.2)
        process.kill()
        assert process.wait() == -signal.SIGKILL


def test_allocated_memory_is_real() -> None:
    """`allocate_mib` raises the peak resident memory of the process by as much."""
    report_peak = (
        "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss "
        "// (1024 * 1024 if sys.platform == 'darwin' else 1024))"
    )
    ended = run_task({"allocate_mib": 100}, RUN_TASK + report_peak)
    result, peak_mib = map(int, ended.stdout.split())
    assert result == 0
    assert peak_mib >= 100


def test_kill_environment_kills_parent_and_child() -> None:
    """Parent and task die by SIGKILL; the shared pipe closes only when both are gone."""
    ended = run_task({"kill_environment": True}, RUN_ENVIRONMENT)
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, "")


def test_an_environment_outlives_a_harmless_task() -> None:
    """The environment of the kill test reports when its task ends well."""
    ended = run_task({"print": "hello"}, RUN_ENVIRONMENT)
    assert sorted(ended.stdout.splitlines()) == ["0", "hello", "the environment lives"]
