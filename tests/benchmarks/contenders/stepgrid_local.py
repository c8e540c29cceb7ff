"""stepgrid itself: the real template on a local cloud of its own, the SDK in this process."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from stepgrid import Grid
from tests.benchmarks.contenders.contender import Contender, NotOffered
from tests.benchmarks.workload import Task

PROJECT = Path(__file__).parents[3]
SOURCES = (
    "template.yaml",
    "observability.yaml",
    "samconfig.toml",
    "functions",
    "layers",
    "statemachines",
)


class StepgridLocal(Contender):
    """API, state machines and workers in an emulator; the developer's local cloud is not used."""

    packages = ("stepgrid", "ministack", "aws-sam-cli")

    def __init__(self) -> None:
        self._grid: Grid | None = None
        self._project: Path | None = None
        self._emulator: list[int] = []

    @property
    def grid(self) -> Grid:
        assert self._grid is not None
        return self._grid

    def start(self, workers: int, folder: Path) -> None:
        self._project = folder / "project"
        self._project.mkdir()
        for name in SOURCES:
            source = PROJECT / name
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, self._project / name)
        limit_workers(self._project / "samconfig.toml", workers)
        # In a process of its own: whoever uses a grid has not deployed it just before.
        status = json.loads(self._local("up", "--json"))
        self._emulator = [status["pid"]]
        os.environ["STEPGRID_PROFILE"] = status["profile_path"]
        self._grid = Grid()

    def stop(self) -> None:
        if self._grid is not None:
            self._grid.close()
        if self._project is not None:
            self._local("down")

    def echo(self, tasks: Iterable[Task]) -> Iterable[Task]:
        return self.grid.map("echo", tasks)

    def echo_chunks(self, chunks: Iterable[list[Task]]) -> Iterable[list[Task]]:
        raise NotOffered("the planner cuts the chunks")

    def nap(self, naps: Iterable[Task]) -> Iterable[int]:
        return self.grid.map("mock-compute", mock_tasks(naps))

    def queue_naps(self, naps: Iterable[Task]) -> Callable[[], None]:
        session = self.grid.submit("mock-compute", mock_tasks(naps))
        return lambda: check_cancelled(session)

    def tidy(self) -> None:
        """Sessions are kept until they are deleted; the emulator keeps them in memory."""
        for summary in self.grid.sessions(limit=1):
            self.grid.session(summary.session_id).delete()

    def detached_processes(self) -> list[int]:
        return self._emulator

    def _local(self, *words: str) -> str:
        command = [sys.executable, "-m", "stepgrid", "local", *words]
        command += ["--project", str(self._project)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout


def limit_workers(samconfig: Path, workers: int) -> None:
    """Let the stack run as many chunks at once as the others have workers."""
    text, local = samconfig.read_text(), 'parameter_overrides = "Stage=local '
    assert text.count(local) == 1, f"{samconfig.name} has no line {local!r}"
    samconfig.write_text(text.replace(local, f"{local}DefaultConcurrency={workers} "))


def mock_tasks(naps: Iterable[Task]) -> Iterator[dict[str, list[str]]]:
    """The same sleeps as the mock worker takes them."""
    return ({"worker_arguments": [str(nap["milliseconds"]), "1", "1"]} for nap in naps)


def check_cancelled(session: Any) -> None:
    """Cancel it, and check that the answer adds up."""
    session.cancel()
    counts = session.status().counts
    assert counts.cancelled > 0, f"nothing was cancelled: {counts}"
