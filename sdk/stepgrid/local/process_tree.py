"""Find and stop a process with everything it started.

Knows processes only. A process is named by pid and creation time together: the system gives a pid
of the dead to somebody else, and a stranger must never be stopped.

Three signs tell that a process belongs to the tree: it descends from the root, it is in the session
that the root leads, or its environment holds the tree's mark (MARK_VARIABLE, inherited). The
second and third also find those whose parents are dead.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import psutil

#: The environment variable whose value marks all processes of one tree.
MARK_VARIABLE = "STEPGRID_LOCAL_CLOUD_ID"

#: A creation time is derived from the boot time, which moves when the clock is corrected.
CREATE_TIME_TOLERANCE_SECONDS = 2.0

MAX_SWEEPS = 10


@dataclass(frozen=True)
class ProcessIdentity:
    """A process that cannot be mistaken for a later one with the same pid."""

    pid: int
    #: Seconds since the epoch.
    create_time: float


def find_process(identity: ProcessIdentity) -> psutil.Process | None:
    """The living process that `identity` names, or None."""
    try:
        process = psutil.Process(identity.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        same = abs(process.create_time() - identity.create_time) < CREATE_TIME_TOLERANCE_SECONDS
    except psutil.NoSuchProcess:
        return None
    return process if same else None


def find_tree(
    mark: str, root: ProcessIdentity | None, variable: str = MARK_VARIABLE
) -> list[psutil.Process]:
    """All living processes of the tree, the root (if known and alive) first.

    variable: the name of the environment variable that holds the mark.
    """
    process = None if root is None else find_process(root)
    found: dict[int, psutil.Process] = {}
    if process is not None:
        found[process.pid] = process
        with suppress(psutil.NoSuchProcess):
            found.update({child.pid: child for child in process.children(recursive=True)})
    session = _session_of(root, process)
    for other in psutil.process_iter():
        if other.pid not in found and _belongs(other, mark, session, variable):
            found[other.pid] = other
    return list(found.values())


def _session_of(root: ProcessIdentity | None, process: psutil.Process | None) -> int | None:
    """The session that the root led: while a stranger holds its pid, the session is not ours."""
    if root is None or (process is None and psutil.pid_exists(root.pid)):
        return None
    return root.pid


def _belongs(process: psutil.Process, mark: str, session: int | None, variable: str) -> bool:
    try:
        if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
            return False
        if session is not None and os.getsid(process.pid) == session:
            return True
        return process.environ().get(variable) == mark
    except (psutil.Error, OSError):
        # Gone meanwhile, or another user's: not ours in either case.
        return False


def stop_tree(mark: str, root: ProcessIdentity | None, grace_seconds: float = 3.0) -> bool:
    """Stop the whole tree: ask the root first, then kill what is left. True if any was alive."""
    before = find_tree(mark, root)
    if root is not None and (process := find_process(root)) is not None:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
        wait_gone([process], grace_seconds)
    kill_processes(before)
    kill_tree(mark, root)
    return bool(before)


def kill_tree(mark: str, root: ProcessIdentity | None, variable: str = MARK_VARIABLE) -> None:
    """SIGKILL the whole tree, with what it starts meanwhile."""
    # A process may have started another between our look and its end.
    for _ in range(MAX_SWEEPS):
        if not (found := find_tree(mark, root, variable)):
            break
        kill_processes(found)


def kill_processes(processes: Iterable[psutil.Process]) -> None:
    """SIGKILL each of them and wait until they are gone."""
    doomed = list(processes)
    for process in doomed:
        # psutil compares the creation time before it signals: a recycled pid is spared.
        with suppress(psutil.NoSuchProcess):
            process.kill()
    wait_gone(doomed, timeout_seconds=5.0)


def wait_gone(processes: Iterable[psutil.Process], timeout_seconds: float) -> None:
    """Return when all have ended, or after the timeout. One that waits to be reaped has ended."""
    deadline = time.monotonic() + timeout_seconds
    waiting = list(processes)
    while waiting and time.monotonic() < deadline:
        waiting = [process for process in waiting if _runs(process)]
        time.sleep(0.01)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
