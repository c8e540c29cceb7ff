"""Files that jobs left behind, checked and kept inside one folder.

    outputs --> names that stay inside --> GET in parts --> size and sha256 --> file

An answer is not trusted with names: one that leads out of the folder is refused before anything is
written.
"""

import hashlib
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PureWindowsPath

from stepgrid_core.contract import JobOutput
from stepgrid_core.errors import NotFound, PayloadCorrupted

from .objects import LinkRefused, Objects

PART_BYTES = 16 * 1024 * 1024
#: Names that Windows takes for a drive or a stream are not written there either.
_STRANGE = (":", "\\", "\0") if os.name == "nt" else ("\\", "\0")


class JobDownloads:
    """The outputs of one job; `ask` lists them anew, with links that are good again."""

    def __init__(self, objects: Objects, job_id: str, ask: Callable[[], Sequence[JobOutput]]):
        self._objects = objects
        self._job_id = job_id
        self._ask = ask

    def read(self, name: str) -> bytes:
        """One file. Raises NotFound if it is not there, PayloadCorrupted if it is another one."""
        return b"".join(self._parts(self._find(name)))

    def save(self, folder: Path) -> list[Path]:
        """All that is there, each under its own name; answers the paths.

        Raises PayloadCorrupted for a name that leads out of the folder: then nothing is written.
        """
        available = [output for output in self._ask() if output.available]
        targets = [inside(folder, output.name) for output in available]
        for output, target in zip(available, targets, strict=True):
            self._save(output, target)
        return targets

    def _save(self, output: JobOutput, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{uuid.uuid4().hex[:8]}.part")
        try:
            with part.open("xb") as file:
                for data in self._parts(output):
                    file.write(data)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def _parts(self, output: JobOutput) -> Iterator[bytes]:
        size, checksum, read = output.size or 0, hashlib.sha256(), 0
        for start in range(0, size, PART_BYTES):
            data = self._get(output, (start, min(PART_BYTES, size - start)))
            checksum.update(data)
            read += len(data)
            yield data
        if read != size or output.sha256 not in (None, checksum.hexdigest()):
            raise PayloadCorrupted(
                f"output {output.name!r} of job {self._job_id} is not what the job left; ask "
                "again, and if it stays so the object was changed from outside"
            )

    def _get(self, output: JobOutput, byte_range: tuple[int, int]) -> bytes:
        """A link may have expired since it was given; then another one is asked for, once."""
        try:
            return self._objects.get(str(output.url), byte_range)
        except LinkRefused:
            return self._objects.get(str(self._find(output.name).url), byte_range)

    def _find(self, name: str) -> JobOutput:
        for output in self._ask():
            if output.name == name and output.available:
                return output
        raise NotFound(f"job {self._job_id} has no output {name!r}; see Job.outputs")


def inside(folder: Path, name: str) -> Path:
    """Where a file of that name goes. Raises PayloadCorrupted if that is not in the folder."""
    parts = name.split("/")
    hostile = {"", ".", ".."} & set(parts) or any(char in name for char in _STRANGE)
    target = folder.joinpath(*parts)
    drive = PureWindowsPath(name).drive
    if hostile or drive or not target.resolve().is_relative_to(folder.resolve()):
        raise PayloadCorrupted(
            f"the grid names an output {name!r}, which does not lie in the job's folder; "
            "nothing was written"
        )
    return target
