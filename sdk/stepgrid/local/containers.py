"""A container as a process of this machine: started, stopped, killed with all that it left.

No image is pulled: a container is its command, with its environment, in a folder of its own. What
the image would bring is this Python, with its packages, as `python3`. There is no wall around it
either: it sees the machine as its user does. Knows nothing of ECS.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from stepgrid.local.container_specs import CannotStartError, ContainerSpec
from stepgrid.local.process_tree import ProcessIdentity, kill_tree

#: The environment variable that marks all processes of one container; see `container_mark`.
CONTAINER_MARK_VARIABLE = "STEPGRID_CONTAINER_MARK"

#: How a shell tells the signal that ended a process, and so does Docker.
SIGNAL_BASE = 128

#: Limits are set by a shell that becomes the command: a hook of ours between fork and exec could
#: block for ever, because this process has threads.
LAUNCH = """
ulimit -c 0
if [ -n "$1" ]; then ulimit -Sn "$1"; ulimit -Hn "$2"; fi
shift 2
exec "$@"
"""


def container_mark(task_id: str, container_name: str) -> str:
    """What marks the processes of this container, and no others."""
    return f"{task_id}/{container_name}"


class Container:
    """A container that was started."""

    def __init__(
        self, spec: ContainerSpec, environment: Mapping[str, str], folder: Path, output: int
    ) -> None:
        """Start it. output: the file descriptor for both its streams. Raises CannotStartError."""
        self.spec = spec
        self._mark = environment[CONTAINER_MARK_VARIABLE]
        self._is_gone = False
        command = launch_command(spec, environment)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - running it is what this is for
                command,
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise CannotStartError(f"CannotStartContainerError: {error}") from error
        create_time = psutil.Process(self._process.pid).create_time()
        self.identity = ProcessIdentity(self._process.pid, create_time)

    @property
    def exit_code(self) -> int | None:
        """None while its main process lives."""
        code = self._process.returncode
        return code if code is None or code >= 0 else SIGNAL_BASE - code

    def watch(self, ended: Callable[[], None]) -> None:
        """Call `ended` when its main process has ended, in a thread of its own."""

        def wait() -> None:
            self._process.wait()
            ended()

        threading.Thread(target=wait, daemon=True).start()

    def ask_to_stop(self) -> None:
        """SIGTERM to its main process, as `docker stop` begins."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def wait(self, timeout_seconds: float) -> None:
        """Return when its main process has ended, or after the timeout."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_seconds)

    def kill(self) -> None:
        """SIGKILL to its main process, and to all that it left."""
        if self._is_gone:
            return
        kill_tree(self._mark, self.identity, CONTAINER_MARK_VARIABLE)
        self._process.wait()
        # Only now the session tells, also of those that have hidden their mark.
        kill_tree(self._mark, self.identity, CONTAINER_MARK_VARIABLE)
        self._is_gone = True


def launch_command(spec: ContainerSpec, environment: Mapping[str, str]) -> list[str]:
    """What is run for it. Raises CannotStartError if there is no such program."""
    if not spec.command:
        raise CannotStartError(
            "CannotStartContainerError: the local cloud pulls no image, so the definition of "
            f"{spec.name} must have a command"
        )
    if shutil.which(spec.command[0], path=environment["PATH"]) is None:
        raise CannotStartError(
            f'CannotStartContainerError: exec: "{spec.command[0]}": executable file not found in '
            "$PATH"
        )
    return ["/bin/sh", "-c", LAUNCH, "sh", *_nofile(spec), *spec.command]


def _nofile(spec: ContainerSpec) -> tuple[str, str]:
    """Soft and hard limit as the shell takes them: nobody can raise what this process has."""
    if spec.nofile is None:
        return "", ""
    _, own = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft, hard = (
        limit if own == resource.RLIM_INFINITY else min(limit, own) for limit in spec.nofile
    )
    return str(soft), str(hard)


def write_python(folder: Path) -> None:
    """Put `python3` and `python` into the folder: this interpreter, with its packages.

    Not a link: an interpreter looks for its packages beside the name it was called by.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("python3", "python"):
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
        script.chmod(0o755)


class Cores:
    """The cores of this machine, and how many tasks each of them has."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        available = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
        self._tasks: Counter[int] = Counter(dict.fromkeys(available, 0))

    @contextmanager
    def taken(self, count: int) -> Iterator[None]:
        """Bind this thread to `count` cores, the least used; the processes it starts inherit that.

        A thread that ends with the block may stay bound. On macOS nothing is bound.
        """
        with self._lock:
            cores = sorted(self._tasks, key=lambda core: self._tasks[core])[:count]
            self._tasks.update(cores)
        if cores:
            os.sched_setaffinity(0, cores)
        try:
            yield
        finally:
            with self._lock:
                self._tasks.subtract(cores)
