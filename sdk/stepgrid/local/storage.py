"""Where the local cloud keeps its files, and how it writes them.

Everything lies under `.stepgrid/` of the project. Files that hold credentials are readable by their
owner only, and are replaced in one step, so that a reader never sees half of one.
This module knows nothing of processes, AWS or SAM.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class LocalPaths:
    """The files of one project's local cloud."""

    project_dir: Path

    @property
    def root(self) -> Path:
        return self.project_dir / ".stepgrid"

    @property
    def profile(self) -> Path:
        """Where and as whom the SDK connects."""
        return self.root / "profile.json"

    @property
    def agent_config(self) -> Path:
        """The same for HTC-Grid's clients, with a user's name and password."""
        return self.root / "agent_config.json"

    @property
    def kotta_auth(self) -> Path:
        """The same for Cloud Kotta's clients, with a token that lasts an hour."""
        return self.root / "kotta.auth"

    @property
    def build_dir(self) -> Path:
        return self.root / "build"

    @property
    def cache_dir(self) -> Path:
        return self.root / "cache"

    @property
    def local(self) -> Path:
        return self.root / "local"

    @property
    def state(self) -> Path:
        """Which process runs and what is deployed in it."""
        return self.local / "state.json"

    @property
    def lock(self) -> Path:
        return self.local / "lock"

    @property
    def built_fingerprint(self) -> Path:
        """The fingerprint of the sources in build_dir; absent while a build runs."""
        return self.local / "built-fingerprint"

    @property
    def emulator_log(self) -> Path:
        return self.local / "ministack.log"

    @property
    def redis_log(self) -> Path:
        return self.local / "valkey.log"

    @property
    def sam_log(self) -> Path:
        return self.local / "sam.log"

    @property
    def sam_home(self) -> Path:
        """The SAM CLI's own settings, so that the user's are neither read nor changed."""
        return self.local / "sam"

    @property
    def scratch(self) -> Path:
        """The emulator's TMPDIR: unpacked functions and layers, containers; removed by `down`."""
        return self.local / "tmp"

    @property
    def absent(self) -> Path:
        """A path that does not exist: for settings that must point at nothing."""
        return self.local / "none"


def write_private_json(path: Path, content: dict[str, Any]) -> None:
    """Replace `path` by `content` in one step, mode 0600."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp creates the file with mode 0600, so the content is never readable by others.
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in `path`, or None when there is no file or it holds no JSON object."""
    with suppress(FileNotFoundError, ValueError):
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict):
            return content
    return None


@contextmanager
def exclusive_lock(path: Path) -> Iterator[int]:
    """Hold the lock file; wait while another process holds it. Yields its file descriptor.

    A child that inherits the descriptor keeps the lock held after our death, until it ends as well.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()
