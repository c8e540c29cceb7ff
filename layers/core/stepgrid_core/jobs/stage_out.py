"""Keeps what a job left: the outputs that it said, its script, STDOUT.txt and STDERR.txt.

All processes of the job are dead by now, so nothing changes under our hands; still each file is
opened once, without following links, and handed on by its descriptor. What is not there, or is no
file that may be kept, is named: nothing is lost in silence.
"""

import errno
import fnmatch
import hashlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path

from ..errors import RequestError, ServiceError
from ..job_paths import RESERVED_PREFIX, check_name, is_pattern
from ..ports import Clock
from ..records import JobFile
from .limits import StagingLimits
from .workspace import NotKept, Workspace

_STORE_ATTEMPTS = 4
_STORE_PAUSE_SECONDS = 0.5
_READ_BYTES = 1024 * 1024
#: A file by its descriptor: no path leads to another one meanwhile.
_DESCRIPTORS = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"
_MAX_ERROR_CHARACTERS = 2000


@dataclass(slots=True)
class Kept:
    """What has been kept so far; grows while files are stored."""

    files: list[JobFile] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  #: names and patterns that were not left
    refused: dict[str, str] = field(default_factory=dict)  #: name -> why it was not kept

    def describe(self) -> str | None:
        """What is missing, in words; None if nothing is."""
        if not self.missing:
            return None
        told = [
            f"{name} ({self.refused[name]})" if name in self.refused else name
            for name in self.missing
        ]
        return f"Missing outputs: {', '.join(told)}"[:_MAX_ERROR_CHARACTERS]

    def miss(self, name: str, reason: str | None = None) -> None:
        if name not in self.missing:
            self.missing.append(name)
        if reason:
            self.refused.setdefault(name, reason)


class StageOut:
    """Of one job."""

    def __init__(
        self,
        workspace: Workspace,
        store: Callable[[str, Path], None],
        clock: Clock,
        limits: StagingLimits,
        deadline: Callable[[], float],
    ) -> None:
        """store: keeps a file under a name. deadline: monotonic; may come nearer meanwhile."""
        self._workspace = workspace
        self._store = store
        self._clock = clock
        self._limits = limits
        self._deadline = deadline
        self._room = limits.outputs_bytes
        self._entries = limits.output_entries
        self.kept = Kept()

    def keep_all(self, outputs: list[str], script: str | None, streams: dict[str, int]) -> None:
        """streams: descriptors of STDOUT.txt and STDERR.txt, by name."""
        # First what tells most, and is small: time or room may not last for all.
        for name, file_fd in streams.items():
            self._keep(name, partial(os.dup, file_fd))
        own = [script] if script else []
        done = set(streams)
        for name, output in chain(zip(own, own, strict=True), self._expand(outputs)):
            if name in done:
                continue
            done.add(name)
            if max(len(self.kept.files), len(self.kept.missing)) >= self._limits.output_files:
                self.kept.miss(output, f"a job may leave {self._limits.output_files} files")
                continue
            self._keep(name, partial(self._workspace.open_file, name))
        last = {name: place for place, name in enumerate([*own, *streams])}
        self.kept.files.sort(key=lambda file: last.get(file.name, -1))

    def _expand(self, outputs: list[str]) -> Iterator[tuple[str, str]]:
        """Names, each with what was said of it."""
        for output in dict.fromkeys(outputs):
            if not is_pattern(output):
                yield output, output
                continue
            found = False
            for name in self._match(output):
                found = True
                yield name, output
            if not found:
                self.kept.miss(output)

    def _match(self, pattern: str) -> Iterator[str]:
        """Names of all that the pattern fits, but for folders."""
        *folders, last = pattern.split("/")
        found = [""]
        for part in folders:
            found = [name for folder in found for name in self._match_part(pattern, folder, part)]
        for folder in found:
            for name in self._match_part(pattern, folder, last):
                if not self._workspace.is_folder(name):
                    yield name

    def _match_part(self, pattern: str, folder: str, part: str) -> Iterator[str]:
        prefix = f"{folder}/" if folder else ""
        if not is_pattern(part):
            yield prefix + part
            return
        fits = re.compile(fnmatch.translate(part)).match
        for name in self._workspace.list_names(folder):
            if self._entries <= 0:
                self.kept.miss(pattern, "there are too many files to look at")
                return
            self._entries -= 1
            hidden = name.startswith(".") and not part.startswith(".")
            if not fits(name) or hidden or name.lower().startswith(RESERVED_PREFIX):
                continue
            if _is_name(prefix + name):
                yield prefix + name
            else:
                self.kept.miss(pattern, "fits a file whose name can't be told")

    def _keep(self, name: str, open_file: Callable[[], int]) -> None:
        try:
            file_fd = open_file()
        except OSError as error:
            self.kept.miss(name, _explain(error))
            return
        except NotKept as error:
            self.kept.miss(name, str(error))
            return
        try:
            self._keep_open(name, file_fd)
        except NotKept as error:
            self.kept.miss(name, str(error))
        finally:
            os.close(file_fd)

    def _keep_open(self, name: str, file_fd: int) -> None:
        size = os.fstat(file_fd).st_size
        if size > min(self._limits.output_bytes, self._room):
            raise NotKept(f"has {size} bytes, which is more than may be kept")
        digest = self._digest(file_fd)
        self._store_patiently(name, Path(_DESCRIPTORS, str(file_fd)))
        self._room -= size
        self.kept.files.append(JobFile(name, size, digest))

    def _digest(self, file_fd: int) -> str:
        digest, place = hashlib.sha256(), 0
        while block := os.pread(file_fd, _READ_BYTES, place):
            self._check_time()
            digest.update(block)
            place += len(block)
        return digest.hexdigest()

    def _store_patiently(self, name: str, file: Path) -> None:
        for attempt in range(1, _STORE_ATTEMPTS + 1):
            self._check_time()
            try:
                return self._store(name, file)
            except ServiceError as error:
                if attempt == _STORE_ATTEMPTS:
                    raise NotKept("it could not be stored: the storage did not answer") from error
            except RequestError as error:
                raise NotKept(f"it could not be stored: {error}") from error
            self._clock.sleep(_STORE_PAUSE_SECONDS * attempt)
        return None

    def _check_time(self) -> None:
        if self._clock.monotonic() >= self._deadline():
            raise NotKept("there was no time left to store it")


def _is_name(found: str) -> bool:
    """A job may give its files names of any bytes; not all can be told."""
    try:
        check_name(found)
    except ValueError:
        return False
    return True


def _explain(error: OSError) -> str | None:
    """None: it is simply not there."""
    if error.errno == errno.ENOENT:
        return None
    if error.errno in (errno.ENOTDIR, errno.ELOOP):
        return "leads through a link or a file, and links are not followed"
    return f"it can't be read: {error.strerror}"
