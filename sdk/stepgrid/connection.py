"""What a grid, its sessions and its executors share: API, objects, time, threads."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from .api import Api
from .objects import Objects
from .retry import Clock

#: Payload objects under way at once. S3 takes 100 ms for the smallest (user guide, "Performance
#: design patterns"), and a large session has 10,000: `stepgrid bench simulate` found that eight at
#: once took longer than its tasks. What they weigh together is bounded by whoever asks for them.
TRANSFERS = 32


def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(TRANSFERS, thread_name_prefix="stepgrid-transfer")


@dataclass(frozen=True, slots=True)
class Connection:
    """The one value that everything in the SDK is given."""

    api: Api
    objects: Objects
    clock: Clock
    #: starts its threads when they are needed first
    pool: ThreadPoolExecutor = field(default_factory=_pool)

    def close(self) -> None:
        self.pool.shutdown(wait=False, cancel_futures=True)
