"""Where runs and jobs have their files, and when these are removed. Knows no server.

runs/<run>/    input, output, token: of one attempt, removed after its retention
jobs/<job>/    what the runs of a job share: vantage6's TEMPORARY_FOLDER
"""

import os
import shutil
import stat
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

_HOUR_SECONDS = 3_600.0


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The files of one attempt."""

    path: Path

    @property
    def output_file(self) -> Path:
        return self.path / "output"

    def read_output(self, most_bytes: int) -> bytes:
        """Raises OSError for what is no file of its own, or larger.

        An algorithm may have put a link in its place, to a file that the node alone can read.
        """
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        with os.fdopen(os.open(self.output_file, flags), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise OSError("it is no file")
            if status.st_size > most_bytes:
                raise OSError(f"it has {status.st_size} bytes, and {most_bytes} are the most")
            return file.read()

    def fill(self, input_: bytes, token: str) -> None:
        for name, data in (("input", input_), ("output", b""), ("token", token.encode())):
            write_private(self.path / name, data)


def write_private(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


class Folders:
    """All of one node."""

    def __init__(
        self, data_dir: Path, run_retention_hours: float, job_retention_hours: float
    ) -> None:
        self._runs, self._jobs = data_dir / "runs", data_dir / "jobs"
        self._run_seconds = run_retention_hours * _HOUR_SECONDS
        self._job_seconds = job_retention_hours * _HOUR_SECONDS
        for folder in (self._runs, self._jobs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def open_run(self, run_id: int) -> RunFolder:
        """Empty: whatever an earlier attempt left is gone."""
        folder = self._runs / str(run_id)
        remove(folder)
        folder.mkdir(mode=0o700)
        return RunFolder(folder)

    def open_job(self, job_id: int) -> Path:
        folder = self._jobs / str(job_id)
        folder.mkdir(mode=0o700, exist_ok=True)
        os.utime(folder)
        return folder

    def close_run(self, folder: RunFolder) -> None:
        if self._run_seconds:
            os.utime(folder.path)
        else:
            remove(folder.path)

    def drop_run(self, run_id: int) -> None:
        """Of an attempt that will not end."""
        remove(self._runs / str(run_id))

    def sweep(self, now: float, runs: Collection[int], jobs: Collection[int]) -> None:
        """Remove what is past its retention, and not one of these, which are at work."""
        _sweep(self._runs, now - self._run_seconds, runs)
        _sweep(self._jobs, now - self._job_seconds, jobs)


def _sweep(parent: Path, before: float, kept: Collection[int]) -> None:
    for folder in parent.iterdir():
        if folder.name not in set(map(str, kept)) and folder.stat().st_mtime <= before:
            remove(folder)


def remove(folder: Path) -> None:
    """With all that is in it, also what an algorithm has made hard to remove."""
    if folder.is_symlink() or not folder.is_dir():
        folder.unlink(missing_ok=True)
        return
    folder.chmod(0o700)
    for parent, names, _ in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if not path.is_symlink():
                path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)
