"""What `stepgrid bench cost` shows: sessions of a kind, and what a million such tasks cost.

Pure: measured sessions in, rows out. It knows neither the terminal nor the grid.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from . import htcgrid
from .bill import Usage, price_requests, price_tasks, price_time, unpriced
from .meter import SessionCost

MILLION = 1_000_000
#: Enough for the share of a task not to change any more.
MOST_CHUNKS = 1_000


@dataclass(frozen=True, slots=True)
class Shape:
    """A session to measure. No tasks in a chunk: as many as the planner chooses."""

    name: str
    tasks: int
    chunk_size: int | None = None
    task_seconds: float | None = None  #: the hint that the planner gets; the tasks take no time


@dataclass(frozen=True, slots=True)
class CostRow:
    """Dollars are for a million tasks in sessions like this one."""

    name: str
    tasks: int | None
    chunks: int | None
    requests: float
    requests_per_task: float
    request_dollars: float  #: all that is billed by request or amount
    time_dollars: float | None  #: of functions and executions, besides the tasks themselves
    task_dollars: float | None  #: of the tasks' own time
    bill: Mapping[str, float]  #: request_dollars by the units of the bill
    usage: Usage  #: of the session as it was measured
    unpriced: list[str]


def plan_shapes(tasks: int, chunk_sizes: tuple[int, ...], task_seconds: float) -> list[Shape]:
    """One task alone; so many tasks in chunks of each size; as the planner likes it.

    The planner is asked twice: for tasks that take next to no time, and for such of task_seconds.

    Of small chunks fewer tasks are measured: AWS allows a session 10,000 chunks, and more than
    MOST_CHUNKS of them tell nothing new.
    """
    sized = (
        Shape(f"{size:,} in a chunk", min(tasks, size * MOST_CHUNKS), size) for size in chunk_sizes
    )
    return [
        Shape("one task", 1),
        *sized,
        Shape("planned", tasks),
        Shape(f"planned, {task_seconds:g} s", tasks, task_seconds=task_seconds),
    ]


def make_row(name: str, cost: SessionCost, task_seconds: float) -> CostRow:
    """task_seconds: that a task takes, in place of the measured one's next to nothing."""
    per_million = cost.usage.times(MILLION / cost.tasks)
    bill = price_requests(per_million)
    return CostRow(
        name=name,
        tasks=cost.tasks,
        chunks=cost.chunks,
        requests=cost.usage.total_requests,
        requests_per_task=cost.usage.total_requests / cost.tasks,
        request_dollars=sum(bill.values()),
        time_dollars=price_time(per_million),
        task_dollars=price_tasks(task_seconds * MILLION),
        bill=bill,
        usage=cost.usage,
        unpriced=unpriced(cost.usage),
    )


def htcgrid_rows() -> list[CostRow]:
    """HTC-Grid's requests for one task; what its machines and its Redis cost is not in them."""
    return [
        _htcgrid_row("HTC-Grid", htcgrid.one_task()),
        _htcgrid_row("HTC-Grid, Redis", htcgrid.one_task(payloads_in_s3=False)),
    ]


def _htcgrid_row(name: str, task: Usage) -> CostRow:
    bill = price_requests(task.times(MILLION))
    return CostRow(
        name=name,
        tasks=None,
        chunks=None,
        requests=task.total_requests,
        requests_per_task=task.total_requests,
        request_dollars=sum(bill.values()),
        time_dollars=None,
        task_dollars=None,
        bill=bill,
        usage=task,
        unpriced=unpriced(task),
    )
