"""A node as a process, against a server in this one."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import yaml

from tests.integration.node_server import API_KEY, FakeServer, serve

PROJECT = Path(__file__).parents[2]
#: Where vantage6's tools are: they pin what else is beside them (Makefile).
TOOLS_PYTHON = PROJECT / ".venv-vantage6" / "bin" / "python"
AVERAGE = {
    "image": "harbor.test/*",
    "python": "federated_average",
    "python_path": str(TOOLS_PYTHON),
    "search_path": [str(PROJECT / "tests" / "algorithms")],
}
SHELL = {"image": "shell.test/*", "plain_environment": True}


class Bench:
    """The folder of one node, and its processes."""

    def __init__(self, folder: Path, server: FakeServer, url: str) -> None:
        self.folder = folder
        self.server = server
        self.values: dict[str, Any] = {
            "server_url": url,
            "api_key": API_KEY,
            "data_dir": "data",
            "databases": [{"label": "default", "uri": "patients.csv", "type": "csv"}],
            "algorithms": [AVERAGE],
        }
        (folder / "patients.csv").write_text("age\n10\n20\n60\n")
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def config_file(self) -> Path:
        path = self.folder / "node.yaml"
        path.write_text(yaml.safe_dump(self.values))
        return path

    @property
    def journal(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "data" / "journal").iterdir())

    @property
    def log(self) -> str:
        return (self.folder / "node.log").read_text()

    def run_shell(self, script: str) -> None:
        """Tasks of images at shell.test run this script."""
        self.values["algorithms"] = [{**SHELL, "executable": ["/bin/sh", "-c", script]}]

    def start(self, *options: str, **environment: str) -> None:
        argv = [sys.executable, "-m", "stepgrid", "node", "start", *options]
        with open(self.folder / "node.log", "ab") as log:
            self.process = subprocess.Popen(
                [*argv, "--config", self.config_file],
                stderr=log,
                env=os.environ | environment,
            )

    def kill(self) -> None:
        """SIGKILL, as of the kernel that wants memory."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM, as of whoever shuts the machine down; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(90)

    def await_file(self, name: str) -> str:
        """Its text, once an algorithm has written it."""
        path, ticker = self.folder / name, threading.Event()
        while not path.exists() or not path.read_text().endswith("\n"):
            ticker.wait(0.01)
        return path.read_text().strip()


def await_end(pid: int) -> None:
    """Of a process that is no child of ours."""
    ticker = threading.Event()
    while is_alive(pid):
        ticker.wait(0.01)


def is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@contextmanager
def open_bench(folder: Path, encrypted: bool = False) -> Iterator[Bench]:
    server = FakeServer(encrypted)
    with serve(server) as url:
        bench = Bench(folder, server, url)
        try:
            yield bench
        finally:
            if bench.process is not None and bench.process.poll() is None:
                bench.kill()
