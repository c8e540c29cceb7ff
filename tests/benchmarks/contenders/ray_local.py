"""Ray: a cluster of one node, started by ray.init."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

# Before the import, which reads them: no report to its makers, and servers on loopback only.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
os.environ["RAY_AUTH_MODE"] = "disabled"

import ray

from tests.benchmarks.contenders.contender import Contender


class RayLocal(Contender):
    """A node with as many CPUs as there are workers, without its dashboard."""

    packages = ("ray",)

    def start(self, workers: int, folder: Path) -> None:
        ray.init(
            num_cpus=workers,
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
            _node_ip_address="127.0.0.1",
            _temp_dir=str(folder),
        )

    def stop(self) -> None:
        ray.shutdown()

    def map(self, function: Callable[[Any], Any], inputs: Iterable[Any]) -> Iterable[Any]:
        remote = ray.remote(function)
        results: list[Any] = ray.get([remote.remote(value) for value in inputs])
        return results

    def queue(self, function: Callable[[Any], Any], inputs: Iterable[Any]) -> Callable[[], None]:
        remote = ray.remote(function)
        references = [remote.remote(value) for value in inputs]

        def cancel() -> None:
            for reference in references:
                ray.cancel(reference)

        return cancel
