"""The runner with real processes: a task fails alone, whatever it does, and nothing outlives it."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stepgrid_core.ports import TaskInput, TaskOutcome
from stepgrid_core.runner import (
    Runner,
    RunnerSettings,
    RunnerStartError,
    RunnerStopped,
)

MIB = 2**20

USER_MODULE = '''
import ctypes, json, os, signal, subprocess, sys, threading, time

class PricingError(Exception):
    pass

class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no")

def dig(depth):
    return dig(depth + 1)

def fill(size_mib):
    return len(bytearray(size_mib * 2**20))

def nest(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value

def print_everywhere():
    print("from print")
    print("from stderr", file=sys.stderr)
    os.write(1, b"from write\\n")
    libc = ctypes.CDLL(None)
    libc.printf(b"from printf\\n")
    libc.fflush(None)
    subprocess.run(["/bin/sh", "-c", "echo from shell"], check=True)

def raise_error(text):
    try:
        raise PricingError(text)
    finally:
        del text

def list_open_files(command):
    shell = subprocess.run(command, check=True, capture_output=True, text=True, close_fds=False)
    return sorted(set(shell.stdout.split()))

def fork_and_return():
    if os.fork() == 0:
        return "from the fork"
    os.wait()
    return "from the child"

def leave_process(fifo):
    """Leave a process behind that keeps the FIFO open for writing while it lives."""
    fd = os.open(fifo, os.O_WRONLY)
    subprocess.Popen(["sleep", "300"], pass_fds=[fd])
    os.close(fd)

def fork_in_c_and_exit(code):
    """Leave a process behind that has every descriptor of the child."""
    libc = ctypes.CDLL(None)
    if libc.fork() == 0:
        libc.pause()
    os._exit(code)

def hang():
    os.write(2, b"hanging\\n")
    threading.Event().wait()

def hang_with_gil(seconds):
    os.write(2, b"hanging\\n")
    ctypes.PyDLL(None).sleep(seconds)

def wait_until(moment):
    while time.monotonic() < moment:
        time.sleep(0.001)

ACTIONS = {
    "add": lambda event, context: event["a"] + event["b"],
    "echo": lambda event, context: event["value"],
    "pid": lambda event, context: os.getpid(),
    "raise": lambda event, context: raise_error(event["text"]),
    "unprintable": lambda event, context: (_ for _ in ()).throw(Unprintable()),
    "exit": lambda event, context: sys.exit(event["code"]),
    "hard_exit": lambda event, context: os._exit(event["code"]),
    "segfault": lambda event, context: ctypes.string_at(0),
    "kill": lambda event, context: os.kill(os.getpid(), event["signal"]),
    "interrupt": lambda event, context: signal.raise_signal(signal.SIGINT),
    "hang": lambda event, context: hang(),
    "hang_with_gil": lambda event, context: hang_with_gil(event["seconds"]),
    "fill": lambda event, context: fill(event["size_mib"]),
    "dig": lambda event, context: dig(0),
    "set": lambda event, context: {"values": [1, {2}]},
    "nan": lambda event, context: {"price": float("nan")},
    "tuple_key": lambda event, context: {(1, 2): 3},
    "surrogate": lambda event, context: "\\ud800",
    "nest": lambda event, context: nest(event["depth"]),
    "big": lambda event, context: "x" * event["size"],
    "print": lambda event, context: print_everywhere(),
    "stdin": lambda event, context: sys.stdin.read(),
    "open_files": lambda event, context: list_open_files(event["command"]),
    "fork": lambda event, context: fork_and_return(),
    "leave_process": lambda event, context: leave_process(event["fifo"]),
    "fork_in_c_and_exit": lambda event, context: fork_in_c_and_exit(event["code"]),
    "wait_until": lambda event, context: wait_until(event["moment"]),
    "now": lambda event, context: time.monotonic(),
    "context": lambda event, context: {
        "function_name": context.function_name,
        "memory_limit_in_mb": context.memory_limit_in_mb,
        "aws_request_id": context.aws_request_id,
        "task_id": context.task_id,
        "attempt": context.attempt,
        "left": context.get_remaining_time_in_millis(),
    },
    "signals": lambda event, context: [
        signal.getsignal(signal.SIGTERM) == signal.SIG_DFL,
        signal.getsignal(signal.SIGINT) == signal.default_int_handler,
        len(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    ],
}

def handle(event, context):
    return ACTIONS[event["do"]](event, context)
'''

RunnerMaker = Callable[..., Runner]


@pytest.fixture
def make_runner(tmp_path: Path) -> Iterator[RunnerMaker]:
    """Make runners of a module written to `tmp_path`; close them at the end."""
    runners = []

    def make(source: str = USER_MODULE, **changes: Any) -> Runner:
        (tmp_path / "user_tasks.py").write_text(source)
        settings: dict[str, Any] = {
            "handler": "user_tasks.handle",
            "search_path": (str(tmp_path),),
            "environment": {"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
            "memory_limit_bytes": None,
            "result_limit_bytes": 6 * MIB,
            "function_name": "pricer",
            "memory_mib": 512,
        }
        runner = Runner(RunnerSettings(**(settings | changes)))
        runners.append(runner)
        return runner

    yield make
    for runner in runners:
        runner.close()


def task(index: int, line: bytes) -> TaskInput:
    return TaskInput(index=index, attempt=1, task_id=f"ses_{index}", line=line)


def do(action: str, **event: Any) -> bytes:
    return json.dumps({"do": action} | event).encode()


def add(a: int, b: int) -> bytes:
    return do("add", a=a, b=b)


def run(runner: Runner, *lines: bytes, timeout_seconds: float = 60) -> list[TaskOutcome]:
    runner.permit(3600)
    tasks = [task(index, line) for index, line in enumerate(lines)]
    return drop_pauses(runner.run(tasks, timeout_seconds))


def drop_pauses(outcomes: Iterable[TaskOutcome | None]) -> list[TaskOutcome]:
    return [outcome for outcome in outcomes if outcome is not None]


def await_next(outcomes: Iterator[TaskOutcome | None]) -> TaskOutcome:
    return next(outcome for outcome in outcomes if outcome is not None)


def run_between_neighbours(runner: Runner, line: bytes, timeout_seconds: float = 60) -> TaskOutcome:
    """Run a bad task between two good ones, assert that those are unharmed, return its outcome."""
    first, bad, last = run(runner, add(1, 2), line, add(3, 4), timeout_seconds=timeout_seconds)
    assert (first.index, first.fault, first.result) == (0, None, b"3")
    assert (last.index, last.fault, last.result) == (2, None, b"7")
    assert (bad.index, bad.result) == (1, None)
    assert bad.fault is not None
    return bad


def read_fault(outcome: TaskOutcome) -> tuple[str, str, bool]:
    assert outcome.fault
    return outcome.fault.type, outcome.fault.message, outcome.fault.retryable


def await_end_of_file(fd: int) -> None:
    """Return when nobody has the pipe or FIFO open for writing; fail after 30 seconds."""
    poll = select.poll()
    poll.register(fd, select.POLLIN | select.POLLHUP)
    while True:
        assert poll.poll(30_000), "a process still holds the write end"
        if not os.read(fd, 4096):
            return


class TestResults:
    def test_order(self, make_runner: RunnerMaker) -> None:
        """Outcomes come in the order of the tasks, with the result as JSON text."""
        outcomes = run(make_runner(), *(add(number, 1) for number in range(5)))
        assert [(o.index, o.result) for o in outcomes] == [(i, b"%d" % (i + 1)) for i in range(5)]
        assert all(o.milliseconds >= 0 and o.fault is None for o in outcomes)

    def test_text(self, make_runner: RunnerMaker) -> None:
        """Any JSON value survives the way in and out, as compact UTF-8."""
        value = {"a": [1, 2.5, None, True], "b": "é\n\u2028"}
        (outcome,) = run(make_runner(), do("echo", value=value))
        assert outcome.result == '{"a":[1,2.5,null,true],"b":"é\\n\u2028"}'.encode()

    def test_warm_child(self, make_runner: RunnerMaker) -> None:
        """Two runs of one runner share one process, which is not ours."""
        runner = make_runner()
        runner.start()
        (first,), (second,) = run(runner, do("pid")), run(runner, do("pid"))
        assert first.result == second.result != str(os.getpid()).encode()

    def test_many_small_tasks(self, make_runner: RunnerMaker) -> None:
        """A batch of 5,000 tasks completes."""
        outcomes = run(make_runner(), *(add(number, 0) for number in range(5000)))
        assert [o.result for o in outcomes] == [b"%d" % number for number in range(5000)]

    def test_large_inputs_and_results(self, make_runner: RunnerMaker) -> None:
        """Inputs and results far larger than a pipe do not wait for each other."""
        line = do("echo", value="x" * 3_000_000)
        outcomes = run(make_runner(), *[line] * 6)
        assert [len(o.result or b"") for o in outcomes] == [3_000_002] * 6

    def test_slow_reader(self, make_runner: RunnerMaker) -> None:
        """A task that ended in time is no timeout, however late its result is fetched."""
        tasks = [task(0, add(1, 1)), task(1, do("big", size=3_000_000)), task(2, add(1, 1))]
        runner = make_runner()
        runner.permit(3600)
        outcomes = runner.run(tasks, 0.5)
        first = await_next(outcomes)
        subprocess.run(["sleep", "0.8"], check=True)  # busy for longer than the timeout
        assert [o.fault for o in [first, *drop_pauses(outcomes)]] == [None] * 3

    def test_empty_batch(self, make_runner: RunnerMaker) -> None:
        """A batch without tasks has no outcomes."""
        assert run(make_runner()) == []

    def test_context(self, make_runner: RunnerMaker) -> None:
        """The handler's context looks like that of a Lambda function, and knows the task."""
        (outcome,) = run(make_runner(), do("context"), timeout_seconds=50)
        context = json.loads(outcome.result or b"")
        assert 0 < context.pop("left") <= 50_000
        assert context == {
            "function_name": "pricer",
            "memory_limit_in_mb": 512,
            "aws_request_id": "ses_0",
            "task_id": "ses_0",
            "attempt": 1,
        }

    def test_signals(self, make_runner: RunnerMaker) -> None:
        """The child starts with Python's usual signal handling and nothing blocked."""
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        try:
            (outcome,) = run(make_runner(), do("signals"))
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        assert outcome.result == b"[true,true,0]"


