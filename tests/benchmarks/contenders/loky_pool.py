"""loky: the robust pool of processes under joblib."""

from concurrent.futures import Executor

import loky

from tests.benchmarks.contenders.process_pool import ProcessPool


class LokyPool(ProcessPool):
    """A pool that survives the death of its processes."""

    packages = ("loky",)

    def make_executor(self, workers: int) -> Executor:
        executor: Executor = loky.ProcessPoolExecutor(workers)
        return executor
