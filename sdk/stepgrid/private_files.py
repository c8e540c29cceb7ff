"""Files that only their owner may read, replaced in one step: a reader never sees half of one."""

import os
import tempfile
from pathlib import Path


def write_private_text(path: Path, text: str) -> None:
    """Replace `path` by `text`, mode 0600, and make its folder, mode 0700. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp makes the file 0600 from its first moment on
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