class TestFailures:
    def test_exception(self, make_runner: RunnerMaker) -> None:
        """An exception fails its task with class, message and the user's own frames."""
        bad = run_between_neighbours(make_runner(), do("raise", text="no market"))
        assert read_fault(bad) == ("user_tasks.PricingError", "no market", True)
        assert bad.fault
        assert "user_tasks.py" in bad.fault.traceback
        assert bad.fault.traceback.endswith("PricingError: no market\n")
        assert "runner_child" not in bad.fault.traceback

    def test_long_message(self, make_runner: RunnerMaker) -> None:
        """Messages and tracebacks are bounded and keep both their ends."""
        bad = run_between_neighbours(make_runner(), do("raise", text="<" + "é" * 50_000 + ">"))
        assert bad.fault
        assert len(bad.fault.message.encode()) <= 1024
        assert len(bad.fault.traceback.encode()) <= 16 * 1024
        assert (bad.fault.message[0], bad.fault.message[-1]) == ("<", ">")

    def test_unprintable_exception(self, make_runner: RunnerMaker) -> None:
        """An exception whose message can't be read still fails its task alone."""
        bad = run_between_neighbours(make_runner(), do("unprintable"))
        assert read_fault(bad)[:2] == (
            "user_tasks.Unprintable",
            "(its message can't be read: RuntimeError)",
        )

    @pytest.mark.parametrize(
        ("code", "message"),
        [
            (3, "The task called sys.exit with code 3."),
            (None, "The task called sys.exit with code 0."),
            ("no data", "The task called sys.exit with code 1: no data"),
        ],
    )
    def test_exit(self, make_runner: RunnerMaker, code: object, message: str) -> None:
        """sys.exit ends the task, and the child goes on."""
        bad = run_between_neighbours(make_runner(), do("exit", code=code))
        assert read_fault(bad) == ("TaskExited", message, True)

    def test_interrupt(self, make_runner: RunnerMaker) -> None:
        """KeyboardInterrupt is a failed task as well."""
        bad = run_between_neighbours(make_runner(), do("interrupt"))
        assert read_fault(bad)[0] == "KeyboardInterrupt"

    @pytest.mark.parametrize("code", [0, 7])
    def test_hard_exit(self, make_runner: RunnerMaker, code: int) -> None:
        """os._exit loses the child and fails the task that called it, with the code."""
        bad = run_between_neighbours(make_runner(), do("hard_exit", code=code))
        message = f"The task ended its process with exit code {code}."
        assert read_fault(bad) == ("TaskExited", message, True)

    def test_segmentation_fault(self, make_runner: RunnerMaker) -> None:
        """A crash names its signal and, in the traceback, the user's line."""
        bad = run_between_neighbours(make_runner(), do("segfault"))
        message = "The task's process was killed by signal 11 (SIGSEGV)."
        assert read_fault(bad) == ("TaskCrashed", message, True)
        assert bad.fault
        assert "user_tasks.py" in bad.fault.traceback
        assert "runner_child" not in bad.fault.traceback

    def test_kill(self, make_runner: RunnerMaker) -> None:
        """A process that was killed was probably out of memory, and the message says so."""
        runner = make_runner(memory_limit_bytes=512 * MIB)
        bad = run_between_neighbours(runner, do("kill", signal=int(signal.SIGKILL)))
        assert read_fault(bad)[:2] == (
            "TaskCrashed",
            "The task's process was killed by signal 9 (SIGKILL), probably out of memory "
            "(the limit is 512 MiB).",
        )

    def test_exit_behind_a_fork(self, make_runner: RunnerMaker) -> None:
        """A child's death is seen although a process it left holds its end of the pipe."""
        bad = run_between_neighbours(make_runner(), do("fork_in_c_and_exit", code=9))
        assert read_fault(bad)[:2] == (
            "TaskExited",
            "The task ended its process with exit code 9.",
        )

    @pytest.mark.parametrize("action", ["hang", "hang_with_gil"])
    def test_timeout(self, make_runner: RunnerMaker, action: str) -> None:
        """A task that runs past its timeout is killed, also where no Python code can run."""
        bad = run_between_neighbours(make_runner(), do(action, seconds=300), timeout_seconds=0.5)
        message = "The task ran longer than its timeout of 0.5 s and was killed."
        assert read_fault(bad) == ("TaskTimeout", message, True)
        assert bad.milliseconds >= 500

    def test_recursion(self, make_runner: RunnerMaker) -> None:
        """Endless recursion is an exception like any other."""
        assert read_fault(run_between_neighbours(make_runner(), do("dig")))[0] == "RecursionError"

    def test_all_kinds_in_one_batch(self, make_runner: RunnerMaker) -> None:
        """Each of many bad tasks in a row fails for its own reason."""
        lines = [do("hard_exit", code=1), do("segfault"), do("hang"), do("nan"), add(1, 1)]
        outcomes = run(make_runner(), *lines, *lines, timeout_seconds=0.5)
        types = [o.fault.type if o.fault else "finished" for o in outcomes]
        kinds = ["TaskExited", "TaskCrashed", "TaskTimeout", "ResultNotSerializable", "finished"]
        assert types == kinds * 2


