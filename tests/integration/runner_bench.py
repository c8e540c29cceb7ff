"""What the runner's tests share: a module of misbehaving user code, and runners of it."""

import json
import os
import select
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stepgrid_core.ports import CommonInput, TaskOutcome
from stepgrid_core.runner import Runner, RunnerSettings
from stepgrid_core.runner_prints import PrintSink, write_to_stderr
from tests.task_samples import Ended, each_task, make_spans

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
    subprocess.run(["/bin/sh", "-c", "echo from shell"], check=True)

def raise_error(text):
    try:
        raise PricingError(text)
    finally:
        del text

def list_open_files(command):
    shell = subprocess.run(command, check=True, capture_output=True, text=True, close_fds=False)
    return sorted(set(shell.stdout.split()))

def append(path, text):
    with open(path, "a") as file:
        file.write(text)

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

def print_lines(text, count):
    for number in range(count):
        print(text, number)

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
    "append": lambda event, context: append(event["path"], event["text"]),
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
    "print_text": lambda event, context: print(event["text"], end=""),
    "print_lines": lambda event, context: print_lines(event["text"], event["count"]),
    "print_and_die": lambda event, context: (print("last words"), os._exit(3)),
    "print_and_hang": lambda event, context: (print("last words", flush=True), hang()),
    "print_bytes": lambda event, context: os.write(1, bytes.fromhex(event["hex"])),
    "close_stdout": lambda event, context: sys.stdout.close(),
    "unblock_stdout": lambda event, context: os.set_blocking(1, False),
    "flood": lambda event, context: subprocess.run(
        ["/bin/sh", "-c", f"yes | head -c {event['size']}"], check=True
    ).returncode,
    "print_later": lambda event, context: subprocess.Popen(
        ["/bin/sh", "-c", "read line; echo from a process left behind; echo done >&3"],
        stdin=os.open(event["start"], os.O_RDWR),
        pass_fds=[os.dup2(os.open(event["end"], os.O_RDWR), 3)],
    ).pid,
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
    "common": lambda event, context: context.common,
    "common_id": lambda event, context: [os.getpid(), id(context.common)],
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

    def make(
        source: str = USER_MODULE, on_print: PrintSink = write_to_stderr, **changes: Any
    ) -> Runner:
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
        runner = Runner(RunnerSettings(**(settings | changes)), on_print)
        runners.append(runner)
        return runner

    yield make
    for runner in runners:
        runner.close()


def do(action: str, **event: Any) -> bytes:
    return json.dumps({"do": action} | event).encode()


def add(a: int, b: int) -> bytes:
    return do("add", a=a, b=b)


def run(
    runner: Runner,
    *lines: bytes,
    timeout_seconds: float = 60,
    common: CommonInput | None = None,
) -> list[Ended]:
    runner.permit(3600)
    return list(each_task(runner.run(make_spans(*lines), timeout_seconds, common)))


def await_next(outcomes: Iterator[TaskOutcome | None]) -> Ended:
    """The next task that has ended, of a batch where it is settled alone."""
    outcome = next(outcome for outcome in outcomes if outcome is not None)
    (ended,) = each_task([outcome])
    return ended


def run_between_neighbours(runner: Runner, line: bytes, timeout_seconds: float = 60) -> Ended:
    """Run a bad task between two good ones, assert that those are unharmed, return its outcome."""
    first, bad, last = run(runner, add(1, 2), line, add(3, 4), timeout_seconds=timeout_seconds)
    assert (first.index, first.fault, first.result) == (0, None, b"3")
    assert (last.index, last.fault, last.result) == (2, None, b"7")
    assert (bad.index, bad.result) == (1, None)
    assert bad.fault is not None
    return bad


def read_fault(outcome: Ended) -> tuple[str, str, bool]:
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
