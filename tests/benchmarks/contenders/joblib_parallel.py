"""joblib: pools that put many short calls into one batch by themselves."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed

from tests.benchmarks.contenders.contender import Contender


class JoblibParallel(Contender):
    """The process pool that comes nearest to the machine's limit without help of the user."""

    packages = ("joblib",)

    def __init__(self) -> None:
        self._parallel: Parallel | None = None

    def start(self, workers: int, folder: Path) -> None:
        self._parallel = Parallel(n_jobs=workers, temp_folder=str(folder)).__enter__()

    def stop(self) -> None:
        if self._parallel is not None:
            self._parallel.__exit__(None, None, None)

    def map(self, function: Callable[[Any], Any], inputs: Iterable[Any]) -> Iterable[Any]:
        assert self._parallel is not None
        call = delayed(function)
        results: list[Any] = self._parallel(call(value) for value in inputs)
        return results