if sys.platform == "linux":  # macOS does not enforce RLIMIT_DATA

    class TestMemory:
        def test_limit(self, make_runner: RunnerMaker) -> None:
            """A task over the memory limit fails with a message that names the limit."""
            runner = make_runner(memory_limit_bytes=128 * MIB)
            bad = run_between_neighbours(runner, do("fill", size_mib=200))
            message = "The task ran out of memory (the limit is 128 MiB)."
            assert read_fault(bad) == ("TaskOutOfMemory", message, True)

        def test_result_over_the_limit(self, make_runner: RunnerMaker) -> None:
            """A result that fits in memory once, but not as text, fails its task alone."""
            runner = make_runner(memory_limit_bytes=128 * MIB)
            bad = run_between_neighbours(runner, do("big", size=70 * MIB))
            assert read_fault(bad)[0] == "TaskOutOfMemory"

        def test_input_over_the_limit(self, make_runner: RunnerMaker) -> None:
            """An input that does not fit in memory fails its task, and the next child goes on."""
            runner = make_runner(memory_limit_bytes=64 * MIB)
            bad = run_between_neighbours(runner, do("echo", value="x" * (80 * MIB)))
            assert read_fault(bad)[0] == "TaskOutOfMemory"

        def test_within_the_limit(self, make_runner: RunnerMaker) -> None:
            """A task within the memory limit finishes."""
            runner = make_runner(memory_limit_bytes=128 * MIB)
            assert run(runner, do("fill", size_mib=64))[0].result == str(64 * MIB).encode()


