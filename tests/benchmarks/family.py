"""The processes of one contender: found, weighed, checked, and ended.

A contender's process starts others as it likes, some of which leave their parents. Three signs tell
that one belongs to it: it descends from a root, it has the mark in its environment, or it did so
when last seen. A process is the one that was seen only with the same creation time: the system
gives a pid of the dead to others (psutil compares before it signals).
"""

import ipaddress
import time
from collections.abc import Iterable
from contextlib import suppress

import psutil

#: In the environment of a contender's process, and so of what it starts.
MARK_VARIABLE = "STEPGRID_BENCHMARK_MARK"


class Family:
    """All processes with a mark, and their descendants."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._known: dict[int, psutil.Process] = {}

    def add_roots(self, pids: Iterable[int]) -> None:
        """Servers that were started without the mark."""
        for pid in pids:
            with suppress(psutil.NoSuchProcess):
                self._known[pid] = psutil.Process(pid)

    def search(self) -> list[psutil.Process]:
        """All living ones; looks at every process of the machine."""
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.environ().get(MARK_VARIABLE) == self._mark:
                    self._known[process.pid] = process
        return self.look()

    def look(self) -> list[psutil.Process]:
        """All living ones that descend from those known."""
        for process in list(self._known.values()):
            with suppress(psutil.Error):
                self._known.update((child.pid, child) for child in process.children(recursive=True))
        self._known = {pid: each for pid, each in self._known.items() if is_alive(each)}
        return list(self._known.values())

    def end(self, grace_seconds: float) -> list[str]:
        """Kill those that are still there after a while; returns their names."""
        deadline = time.monotonic() + grace_seconds
        while (left := self.search()) and time.monotonic() < deadline:
            time.sleep(0.1)
        names = [describe(process) for process in left]
        for process in left:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=10)
        return names


def is_alive(process: psutil.Process) -> bool:
    """It runs, and does not only wait to be reaped."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def describe(process: psutil.Process) -> str:
    """Name and pid."""
    with suppress(psutil.Error):
        return f"{process.name()} ({process.pid})"
    return f"process {process.pid}"


def sum_cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """CPU time so far, with that of their children which have ended."""
    total = 0.0
    for process in processes:
        with suppress(psutil.Error):
            used = process.cpu_times()
            total += used.user + used.system + used.children_user + used.children_system
    return total


def memory_bytes(process: psutil.Process) -> int:
    """Its proportional share of memory (PSS); where the system has none, what is its own (USS)."""
    with suppress(psutil.Error):
        full = process.memory_full_info()
        return int(getattr(full, "pss", full.uss))
    return 0


def open_doors(processes: Iterable[psutil.Process]) -> list[str]:
    """Addresses other than loopback that they listen on."""
    doors = set()
    for process in processes:
        with suppress(psutil.Error):
            for socket in process.net_connections(kind="inet"):
                if socket.status == psutil.CONN_LISTEN and not is_loopback(socket.laddr.ip):
                    doors.add(f"{process.name()} on {socket.laddr.ip}:{socket.laddr.port}")
    return sorted(doors)


def is_loopback(address: str) -> bool:
    """127.0.0.1, ::1, and the former in IPv6's words."""
    parsed = ipaddress.ip_address(address)
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)
