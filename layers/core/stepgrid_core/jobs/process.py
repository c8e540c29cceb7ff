"""The job's process as the runner sees it: start it, ask how it is, end it with all it started.

It is the other end of `guard`, which is where processes are really started and killed.
"""

import errno
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

GUARD = Path(__file__).with_name("guard.py")
#: Above what systemd gives to services and containers (systemd.io/UIDS-GIDS): nobody's.
_FIRST_OWN_UID = 2_000_000_000
_NOBODY = 65_534
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126  #: exit codes, as shells have them
_END = b"T"
#: A job can't set it (`job_environment`): where it has one, the container has the same.
_LOADER_VARIABLES = ("LD_LIBRARY_PATH",)


@dataclass(frozen=True, slots=True)
class JobUser:
    """Whom a job's processes run as, where the runner is root."""

    uid: int
    gid: int
    exclusive: bool = False  #: nothing else runs as this user: whatever does can be killed


@dataclass(frozen=True, slots=True)
class Launch:
    """How a job is started."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    stdout_fd: int
    stderr_fd: int
    user: JobUser | None
    term_seconds: float  #: from SIGTERM to SIGKILL


@dataclass(frozen=True, slots=True)
class Exit:
    """How the job's process ended; all others of the job are dead by then."""

    code: int | None  #: as of `subprocess`; None: unknown, its guard was killed
    error: str | None = None  #: why it was not started


def own_user() -> JobUser | None:
    """A user for the jobs of this process alone; None where the process may not choose one."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return None
    uid = _FIRST_OWN_UID + os.getpid()
    return JobUser(uid, uid, exclusive=True) if _is_mapped(uid) else JobUser(_NOBODY, _NOBODY)


def _is_mapped(uid: int) -> bool:
    """A user namespace, as of a rootless container, may have few ids."""
    try:
        lines = Path("/proc/self/uid_map").read_text().splitlines()
    except OSError:
        return False
    ranges = [[int(number) for number in line.split()] for line in lines]
    return any(first <= uid < first + count for first, _, count in ranges)


class JobProcess:
    """One start of a job's command. All methods belong to one thread."""

    def __init__(self, launch: Launch) -> None:
        """Start it. Raises OSError if the system can't start another process."""
        self._launch = launch
        self._pid: int | None = None
        self._exit: Exit | None = None
        self._news = b""
        self._guard = _start_guard(launch)

    def wait(self, seconds: float) -> Exit | None:
        """Wait so long for the end; None if it has not come."""
        assert self._guard.stdout is not None
        fd = self._guard.stdout.fileno()
        if self._exit is None and select.select([fd], [], [], seconds)[0]:
            data = os.read(fd, 65536)
            self._news += data
            self._read_news()
            if not data and self._exit is None:
                self._replace_guard()
        return self._exit

    def terminate(self) -> None:
        """Ask it to end, and kill it after a while."""
        _write(self._guard, _END)

    def close(self, seconds: float) -> bool:
        """Kill all of it; False if some did not die in time."""
        assert self._guard.stdin is not None
        assert self._guard.stdout is not None
        with suppress(OSError):
            self._guard.stdin.close()
        try:
            self._guard.wait(seconds)
        except subprocess.TimeoutExpired:
            # All were told to die. It must not clear up after the user of the next job.
            self._guard.kill()
            self._guard.wait()
            return False
        finally:
            self._guard.stdout.close()
        return True

    def _read_news(self) -> None:
        *lines, self._news = self._news.split(b"\n")
        for line in lines:
            news: dict[str, Any] = json.loads(line)
            self._pid = news.get("started", self._pid)
            if "exit" in news:
                self._exit = Exit(news["exit"])
            elif "error" in news:
                self._exit = _explain(self._launch.argv[0], news["error"])

    def _replace_guard(self) -> None:
        """It was killed, perhaps for want of memory: the job's process was then killed as well."""
        if self._pid is not None:
            with suppress(OSError):
                os.killpg(self._pid, signal.SIGKILL)
        self._guard.wait()
        for pipe in (self._guard.stdin, self._guard.stdout):
            assert pipe is not None
            pipe.close()
        # Whatever else the job had started is found by its user alone.
        self._guard = _start_guard(replace(self._launch, argv=()))
        self._exit = Exit(None)


def _start_guard(launch: Launch) -> subprocess.Popen[bytes]:
    guard = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        # Isolated: no variable and no package of the runner's has a say in it.
        [sys.executable, "-I", "-S", str(GUARD)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        env=_guard_environment(launch.environment),
        cwd="/",
        pass_fds=[launch.stdout_fd, launch.stderr_fd],
        start_new_session=True,
    )
    _write(guard, json.dumps(_order(launch)).encode() + b"\n")
    return guard


def _guard_environment(job: Mapping[str, str]) -> dict[str, str]:
    """Some interpreters find their own libraries by a variable; nothing else has a say in it."""
    return {name: job[name] for name in _LOADER_VARIABLES if name in job}


def _write(guard: subprocess.Popen[bytes], data: bytes) -> None:
    assert guard.stdin is not None
    with suppress(OSError):  # it is dead: `wait` finds out
        left = memoryview(data)
        while left:
            left = left[guard.stdin.write(left) or 0 :]


def _order(launch: Launch) -> dict[str, Any]:
    user = launch.user
    return {
        "argv": list(launch.argv),
        "environment": dict(launch.environment),
        "folder": str(launch.folder),
        "stdout_fd": launch.stdout_fd,
        "stderr_fd": launch.stderr_fd,
        "uid": user.uid if user else None,
        "gid": user.gid if user else None,
        "exclusive": bool(user and user.exclusive),
        "term_seconds": launch.term_seconds,
    }


def _explain(program: str, error: Mapping[str, Any]) -> Exit:
    if error["stage"] != "exec":
        return Exit(_NOT_EXECUTABLE, f"The job could not be started: {error['text']}.")
    if error["errno"] in (errno.ENOENT, errno.ENOTDIR):
        hint = "name a program of the container, or the job's script with its interpreter"
        return Exit(_NOT_FOUND, f"The program {program[:256]!r} was not found: {hint}.")
    text = f"The program {program[:256]!r} can't be executed: {error['text']}."
    return Exit(_NOT_EXECUTABLE, text)