class TestRefusals:
    @pytest.mark.parametrize(
        ("action", "message"),
        [
            ("set", "result['values'][1] is of type set, which is not JSON."),
            (
                "nan",
                "result['price'] is nan, which is not JSON: "
                "return a finite number, a string or None.",
            ),
            ("tuple_key", "result has a key of type tuple, which is not JSON."),
        ],
    )
    def test_not_json(self, make_runner: RunnerMaker, action: str, message: str) -> None:
        """A result that is not JSON fails for good, and the message says where it is not."""
        bad = run_between_neighbours(make_runner(), do(action))
        assert read_fault(bad) == ("ResultNotSerializable", message, False)

    def test_surrogate(self, make_runner: RunnerMaker) -> None:
        """Text that is not Unicode would break its readers: it is refused."""
        bad = run_between_neighbours(make_runner(), do("surrogate"))
        assert read_fault(bad)[0] == "ResultNotSerializable"

    def test_deep_result(self, make_runner: RunnerMaker) -> None:
        """A result nested deeper than the interpreter can follow is refused."""
        bad = run_between_neighbours(make_runner(), do("nest", depth=100_000))
        assert read_fault(bad)[0] == "ResultNotSerializable"
        assert "nested too deeply" in read_fault(bad)[1]

    def test_large_result(self, make_runner: RunnerMaker) -> None:
        """A result over the limit fails for good, with both sizes."""
        bad = run_between_neighbours(make_runner(), do("big", size=10_000_000))
        message = "The result has 10000002 bytes, the limit is 6291456 bytes."
        assert read_fault(bad) == ("ResultTooLarge", message, False)

    @pytest.mark.parametrize("line", [b"", b"{", b"NaN", b"\xff", b"[" * 100_000])
    def test_input(self, make_runner: RunnerMaker, line: bytes) -> None:
        """An input that is not JSON fails for good."""
        error_type, message, retryable = read_fault(run_between_neighbours(make_runner(), line))
        assert (error_type, retryable) == ("InputError", False)
        assert message.startswith("The task's input is not JSON: ")


