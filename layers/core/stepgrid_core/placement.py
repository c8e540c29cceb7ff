"""Where a session is to run: its worker, its backend, the size of its containers, its lane.

    find the worker --> what is known of its tasks --> choose the backend --> lane and limits

Said before anything of the session is stored, and for sessions that are only asked about.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .admission import limits_of
from .budgets import Lane, Limits
from .container_sizes import choose_size
from .contract import MAX_LAMBDA_TASK_SECONDS, ContainerOptions, SessionOptions
from .errors import InvalidRequest, NotFound
from .planning import Plan, Workload
from .ports import Worker
from .queues import Queue
from .records import ContainerSize, lane_name
from .routing import Sizes, Wish, Work, choose_backend, plan_on
from .task_time import TaskTime
from .wiring import Grid

DEFAULT_TASK_TIMEOUT_SECONDS = 300.0
#: How old what is known of a worker may be when a session is planned and finds room on it.
LANE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a session runs. `lane` may be a little old."""

    worker: Worker
    backend: str
    reason: str
    lane: Lane
    limits: Limits
    work: Work  #: without what only the input itself tells
    sizes: Sizes
    wish: Wish
    measured: TaskTime | None
    queue: Queue | None = None

    @property
    def workload(self) -> Workload:
        return self.work.on(self.backend)

    def having(self, size: int, stride: int, offsets: Sequence[int] = ()) -> "Placement":
        """What only the input tells; and as many slots as the session can have there today."""
        work = self.work.having(size, stride, offsets).limited(self.backend, self.limits.slots)
        return replace(self, work=work)

    def plan(self) -> Plan:
        return plan_on(self.backend, self.work, self.sizes, self.wish)

    @property
    def container(self) -> ContainerSize | None:
        return self.sizes.container if self.backend == "fargate" else None


def place(
    grid: Grid,
    owner: str,
    worker_name: str,
    tasks: int,
    options: SessionOptions,
    *,
    size: int | None = None,
    queue: Queue | None = None,
) -> Placement:
    """size: bytes of the tasks, where that is known.

    Raises NotFound for an unknown worker, InvalidRequest for options that can't be.
    """
    worker = find_worker(grid, worker_name)
    lane = grid.table.read_lane(worker.name, LANE_SECONDS)
    sizes = sizes_of(worker, options.container, queue)
    given = _Input(tasks, size or tasks, sizes.pullers)
    work = _work(grid, worker, lane.task_time, options, given)
    wish = Wish(options.backend, options.container.count if options.container else None)
    backend, reason = choose_backend(work, sizes, wish)
    measured = lane.task_time
    name = lane_name(worker.name, backend, queue.name if queue else "")
    if name != worker.name:
        lane = grid.table.read_lane(name, LANE_SECONDS)
        measured = lane.task_time or measured
    limits = limits_of(grid, owner, name, lane)
    return Placement(worker, backend, reason, lane, limits, work, sizes, wish, measured, queue)


def find_worker(grid: Grid, name: str) -> Worker:
    """Raises NotFound."""
    worker = grid.dispatcher.find_worker(name)
    if worker is None:
        raise NotFound(f"there is no worker {name!r} in this grid; `stepgrid workers` lists them")
    return worker


def max_task_timeout(worker: Worker) -> float:
    """On Lambda, which gives a function 900 s.

    A worker needs up to 60 s of its own time beside a task: to start, hand back and commit.
    For a registered function the relay takes that time, and lives as long as Lambda allows.
    """
    if worker.is_registered:
        return min(worker.timeout_seconds, MAX_LAMBDA_TASK_SECONDS)
    return worker.timeout_seconds - min(60.0, worker.timeout_seconds / 2)


def sizes_of(
    worker: Worker, wished: ContainerOptions | None = None, queue: Queue | None = None
) -> Sizes:
    """What a worker runs on. Raises InvalidRequest for containers that it can't have."""
    if wished is not None and worker.container is None:
        raise InvalidRequest(
            f"options.container is for Fargate; worker {worker.name!r} can't run on it here"
        )
    container = worker.container and choose_size(_of_queue(worker.container, queue), wished)
    return Sizes(
        function_mib=worker.memory_mib if worker.on_lambda else None,
        container=container,
        pullers=1 if queue or container is None else container.pullers,
        max_function_task_seconds=max_task_timeout(worker),
        architecture=worker.architecture,
    )


def _of_queue(size: ContainerSize, queue: Queue | None) -> ContainerSize:
    if queue is None:
        return size
    return ContainerSize(
        queue.vcpu,
        queue.memory_mib,
        queue.storage_gib,
        queue.spot,
        size.architecture,
        queue.fallback,
    )


@dataclass(frozen=True, slots=True)
class _Input:
    tasks: int
    size: int  #: bytes
    pullers: int  #: of one of its containers


def _work(
    grid: Grid, worker: Worker, measured: TaskTime | None, options: SessionOptions, given: _Input
) -> Work:
    said, settings = options.task_seconds, grid.settings
    most = options.max_concurrency or settings.default_concurrency
    count = options.container and options.container.count

    def workload(limit: int | None, most: int) -> Workload:
        return Workload(
            tasks=given.tasks,
            size=given.size,
            # The caller knows these very tasks; what was measured are others.
            task_time=measured if said is None else TaskTime(said, said),
            task_timeout_seconds=_task_timeout(options, worker),
            chunk_size=options.chunk_size,
            max_concurrency=most,
            limit=limit,
            relayed=worker.is_registered,
        )

    return Work(
        functions=workload(settings.worker_concurrency or None, most),
        containers=workload(
            settings.fargate_concurrency or None,
            options.max_concurrency or (count * given.pullers if count else most),
        ),
    )


def _task_timeout(options: SessionOptions, worker: Worker) -> float:
    if options.task_timeout_seconds is not None:
        return options.task_timeout_seconds
    limit = max_task_timeout(worker) if worker.on_lambda else DEFAULT_TASK_TIMEOUT_SECONDS
    return min(DEFAULT_TASK_TIMEOUT_SECONDS, limit)
