"""How much memory and storage tasks use.

One look over the machine's processes serves all containers. A process belongs to the one whose mark
its environment has, also in a session of its own. Knows nothing of ECS.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import psutil

from stepgrid.local.containers import CONTAINER_MARK_VARIABLE

#: A process that is younger may not have got its environment yet.
YOUNG_SECONDS = 2.0


class MarkedProcesses:
    """The processes of each container, by mark. Each process is asked for its mark once."""

    def __init__(self) -> None:
        self._marks: dict[psutil.Process, str | None] = {}

    def find(self) -> Mapping[str, list[psutil.Process]]:
        """The living ones."""
        known, self._marks = self._marks, {}
        found: dict[str, list[psutil.Process]] = defaultdict(list)
        for process in psutil.process_iter():
            mark = known[process] if process in known else _mark_of(process)
            if mark is not None:
                found[mark].append(process)
            if mark is not None or not _is_young(process):
                self._marks[process] = mark
        return found


def _mark_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(CONTAINER_MARK_VARIABLE)
    except (psutil.Error, OSError):
        return None


def _is_young(process: psutil.Process) -> bool:
    try:
        return time.time() - process.create_time() < YOUNG_SECONDS
    except psutil.Error:
        return False


def memory_bytes(processes: list[psutil.Process], limit_bytes: int) -> int:
    """What they use together.

    What they share counts once. To find that out takes long: it is done only where it decides.
    """
    resident = sum(_resident_bytes(process) for process in processes)
    if resident <= limit_bytes:
        return resident
    return sum(_own_bytes(process) for process in processes)


def _resident_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _own_bytes(process: psutil.Process) -> int:
    """The proportional share; where the system has none, what is its alone."""
    try:
        found = process.memory_full_info()
    except psutil.Error:
        return 0
    return int(getattr(found, "pss", found.uss))


def folder_bytes(folder: Path) -> int:
    """What the files in the folder occupy."""
    total = 0
    for place, _, names in os.walk(folder, onerror=lambda _: None):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_blocks * 512
            except OSError:  # removed meanwhile
                continue
    return total