class TestPrints:
    def test_prints(self, make_runner: RunnerMaker, capfd: pytest.CaptureFixture[str]) -> None:
        """Whatever a task prints, by any way, goes to descriptor 2 and harms no result."""
        outcomes = run(make_runner(), do("print"), add(1, 2))
        assert [o.result for o in outcomes] == [b"null", b"3"]
        written = capfd.readouterr()
        assert written.out == ""
        ways = {"print", "stderr", "write", "printf", "shell"}
        assert set(written.err.splitlines()) == {f"from {way}" for way in ways}

    def test_stdin(self, make_runner: RunnerMaker) -> None:
        """Standard input is empty."""
        assert run(make_runner(), do("stdin"))[0].result == b'""'

    def test_descriptors(self, make_runner: RunnerMaker) -> None:
        """A process that a task starts inherits none of the protocol's descriptors."""
        (outcome,) = run(make_runner(), do("open_files", command=["ls", "/dev/fd"]))
        assert json.loads(outcome.result or b"") == ["0", "1", "2", "3"]  # ls itself opens one

    def test_fork(self, make_runner: RunnerMaker) -> None:
        """A fork that comes back from the handler does not answer in the child's place."""
        outcomes = run(make_runner(), do("fork"), add(1, 2))
        assert [o.result for o in outcomes] == [b'"from the child"', b"3"]


