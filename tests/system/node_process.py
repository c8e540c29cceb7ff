"""A node as it is shipped: `stepgrid node start` in a process of its own.

Whoever waits for something of it fails at once where the node has ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

STEPGRID = Path(sys.executable).with_name("stepgrid")
SECONDS = 120
#: What a node says first, when the server has let it in.
GREETING = "online as"


class NodeProcess:
    """Of the folder with its node.yaml, one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._greetings = 0  #: of the processes before this one

    def start(self, *options: str) -> None:
        """Unless it works already. options: where they are not --config node.yaml."""
        if self.is_working:
            return
        self._greetings = self.log.count(GREETING)
        argv = [str(STEPGRID), "node", "start", *(options or ("--config", "node.yaml"))]
        with (self.folder / "node.log").open("ab") as log:
            self._process = subprocess.Popen(
                argv,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=_environment(),
                start_new_session=True,
            )

    @property
    def is_working(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        written = self.folder / "node.log"
        return written.read_text() if written.exists() else ""

    def await_line(self, text: str, times: int = 1) -> None:
        """Of its log."""

        def is_there() -> bool:
            assert self.is_working, self.log[-4000:]
            return self.log.count(text) >= times

        wait_until(is_there, lambda: self.log[-4000:])

    def stop(self) -> int:
        """SIGTERM; the exit code. Nothing that the node started is left.

        Not before it works: until then SIGTERM ends it as any other program.
        """
        assert self._process is not None
        self.await_line(GREETING, self._greetings + 1)
        family = psutil.Process(self._process.pid).children(recursive=True)
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(SECONDS)
        assert not [each for each in family if is_alive(each.pid)]
        assert not _group(self._process.pid)
        return code

    def kill(self) -> None:
        """SIGKILL of its process group."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(SECONDS)


def _environment() -> dict[str, str]:
    """An operator's, and no more."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


def _group(leader: int) -> list[int]:
    """Processes of a group that are alive."""
    return [pid for pid in psutil.pids() if _group_of(pid) == leader and is_alive(pid)]


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def is_alive(pid: int) -> bool:
    """One that has ended and was not asked for yet is not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(is_so: Callable[[], bool], describe: Callable[[], object] = lambda: "") -> None:
    """What another process does is looked at often; describe: for when it never does."""
    ticker, give_up_at = threading.Event(), time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < give_up_at, describe()
        ticker.wait(0.02)
