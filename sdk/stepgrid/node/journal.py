"""What must survive the node's process: one small file for each run, replaced in one step.

    taken --> ended, with its result --> forgotten: the server has it
                        `--> refused: the claim was no longer good; kept a while

A run that had ended is never run again: if the server hands it out once more, because the word of
its end came too late, the kept result is sent under the new claim. A run that was only taken is not
gone on with: its lease ends, and the server hands it out again.

Results are kept as they travel, so of encrypted collaborations encrypted.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from stepgrid_core.errors import ConfigurationError

_FILE = re.compile(r"([0-9]{1,20})\.json")


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended, in the words that the server is told."""

    status: str
    log: str
    started_at: str | None
    finished_at: str
    result: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of a run."""

    run_id: int
    claim: str
    ending: Ending | None = None
    refused: bool = False  #: the ending was not taken under this claim


class Journal:
    """Threads may share it: each run is one thread's alone."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        for torn in folder.glob("*.tmp"):
            torn.unlink()

    def take(self, run_id: int, claim: str) -> None:
        self._write(Entry(run_id, claim))

    def end(self, run_id: int, claim: str, ending: Ending) -> Entry:
        """From now on it is never run again."""
        return self._write(Entry(run_id, claim, ending))

    def refuse(self, entry: Entry) -> None:
        """The server does not want it, as long as it does not hand the run out again."""
        self._write(replace(entry, refused=True))

    def forget(self, run_id: int) -> None:
        self._path(run_id).unlink(missing_ok=True)
        self._sync_folder()

    def find(self, run_id: int) -> Entry | None:
        return _read(self._path(run_id))

    def entries(self) -> Iterator[Entry]:
        """All, in order of their ids."""
        names = [found for name in os.listdir(self._folder) if (found := _FILE.fullmatch(name))]
        for run_id in sorted(int(name[1]) for name in names):
            if (entry := self.find(run_id)) is not None:
                yield entry

    def drop_refused(self, before: float) -> None:
        """Those that were refused before a time, in epoch seconds."""
        for entry in self.entries():
            if entry.refused and self._path(entry.run_id).stat().st_mtime < before:
                self.forget(entry.run_id)

    def _path(self, run_id: int) -> Path:
        return self._folder / f"{run_id}.json"

    def _write(self, entry: Entry) -> Entry:
        """After this a loss of power changes nothing."""
        path = self._path(entry.run_id)
        temporary = path.with_suffix(".tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(entry), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        self._sync_folder()
        return entry

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _read(path: Path) -> Entry | None:
    """None also for what somebody else has spoiled: the server hands such a run out again."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        ending = values.pop("ending")
        return Entry(**values, ending=ending and Ending(**ending))
    except FileNotFoundError:
        return None
    except (AttributeError, KeyError, TypeError, ValueError):
        path.replace(path.with_suffix(".broken"))
        return None


@contextmanager
def lock(data_dir: Path) -> Iterator[None]:
    """One node for each folder; a dead one's lock is free. Raises ConfigurationError, OSError."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"another node works in {data_dir}: end it first, or give this one a data_dir of "
                "its own"
            ) from None
        yield
    finally:
        with suppress(OSError):
            os.close(descriptor)