class TestImports:
    def test_error(self, make_runner: RunnerMaker) -> None:
        """When the handler's module raises, every task fails with its error, for good."""
        outcomes = run(make_runner("import quantlib_missing"), add(1, 2), add(3, 4))
        message = "No module named 'quantlib_missing'"
        expected = ("ModuleNotFoundError", message, False)
        assert [read_fault(o) for o in outcomes] == [expected] * 2
        assert outcomes[0].fault
        assert 'user_tasks.py", line 1' in outcomes[0].fault.traceback
        assert "importlib" not in outcomes[0].fault.traceback

    def test_retry(self, make_runner: RunnerMaker, tmp_path: Path) -> None:
        """A later run imports the handler afresh."""
        runner = make_runner("raise ValueError('not yet')")
        assert read_fault(run(runner, add(1, 2))[0])[0] == "ValueError"
        (tmp_path / "user_tasks.py").write_text(USER_MODULE)
        assert run(runner, add(1, 2))[0].result == b"3"

    @pytest.mark.parametrize("handler", ["handle", "user_tasks.ACTIONS", "user_tasks.missing"])
    def test_wrong_name(self, make_runner: RunnerMaker, handler: str) -> None:
        """A handler that is not a function of a module fails every task, for good."""
        error_type, message, retryable = read_fault(run(make_runner(handler=handler), b"1")[0])
        assert error_type in {"TypeError", "AttributeError"}
        assert handler.rpartition(".")[2] in message
        assert not retryable

    def test_exit(self, make_runner: RunnerMaker) -> None:
        """A module that calls sys.exit fails every task, for good."""
        outcome = run(make_runner("import sys; sys.exit(4)"), b"1")[0]
        assert (read_fault(outcome)[0], read_fault(outcome)[2]) == ("TaskExited", False)

    @pytest.mark.parametrize(
        ("source", "error_type", "reason"),
        [
            ("import os; os._exit(5)", "TaskExited", "exit code 5"),
            ("import ctypes; ctypes.string_at(0)", "TaskCrashed", "SIGSEGV"),
        ],
    )
    def test_crash(
        self, make_runner: RunnerMaker, source: str, error_type: str, reason: str
    ) -> None:
        """A module that takes its process down fails the batch; the runner does not try forever."""
        outcomes = run(make_runner(source), *[b"1"] * 3)
        assert [read_fault(o)[0] for o in outcomes] == [error_type] * 3
        message = read_fault(outcomes[0])[1]
        assert message.startswith("While user_tasks.handle was imported: ")
        assert reason in message

    def test_hang(self, make_runner: RunnerMaker) -> None:
        """A module whose import does not end fails the batch after the start timeout."""
        source = "import threading; threading.Event().wait()"
        outcomes = run(make_runner(source, start_timeout_seconds=0.5), b"1", b"2")
        message = "The import of user_tasks.handle took longer than 0.5 s."
        assert [read_fault(o)[:2] for o in outcomes] == [("TaskTimeout", message)] * 2

    def test_death_between_tasks(self, make_runner: RunnerMaker) -> None:
        """A child that keeps dying before a task starts fails the batch instead of looping."""
        runner = make_runner("import os\ndef handle(event, context): ...\n" + DEATH_WHILE_IDLE)
        tasks = [task(0, b"1"), task(1, b"2")]
        outcomes = drop_pauses(runner.run(tasks, 60))  # without a permit: nothing may start
        assert [read_fault(o)[0] for o in outcomes] == ["TaskCrashed"] * 2
        assert "died 3 times in a row" in read_fault(outcomes[0])[1]


