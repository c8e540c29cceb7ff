"""Watches the memory of a contender's processes while it works."""

import threading
from types import TracebackType

from tests.benchmarks.family import Family, memory_bytes

PERIOD_SECONDS = 0.05


class MemoryWatch:
    """In a `with` block: the highest sum of all processes, and the highest of the client alone."""

    def __init__(self, family: Family, client_pid: int) -> None:
        self._family = family
        self._client_pid = client_pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._idle: tuple[int, int] | None = None
        self._client_peak = self._all_peak = 0

    def __enter__(self) -> "MemoryWatch":
        self._idle = self._look()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._look()

    def figures(self) -> dict[str, int]:
        """Bytes before the block and at most in it."""
        assert self._idle is not None
        return {
            "client_idle_bytes": self._idle[0],
            "all_idle_bytes": self._idle[1],
            "client_peak_bytes": self._client_peak,
            "all_peak_bytes": self._all_peak,
        }

    def _watch(self) -> None:
        while not self._ended.wait(PERIOD_SECONDS):
            self._look()

    def _look(self) -> tuple[int, int]:
        sizes = {process.pid: memory_bytes(process) for process in self._family.look()}
        client, everything = sizes.get(self._client_pid, 0), sum(sizes.values())
        self._client_peak = max(self._client_peak, client)
        self._all_peak = max(self._all_peak, everything)
        return client, everything
