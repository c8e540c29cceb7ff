"""One hash over all that a deployment is made from: the same hash, the same deployment.

Pure but for reading files. It must not know how a build or a deployment is done.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

#: What the SAM CLI reads, relative to the project.
SOURCES = (
    "template.yaml",
    "observability.yaml",
    "samconfig.toml",
    "functions",
    "layers",
    "statemachines",
)

#: Left behind by tools, never part of a package.
IGNORED_DIRECTORIES = frozenset({"__pycache__", "node_modules"})


def compute_fingerprint(project_dir: Path, settings: Mapping[str, str]) -> str:
    """A hex SHA-256 over the project's sources and `settings` (parameters, tool versions)."""
    digest = hashlib.sha256(json.dumps(dict(settings), sort_keys=True).encode())
    for file in source_files(project_dir, SOURCES):
        content = file.read_bytes()
        # Name and length separate one file from the next: moved bytes must change the hash.
        header = json.dumps([file.relative_to(project_dir).as_posix(), len(content)])
        digest.update(header.encode())
        digest.update(content)
    return digest.hexdigest()


def source_files(project_dir: Path, sources: Iterable[str]) -> Iterator[Path]:
    """The files of `sources` in a fixed order; hidden files and tools' leftovers are no sources."""
    for source in sources:
        path = project_dir / source
        if path.is_file():
            yield path
        elif path.is_dir():
            yield from _files_below(path)


def _files_below(directory: Path) -> Iterator[Path]:
    for path in sorted(directory.iterdir()):
        if path.name.startswith(".") or path.name in IGNORED_DIRECTORIES:
            continue
        if path.is_dir():
            yield from _files_below(path)
        elif path.is_file():
            yield path