DEATH_WHILE_IDLE = """
import threading, time
def die():
    import user_tasks  # waits until the import has ended
    time.sleep(0.2)
    os._exit(1)
threading.Thread(target=die).start()
"""


class TestPermit:
    def test_none(self, make_runner: RunnerMaker) -> None:
        """Without a permit nothing starts and the run says None; with one, it goes on."""
        runner = make_runner()
        outcomes = runner.run([task(0, do("now"))], 60)
        assert [next(outcomes) for _ in range(20)] == [None] * 20  # long after the import
        permitted_at = time.monotonic()
        runner.permit(60)
        assert float(await_next(outcomes).result or b"0") > permitted_at

    def test_end_within_a_batch(self, make_runner: RunnerMaker) -> None:
        """A task that runs when the permit ends runs on; the next one waits for a new permit."""
        runner = make_runner()
        run(runner, do("now"))
        ends_at = time.monotonic() + 0.3
        lines = [do("wait_until", moment=ends_at + 0.1), do("now")]
        runner.permit(ends_at - time.monotonic())
        outcomes = runner.run([task(index, line) for index, line in enumerate(lines)], 60)
        assert await_next(outcomes).fault is None
        permitted_at = time.monotonic()
        runner.permit(60)
        assert float(await_next(outcomes).result or b"0") > permitted_at

    def test_new_child(self, make_runner: RunnerMaker) -> None:
        """A permit that has ended has ended for the next child too."""
        runner = make_runner()
        assert read_fault(run(runner, do("hard_exit", code=1))[0])[0] == "TaskExited"
        runner.permit(0)
        outcomes = runner.run([task(0, do("now"))], 60)
        assert [next(outcomes) for _ in range(20)] == [None] * 20
        outcomes.close()


