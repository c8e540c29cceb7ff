"""An algorithm's process, with all that it starts: nothing of it outlives its end, or the node.

The guard of the grid's jobs (stepgrid_core/jobs/guard.py) starts it and kills what is left; if the
node dies, by whatever death, the guard kills the algorithm. Knows nothing of runs.
"""

import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

_GUARD = Path(str(resources.files("stepgrid_core"))) / "jobs" / "guard.py"
#: From SIGTERM to SIGKILL, where an algorithm is told to end.
TERM_SECONDS = 2.0
_BLOCK_BYTES = 65_536
_LOOK_SECONDS = 0.2
_DRAIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Command:
    """What to start."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    folder: Path


@dataclass(frozen=True, slots=True)
class Exit:
    """How it ended."""

    code: int | None  #: negative: by that signal; None: it was not started
    error: str | None = None  #: why it was not started


class Tail:
    """The last bytes of what is written to a pipe. Holds up nobody, fills nothing."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._kept = b""
        self._cut = False
        self._read_fd, self.write_fd = os.pipe()
        self._reader = threading.Thread(target=self._read, name="algorithm-log", daemon=True)
        self._reader.start()

    def close(self) -> str:
        """Once all writers but this are gone: what they wrote last."""
        os.close(self.write_fd)
        self._reader.join(_DRAIN_SECONDS)
        if not self._reader.is_alive():  # else some process outlived a guard that was killed
            os.close(self._read_fd)
        text = self._kept.decode(errors="replace")
        return f"[...]\n{text}" if self._cut else text

    def _read(self) -> None:
        while block := os.read(self._read_fd, _BLOCK_BYTES):
            joined = self._kept + block
            self._cut = self._cut or len(joined) > self._most_bytes
            self._kept = joined[-self._most_bytes :]


class Process:
    """One start of a command. All methods belong to one thread."""

    def __init__(self, command: Command, output_fd: int) -> None:
        """Raises OSError if the system can't start another process."""
        self._exit: Exit | None = None
        self._news = b""
        self._guard = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-I", "-S", str(_GUARD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={},
            cwd="/",
            pass_fds=[output_fd],
            start_new_session=True,
        )
        self._tell(json.dumps(_order(command, output_fd)).encode() + b"\n")

    def wait(self, seconds: float) -> Exit | None:
        """Wait so long for the end; None if it has not come."""
        assert self._guard.stdout is not None
        fd = self._guard.stdout.fileno()
        if self._exit is None and select.select([fd], [], [], seconds)[0]:
            data = os.read(fd, _BLOCK_BYTES)
            self._news += data
            *lines, self._news = self._news.split(b"\n")
            for line in lines:
                self._exit = _read_exit(json.loads(line)) or self._exit
            if not data and self._exit is None:
                self._exit = Exit(-signal.SIGKILL)  # as its guard, and with it
        return self._exit

    def terminate(self) -> None:
        """Ask it to end; what is left after TERM_SECONDS is killed."""
        self._tell(b"T")

    def close(self) -> None:
        """Kill all that is left."""
        assert self._guard.stdin is not None
        assert self._guard.stdout is not None
        with suppress(OSError):
            self._guard.stdin.close()
        self._guard.wait()
        self._guard.stdout.close()

    def _tell(self, data: bytes) -> None:
        assert self._guard.stdin is not None
        with suppress(OSError):  # it is dead: `wait` finds out
            left = memoryview(data)
            while left:
                left = left[self._guard.stdin.write(left) or 0 :]


def run_command(command: Command, gone: threading.Event, most_log_bytes: int) -> tuple[Exit, str]:
    """Run it to its end, which `gone` hastens; also the end of what it wrote. Raises OSError."""
    tail = Tail(most_log_bytes)
    try:
        process = Process(command, tail.write_fd)
        try:
            ended = _await_end(process, gone)
        finally:
            process.close()
    finally:
        log = tail.close()
    return ended, log


def _await_end(process: Process, gone: threading.Event) -> Exit:
    told = False
    while (ended := process.wait(_LOOK_SECONDS)) is None:
        if gone.is_set() and not told:
            process.terminate()
            told = True
    return ended


def _order(command: Command, output_fd: int) -> dict[str, object]:
    return {
        "argv": list(command.argv),
        "environment": dict(command.environment),
        "folder": str(command.folder),
        "stdout_fd": output_fd,
        "stderr_fd": output_fd,
        "uid": 0,  # the node's own user
        "gid": 0,
        "exclusive": False,
        "term_seconds": TERM_SECONDS,
    }


def _read_exit(news: Mapping[str, object]) -> Exit | None:
    if "exit" in news:
        code = news["exit"]
        return Exit(code if isinstance(code, int) else None)
    if "error" in news:
        failure = news["error"]
        assert isinstance(failure, Mapping)
        return Exit(None, str(failure["text"]))
    return None
