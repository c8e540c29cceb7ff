"""Lithops: serverless functions by its localhost backend, payloads in its localhost storage."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import lithops

from tests.benchmarks.contenders.contender import Contender


class LithopsLocalhost(Contender):
    """The peer that is nearest in kind: functions, and an object store between them."""

    packages = ("lithops",)

    def __init__(self) -> None:
        self._executor: Any = None

    def start(self, workers: int, folder: Path) -> None:
        self._executor = lithops.FunctionExecutor(
            config={
                "lithops": {
                    "backend": "localhost",
                    "storage": "localhost",
                    "telemetry": False,
                    # It would be a process that outlives this one; the folder is removed anyway.
                    "data_cleaner": False,
                },
                "localhost": {"runtime": sys.executable, "worker_processes": workers},
                "localhost_storage": {},
            },
            log_level=None,
        )

    def stop(self) -> None:
        if self._executor is not None:
            self._executor.__exit__(None, None, None)

    def map(self, function: Callable[[Any], Any], inputs: Iterable[Any]) -> Iterable[Any]:
        # A dict by itself would be taken for the names of arguments.
        calls = [(value,) for value in inputs]
        results = self._executor.get_result(self._executor.map(function, calls))
        return results if isinstance(results, list) else [results]