class TestEnds:
    def test_stop(self, make_runner: RunnerMaker) -> None:
        """stop() from another thread ends the run; complete outcomes are not lost."""
        runner = make_runner()
        runner.permit(3600)
        outcomes = runner.run([task(0, add(1, 2)), task(1, do("hang"))], 60)
        assert await_next(outcomes).result == b"3"
        threading.Timer(0.1, runner.stop).start()
        with pytest.raises(RunnerStopped):
            await_next(outcomes)
        with pytest.raises(RunnerStopped):
            run(runner, add(1, 2))

    def test_stop_while_importing(self, make_runner: RunnerMaker) -> None:
        """stop() ends a run that still waits for the handler's import."""
        runner = make_runner("import threading; threading.Event().wait()")
        threading.Timer(0.2, runner.stop).start()
        with pytest.raises(RunnerStopped):
            run(runner, b"1")

    def test_early_close(self, make_runner: RunnerMaker) -> None:
        """After a run that was closed early, the next one gets its own results."""
        runner = make_runner()
        runner.permit(3600)
        outcomes = runner.run([task(n, add(n, 0)) for n in range(100)], 60)
        assert await_next(outcomes).result == b"0"
        outcomes.close()
        assert run(runner, add(40, 2))[0].result == b"42"

    def test_close(self, make_runner: RunnerMaker, tmp_path: Path) -> None:
        """close() lets an idle child run its exit handlers, and may be repeated."""
        done = tmp_path / "done"
        source = f"import atexit\natexit.register(open, {str(done)!r}, 'w')\n"
        runner = make_runner(source + "def handle(event, context): ...")
        run(runner, b"1")
        runner.close()
        runner.close()
        assert done.exists()

    def test_no_descriptor_is_left(self, make_runner: RunnerMaker) -> None:
        """A runner that lost children and was closed leaves no descriptor open."""
        before = count_descriptors()
        runner = make_runner()
        run(runner, do("hard_exit", code=1), do("segfault"), add(1, 1))
        runner.close()
        assert count_descriptors() == before

    def test_no_process(self, make_runner: RunnerMaker) -> None:
        """When the system refuses a process, the run raises, and leaves no descriptor open."""
        runner = make_runner(environment={"TOO_LONG": "x" * 16 * MIB})
        before = count_descriptors()
        with pytest.raises(RunnerStartError, match=r"user_tasks\.handle"):
            run(runner, add(1, 2))
        assert count_descriptors() == before

    @pytest.mark.parametrize("end", ["crash", "timeout", "stop", "close"])
    def test_process_group(self, make_runner: RunnerMaker, tmp_path: Path, end: str) -> None:
        """When the child ends, however, processes that its tasks left behind die with it."""
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        runner = make_runner()
        assert run(runner, do("leave_process", fifo=str(fifo)))[0].fault is None
        with pytest.raises(BlockingIOError):  # not at end of file: the process lives
            os.read(fd, 1)
        match end:
            case "crash":
                run(runner, do("hard_exit", code=1))
            case "timeout":
                run(runner, do("hang"), timeout_seconds=0.2)
            case "stop":
                runner.stop()
            case "close":
                runner.close()
        await_end_of_file(fd)
        os.close(fd)


def count_descriptors() -> int:
    count = 0
    for fd in range(256):
        with contextlib.suppress(OSError):
            os.fstat(fd)
            count += 1
    return count


SUPERVISOR = """
import sys, threading
from stepgrid_core.ports import TaskInput
from stepgrid_core.runner import Runner, RunnerSettings

settings = RunnerSettings(
    handler="user_tasks.handle", search_path=(sys.argv[1],), environment={"PATH": "/usr/bin:/bin"},
    memory_limit_bytes=None, result_limit_bytes=1000, function_name="f", memory_mib=128)
runner = Runner(settings)
thread = threading.Thread(target=runner.start)
thread.start()
thread.join()  # the thread that started the child has ended: the child must live on
lines = [b'{"do": "pid"}', sys.argv[2].encode()]
tasks = [TaskInput(n, f"s_{n}", 1, line) for n, line in enumerate(lines)]
runner.permit(60)
for outcome in filter(None, runner.run(tasks, 60)):
    print(outcome.result.decode(), flush=True)
"""

HANGS = ["hang", "hang_with_gil"] if sys.platform == "linux" else ["hang"]


@pytest.mark.parametrize("action", HANGS)
def test_supervisor_killed(make_runner: RunnerMaker, tmp_path: Path, action: str) -> None:
    """The child dies with its supervisor, even by SIGKILL, but not with the thread that made it."""
    make_runner()  # writes the user's module
    alive_fd, child_alive_fd = os.pipe()  # the child inherits the write end as descriptor 2
    line = do(action, seconds=300).decode()
    supervisor = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SUPERVISOR), str(tmp_path), line],
        stdout=subprocess.PIPE,
        stderr=child_alive_fd,
    )
    os.close(child_alive_fd)
    assert supervisor.stdout
    with supervisor.stdout:
        assert int(supervisor.stdout.readline()) != supervisor.pid
        assert os.read(alive_fd, 100) == b"hanging\n"
        supervisor.kill()
        supervisor.wait()
    await_end_of_file(alive_fd)
    os.close(alive_fd)
