"""The folder of one job, touched only by its descriptor.

The job's processes own the folder and may put anything into it: links, pipes, devices, folders
without end. So no path is ever handed to the system as a whole: each part of a name is opened from
the folder before it, and no link is followed. What is written is new, what is read is a regular
file.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from .process import JobUser

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FLAGS = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_DEEP = 64  #: folders in each other, each with an open descriptor while they are removed

TEMPORARY_FOLDER = ".stepgrid-tmp"


class NotKept(Exception):
    """Something in the folder can't be an output; the message says why, after its name."""


class Workspace:
    """Made for one start of a job, and removed after it."""

    def __init__(self, parent: Path, user: JobUser | None) -> None:
        """Raises OSError."""
        self.path = parent / token_hex(8)
        self._user = user
        self.path.mkdir(mode=0o700)
        self._fd = os.open(self.path, _FOLDER_FLAGS)
        self._give(self._fd)
        os.close(self._make_folder(self._fd, TEMPORARY_FOLDER))

    def create(self, name: str, mode: int = 0o644) -> int:
        """A descriptor to write and read a new file, which is the job's. Raises OSError."""
        *folders, last = name.split("/")
        with self._folder(folders, make=True) as folder_fd:
            fd = os.open(last, os.O_RDWR | os.O_APPEND | _NEW_FLAGS, 0o600, dir_fd=folder_fd)
            os.fchmod(fd, mode)
            self._give(fd)
            return fd

    def open_file(self, name: str) -> int:
        """A descriptor to read a regular file. Raises NotKept, and OSError if there is none."""
        *folders, last = name.split("/")
        with self._folder(folders) as folder_fd:
            # Not opened before it is known what it is: to open a device may do something.
            self._check(os.stat(last, dir_fd=folder_fd, follow_symlinks=False))
            fd = os.open(last, _READ_FLAGS, dir_fd=folder_fd)
        try:
            self._check(os.fstat(fd))
        except NotKept:
            os.close(fd)
            raise
        return fd

    def list_names(self, folder: str) -> list[str]:
        """Names in a folder, "" for the job's own; none if it is no folder or can't be read."""
        try:
            with self._folder(folder.split("/") if folder else []) as fd, os.scandir(fd) as found:
                return sorted(entry.name for entry in found)
        except OSError:
            return []

    def is_folder(self, name: str) -> bool:
        """Is it there, and a folder? A link to one is none."""
        *folders, last = name.split("/")
        try:
            with self._folder(folders) as fd:
                return stat.S_ISDIR(os.stat(last, dir_fd=fd, follow_symlinks=False).st_mode)
        except OSError:
            return False

    def close(self) -> None:
        """Remove it, whatever is in it."""
        os.close(self._fd)
        remove_tree(self.path)

    def _check(self, found: os.stat_result) -> None:
        if stat.S_ISLNK(found.st_mode):
            raise NotKept("is a link, and links are not followed")
        if not stat.S_ISREG(found.st_mode):
            raise NotKept("is no regular file")
        owner = self._user.uid if self._user else os.geteuid()
        if found.st_nlink > 1 and found.st_uid != owner:
            raise NotKept("is a second name of a file that is not the job's")

    @contextmanager
    def _folder(self, parts: list[str], make: bool = False) -> Iterator[int]:
        fd = os.dup(self._fd)
        try:
            for part in parts:
                below = self._enter(fd, part, make)
                os.close(fd)
                fd = below
            yield fd
        finally:
            os.close(fd)

    def _enter(self, fd: int, part: str, make: bool) -> int:
        try:
            return os.open(part, _FOLDER_FLAGS, dir_fd=fd)
        except FileNotFoundError:
            if not make:
                raise
            return self._make_folder(fd, part)

    def _make_folder(self, fd: int, name: str) -> int:
        os.mkdir(name, 0o755, dir_fd=fd)
        made = os.open(name, _FOLDER_FLAGS, dir_fd=fd)
        self._give(made)
        return made

    def _give(self, fd: int) -> None:
        if self._user:
            os.fchown(fd, self._user.uid, self._user.gid)


def remove_tree(path: Path) -> None:
    """Remove a folder that a job owned, however deep it goes; what can't be removed stays.

    What is very deep is first moved up beside it, so that no stack and no path gets too long.
    """
    parent_fd = os.open(path.parent, _FOLDER_FLAGS)
    try:
        pending = [path.name]
        while pending:
            _remove_folder(parent_fd, pending.pop(), _Removal(parent_fd, pending), depth=1)
    finally:
        os.close(parent_fd)


@dataclass(frozen=True, slots=True)
class _Removal:
    top_fd: int  #: where to move what is too deep
    moved: list[str]


def _remove_folder(parent_fd: int, name: str, removal: _Removal, depth: int) -> None:
    with suppress(OSError):
        if not _is_own_folder(parent_fd, name):
            os.unlink(name, dir_fd=parent_fd)
            return
        if depth > _DEEP:
            beside = token_hex(8)
            os.rename(name, beside, src_dir_fd=parent_fd, dst_dir_fd=removal.top_fd)
            removal.moved.append(beside)
            return
        fd = os.open(name, _FOLDER_FLAGS, dir_fd=parent_fd)
        try:
            for entry in os.listdir(fd):
                _remove_folder(fd, entry, removal, depth + 1)
        finally:
            os.close(fd)
        os.rmdir(name, dir_fd=parent_fd)


def _is_own_folder(parent_fd: int, name: str) -> bool:
    """If it is, it can be read and written from now on."""
    mode = os.stat(name, dir_fd=parent_fd, follow_symlinks=False).st_mode
    if stat.S_ISDIR(mode) and stat.S_IMODE(mode) & 0o700 != 0o700:
        os.chmod(name, 0o700, dir_fd=parent_fd)
    return stat.S_ISDIR(mode)
