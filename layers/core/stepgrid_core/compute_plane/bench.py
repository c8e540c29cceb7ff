"""All that the compute plane may touch of the world beside the runner."""

from dataclasses import dataclass

from ..common_cache import CommonCache
from ..ports import Clock, MetricSink, PayloadStore, Rows
from ..table_rows import TableRows
from ..wiring import Grid


@dataclass(frozen=True, slots=True)
class Bench:
    """What a worker works with, be it a part of the grid or a container kept at a distance."""

    rows: Rows
    payloads: PayloadStore
    commons: CommonCache
    metrics: MetricSink
    clock: Clock
    threads: int = 1  #: requests that may be under way at once


def bench_of(grid: Grid) -> Bench:
    """Of a worker that is part of the grid."""
    return Bench(
        rows=TableRows(grid),
        payloads=grid.payloads,
        commons=grid.commons,
        metrics=grid.metrics,
        clock=grid.clock,
        threads=grid.threads,
    )
