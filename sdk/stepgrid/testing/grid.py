"""The in-memory grid: ports, executions and clients put together."""

import logging
import os
import threading
from collections.abc import Mapping
from typing import Any

from stepgrid_core.container_sizes import default_size
from stepgrid_core.memory import (
    MemoryDispatcher,
    MemoryEventBus,
    MemoryLogReader,
    MemoryMetrics,
    MemoryPayloadStore,
    MemoryStateTable,
    MemorySubscriptions,
    VirtualClock,
)
from stepgrid_core.names import JOB_WORKER
from stepgrid_core.ports import Worker
from stepgrid_core.recovery import sweep
from stepgrid_core.settings import Settings
from stepgrid_core.subscriptions import remove_stale
from stepgrid_core.telemetry import logger
from stepgrid_core.wiring import Grid as Wiring

from ..client import Grid
from .executions import Executions
from .federation import Algorithm, MemoryFederation, owner_named
from .jobs import JobHandler, JobTasks, job_worker
from .runner import Handler
from .transport import MemoryObjects, MemoryTransport

DEFAULT_OWNER = owner_named("tester")


class InMemoryGrid:
    """A whole grid in this process. `workers`: name -> function(event, context).

    Work is done whenever a client asks for anything (`autorun`), or when `run` is called; the clock
    stands still unless a worker function, a wait or the test moves it. `jobs`: runs jobs in the
    place of containers, see stepgrid.testing.jobs; without it the grid takes none.
    """

    def __init__(
        self,
        workers: Mapping[str, Handler],
        *,
        jobs: JobHandler | None = None,
        autorun: bool = True,
        settings: Mapping[str, object] | None = None,
        fargate: bool = False,
        federation: Mapping[str, Any] | None = None,
        algorithms: Mapping[str, Algorithm] | None = None,
    ) -> None:
        """fargate: its workers can run in containers, too.

        federation, algorithms: what `stepgrid federation apply` reads, and what nodes run; see
        stepgrid.testing.federation.
        """
        if "POWERTOOLS_LOG_LEVEL" not in os.environ:
            # The planes log to stdout for CloudWatch; a user's test has its own output to look at.
            logger.setLevel(logging.WARNING)
        self.clock = VirtualClock()
        self.table = MemoryStateTable()
        self.payloads = MemoryPayloadStore()
        self.events = MemoryEventBus()
        self.logs = MemoryLogReader()
        self.subscriptions = MemorySubscriptions(self.events, self.clock)
        self.metrics = MemoryMetrics()
        self.dispatcher = MemoryDispatcher(
            {
                name: Worker(
                    name,
                    name,
                    timeout_seconds=900,
                    memory_mib=1769,
                    container=default_size("arm64") if fargate else None,
                )
                for name in workers
            }
        )
        handlers = dict(workers)
        if jobs is not None:
            self.dispatcher.workers[JOB_WORKER] = job_worker()
            handlers[JOB_WORKER] = JobTasks(jobs, lambda: self.wiring)
        self.wiring = Wiring(
            table=self.table,
            payloads=self.payloads,
            dispatcher=self.dispatcher,
            events=self.events,
            logs=self.logs,
            subscriptions=self.subscriptions,
            metrics=self.metrics,
            clock=self.clock,
            settings=Settings.model_validate(
                {
                    "table": "t",
                    "bucket": "bucket",
                    "event_bus": "e",
                    "worker_prefix": "",
                    "fargate": fargate,
                    **(settings or {}),
                }
            ),
        )
        self.federation: MemoryFederation | None = None
        if federation is not None:
            self.federation = MemoryFederation(self.wiring, federation, algorithms or {})
            self.wiring = self.federation.grid
        self.executions = Executions(self.wiring, self.dispatcher, self.clock, handlers)
        self.autorun = autorun
        self.lock = threading.RLock()

    def client(self, owner: str = DEFAULT_OWNER) -> Grid:
        """A Grid as this owner sees it."""
        return Grid(
            transport=MemoryTransport(self, owner), objects=MemoryObjects(self), clock=self.clock
        )

    def run(self) -> None:
        """Run everything that was submitted."""
        self.executions.run()
        if self.federation is not None:
            self.federation.run()

    def sweep(self) -> int:
        """What the sweeper does every minute."""
        remove_stale(self.wiring)
        return sweep(self.wiring)
