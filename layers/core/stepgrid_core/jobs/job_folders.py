"""Where the folders of jobs are, and what becomes of those that a dead runner left.

    root/ TOKEN.lock    held by a living runner; free as soon as it is dead, however it died
          TOKEN/        the folders of its jobs

Several runners may share a root. What belongs to no living one is removed.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from .workspace import remove_tree

_LOCK_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class JobFolders:
    """Of one runner."""

    def __init__(self, root: Path) -> None:
        """Make its folder, and clear up after the dead. Raises OSError."""
        root.mkdir(parents=True, exist_ok=True)
        # Jobs of other users pass through it, and see nothing.
        root.chmod(0o711)
        self._lock_fd, self.path = _claim_new(root)
        for lock in root.glob("*.lock"):
            if lock != self._lock:
                _clear_if_dead(lock)
        self.path.mkdir(mode=0o711)

    @property
    def _lock(self) -> Path:
        return self.path.with_suffix(".lock")

    def close(self) -> None:
        remove_tree(self.path)
        with suppress(OSError):
            self._lock.unlink()
        os.close(self._lock_fd)


def _claim_new(root: Path) -> tuple[int, Path]:
    while True:
        path = root / token_hex(8)
        lock = path.with_suffix(".lock")
        lock_fd = os.open(lock, _LOCK_FLAGS, 0o600)
        # Another runner may have found the file unlocked, and taken it for a dead one's.
        if _try_lock(lock_fd) and _is_at(lock, lock_fd):
            return lock_fd, path
        os.close(lock_fd)


def _clear_if_dead(lock: Path) -> None:
    try:
        lock_fd = os.open(lock, _LOCK_FLAGS & ~os.O_CREAT)
    except OSError:
        return
    try:
        if _try_lock(lock_fd):
            remove_tree(lock.with_suffix(""))
            with suppress(OSError):
                lock.unlink()
    finally:
        os.close(lock_fd)


def _try_lock(lock_fd: int) -> bool:
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_at(path: Path, file_fd: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file_fd))
    except OSError:
        return False
