"""Where a container's jobs have their folders, and whether a user of their own can reach them."""

import os
import tempfile
from pathlib import Path

#: Others may pass through, and see nothing.
PASSABLE = 0o711


def make_root() -> Path:
    """The folder in which jobs get theirs, beside everything else that is temporary."""
    root = Path(tempfile.gettempdir(), "jobs")
    root.mkdir(mode=PASSABLE, exist_ok=True)
    root.chmod(PASSABLE)
    return root


def is_passable(folder: Path) -> bool:
    """Can any user reach what is in it?

    On a developer's machine the local cloud may be in a private folder: jobs then run as the
    container does.
    """
    return all(os.stat(part).st_mode & 0o001 for part in (folder, *folder.resolve().parents))
