"""concurrent.futures.ProcessPoolExecutor: what Python itself offers on one machine."""

from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import Any

from tests.benchmarks.contenders.contender import Contender


class ProcessPool(Contender):
    """A pool of processes behind the interface of concurrent.futures."""

    def __init__(self) -> None:
        self._executor: Executor | None = None

    def start(self, workers: int, folder: Path) -> None:
        self._executor = self.make_executor(workers)

    def make_executor(self, workers: int) -> Executor:
        """The pool itself."""
        return ProcessPoolExecutor(workers)

    def stop(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)

    def map(self, function: Callable[[Any], Any], inputs: Iterable[Any]) -> Iterable[Any]:
        assert self._executor is not None
        return self._executor.map(function, inputs)

    def queue(self, function: Callable[[Any], Any], inputs: Iterable[Any]) -> Callable[[], None]:
        assert self._executor is not None
        futures = [self._executor.submit(function, value) for value in inputs]

        def cancel() -> None:
            for future in reversed(futures):
                future.cancel()

        return cancel
