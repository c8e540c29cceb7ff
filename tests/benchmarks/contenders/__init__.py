"""Who takes part in the benchmark. Nothing is imported before it is wanted: it may be missing."""

import importlib
from dataclasses import dataclass
from typing import Final

from tests.benchmarks.contenders.contender import Contender


@dataclass(frozen=True)
class Entry:
    """A line of the list of contenders."""

    #: the module in this package, and its class
    module: str
    class_name: str
    #: as the tables name it
    title: str
    #: the call that is measured, as its users write it
    call: str
    #: runs on one machine only: shown as the machine's limit, not as a rival
    is_pool: bool = False
    #: reads the settings in the user's home folder; the others must not find any
    needs_home: bool = False


ENTRIES: Final[dict[str, Entry]] = {
    "stepgrid": Entry(
        "stepgrid_local",
        "StepgridLocal",
        "stepgrid (local cloud)",
        'grid.map("echo", tasks)',
        # `sam build` installs packages as the user's pip does.
        needs_home=True,
    ),
    "dask": Entry(
        "dask_cluster",
        "DaskCluster",
        "Dask (LocalCluster)",
        "client.gather(client.map(echo, tasks))",
    ),
    "ray": Entry("ray_local", "RayLocal", "Ray", "ray.get([echo.remote(t) for t in tasks])"),
    "parsl": Entry(
        "parsl_executor",
        "ParslExecutor",
        "Parsl (HighThroughputExecutor)",
        "[f.result() for f in [echo(t) for t in tasks]]",
    ),
    "celery": Entry(
        "celery_worker",
        "CeleryWorker",
        "Celery (on Valkey)",
        "[r.get() for r in [echo.delay(t) for t in tasks]]",
    ),
    "lithops": Entry(
        "lithops_localhost",
        "LithopsLocalhost",
        "Lithops (localhost)",
        "executor.get_result(executor.map(echo, tasks))",
    ),
    "pool": Entry(
        "process_pool",
        "ProcessPool",
        "ProcessPoolExecutor",
        "executor.map(echo, tasks)",
        is_pool=True,
    ),
    "loky": Entry("loky_pool", "LokyPool", "loky", "executor.map(echo, tasks)", is_pool=True),
    "joblib": Entry(
        "joblib_parallel",
        "JoblibParallel",
        "joblib (batches by itself)",
        "Parallel(4)(delayed(echo)(t) for t in tasks)",
        is_pool=True,
    ),
}


def make_contender(name: str) -> Contender:
    """The contender of this name. Raises ImportError when its packages are not here."""
    entry = ENTRIES[name]
    module = importlib.import_module(f"{__name__}.{entry.module}")
    contender: Contender = getattr(module, entry.class_name)()
    return contender
