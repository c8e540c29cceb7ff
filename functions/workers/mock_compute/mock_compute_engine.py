"""The mock compute worker: a task that takes a known time, or misbehaves in a named way.

It stands in for real work in demonstrations, benchmarks and fault tests. It runs HTC-Grid's mock
tasks as they are, `{"worker_arguments": ["1000", "1", "1"]}`, and answers as HTC-Grid's Python
engine does, with the milliseconds it slept. The other keys of the task make it fail in one of the
ways real user code fails. BEHAVIOURS lists them all; `false` or null turns one off.

    {"worker_arguments": ["20", "1", "1"], "raise": "no such curve"}

The worker knows nothing of the grid, of sessions or of attempts.
"""

import ctypes
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn


def print_text(text: str) -> None:
    """Print `text` and a line end on Python's standard output."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def write_text_below_python(text: str) -> None:
    """Write `text` and a line end to file descriptor 1, as a C library does."""
    os.write(1, f"{text}\n".encode())


def append_time(path: str) -> None:
    """Append the time, in epoch seconds, as a line to the file at `path`: proof of a start."""
    with open(path, "a", encoding="ascii") as file:
        file.write(f"{time.time():.6f}\n")


def allocate_memory(mib: int) -> bytearray:
    """Return `mib` MiB of touched memory; the task holds it until it ends.

    The bytes are not zero: the kernel gives no real memory to a block of zeros nobody wrote.
    """
    return bytearray(b"\x01") * (mib * 1024 * 1024)


def sleep_milliseconds(arguments: Sequence[str | int]) -> int:
    """Sleep as `worker_arguments` say and return the milliseconds.

    The first argument is the time in milliseconds, 0 or more. HTC-Grid's C++ engine names two more,
    memory in GB and iterations in millions; its Python engine ignores both, and so does this one.

    Raises ValueError when the first argument is missing or isn't a number of milliseconds.
    """
    try:
        milliseconds = int(arguments[0])
    except (IndexError, KeyError, TypeError, ValueError):
        milliseconds = -1
    if isinstance(arguments, str) or milliseconds < 0:
        raise ValueError(
            "worker_arguments must be a list that starts with the milliseconds to sleep, "
            f'like ["1000", "1", "1"]; got {arguments!r}'
        )
    # A sleep of nothing is a system call, and on Linux about 60 us: the kernel's timer slack.
    if milliseconds:
        time.sleep(milliseconds / 1000)
    return milliseconds


def hang(_wanted: bool) -> NoReturn:
    """Never end: only a kill from outside stops the task."""
    while True:
        time.sleep(3600)


def raise_error(message: str) -> NoReturn:
    """Raise RuntimeError with `message`."""
    raise RuntimeError(message)


def exit_python(status: int) -> NoReturn:
    """Leave through SystemExit, as `sys.exit(status)` in user code does."""
    sys.exit(status)


def exit_process(status: int) -> NoReturn:
    """End the process at once with `status`: no exception, no clean-up, no flush."""
    os._exit(status)


def read_null_pointer(_wanted: bool) -> None:
    """Crash with a real segmentation fault, as a faulty C extension does."""
    # Without the limit each crash may leave a core file as large as the process.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    ctypes.string_at(0)


def kill_environment(_wanted: bool) -> None:
    """Kill the parent process, then this one: the whole execution environment is gone.

    Raises RuntimeError when the parent is process 1, which is an init process and no environment.
    """
    parent = os.getppid()
    if parent <= 1:
        raise RuntimeError(f"kill_environment: the parent is process {parent}, not a runner")
    os.kill(parent, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def return_text(size_bytes: int) -> str:
    """Return a text of `size_bytes` ASCII characters instead of the milliseconds."""
    return "x" * size_bytes


def return_set(_wanted: bool) -> set[int]:
    """Return a set, which JSON can't carry, instead of the milliseconds."""
    return {1, 2, 3}


def return_json(text: str) -> object:
    """Return what the JSON `text` says instead of the milliseconds: a number, null, anything.

    Raises ValueError when it is not JSON.
    """
    return json.loads(text)


#: Task key -> behaviour. A task runs its behaviours in this order, whatever order its keys have:
#: first what leaves traces, then the sleep, then the ways to fail, then other results.
BEHAVIOURS: Final[dict[str, Callable[[Any], object]]] = {
    "append_time": append_time,
    "print": print_text,
    "write_fd_1": write_text_below_python,
    "allocate_mib": allocate_memory,
    "worker_arguments": sleep_milliseconds,
    "hang": hang,
    "raise": raise_error,
    "exit": exit_python,
    "os_exit": exit_process,
    "segfault": read_null_pointer,
    "kill_environment": kill_environment,
    "return_bytes": return_text,
    "return_set": return_set,
    "return_json": return_json,
}


def planned_behaviours(event: dict[str, Any]) -> dict[str, Any]:
    """Return the task's behaviours and their arguments, in running order.

    A task that names no sleep sleeps 0 ms. Raises ValueError for a key that names no behaviour.
    """
    unknown = sorted(set(event) - set(BEHAVIOURS))
    if unknown:
        raise ValueError(f"unknown task key {unknown[0]!r}; known keys: {', '.join(BEHAVIOURS)}")
    task = {"worker_arguments": ["0"], **event}
    # `is`, because 0 is a wanted exit status and a wanted size.
    return {
        name: task[name]
        for name in BEHAVIOURS
        if name in task and task[name] is not None and task[name] is not False
    }


def lambda_handler(event: dict[str, Any], context: object) -> object:
    """Run one mock task and return the milliseconds slept, unless the task asks for more.

    event: task keys of BEHAVIOURS with their arguments.
    Raises ValueError for an unknown key or unusable worker_arguments, RuntimeError for `raise`.
    """
    # The list keeps allocated memory alive until the task ends.
    outcomes = [BEHAVIOURS[name](value) for name, value in planned_behaviours(event).items()]
    return outcomes[-1]
