"""Dask: a scheduler and worker processes, by distributed.LocalCluster."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from dask.distributed import Client, LocalCluster

from tests.benchmarks.contenders.contender import Contender


class DaskCluster(Contender):
    """A cluster of single-threaded workers on this machine, without its dashboard."""

    packages = ("dask", "distributed")

    def __init__(self) -> None:
        self._cluster: LocalCluster | None = None
        self._client: Client | None = None

    def start(self, workers: int, folder: Path) -> None:
        self._cluster = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=None,
            worker_dashboard_address=None,
            local_directory=str(folder),
        )
        self._client = Client(self._cluster)

    def stop(self) -> None:
        for part in (self._client, self._cluster):
            if part is not None:
                part.close()

    def map(self, function: Callable[[Any], Any], inputs: Iterable[Any]) -> Iterable[Any]:
        assert self._client is not None
        results: list[Any] = self._client.gather(self._client.map(function, list(inputs)))
        return results

    def queue(self, function: Callable[[Any], Any], inputs: Iterable[Any]) -> Callable[[], None]:
        client = self._client
        assert client is not None
        futures = client.map(function, list(inputs))
        return lambda: client.cancel(futures)
