"""Parsl: apps on a HighThroughputExecutor with one block on this machine."""

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import parsl
from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.providers import LocalProvider

from tests.benchmarks.contenders.contender import Contender


class ParslExecutor(Contender):
    """The executor that its makers recommend for many short tasks."""

    packages = ("parsl",)

    def __init__(self) -> None:
        self._flow: Any = None

    def start(self, workers: int, folder: Path) -> None:
        # It starts its programs by name, from the PATH.
        os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        executor = HighThroughputExecutor(
            label="benchmark",
            address="127.0.0.1",
            loopback_address="127.0.0.1",
            max_workers_per_node=workers,
            # Otherwise it has no more workers than the machine has processors.
            cores_per_worker=min(1.0, (os.cpu_count() or 1) / workers),
            provider=LocalProvider(init_blocks=1, min_blocks=1, max_blocks=1),
            encrypted=False,
        )
        self._flow = parsl.load(
            Config(
                executors=[executor],
                run_dir=str(folder),
                usage_tracking=0,
                initialize_logging=False,
                strategy="none",
            )
        )

    def stop(self) -> None:
        if self._flow is not None:
            self._flow.cleanup()

    def map(self, function: Callable[[Any], Any], inputs: Iterable[Any]) -> Iterable[Any]:
        app = parsl.python_app(function, data_flow_kernel=self._flow)
        return [future.result() for future in [app(value) for value in inputs]]
