"""The process of one puller: `python -m stepgrid_core.container.puller_process NUMBER`.

Builds what a puller works with, runs it, and ends with 0, or with 143 after it was asked to stop.
"""

import os
import sys
from collections.abc import Callable

from ..common_cache import CommonCache
from ..compute_plane import Bench
from ..errors import NotFound
from ..invocation import Invocation
from ..package_runner import package_runner
from ..ports import TaskRunner
from ..telemetry import EmfMetrics, logger
from ..wiring import aws_broker, container_tally, lent_payloads, system_clock
from .broker_rows import BrokerRows, Desk
from .puller import Puller
from .settings import ContainerSettings
from .stopping import Stopping

#: As a shell reports a process that SIGTERM ended: the state machine takes it for a failure, and
#: has another container finish what was handed back.
STOPPED = 143
#: Kept from the stop timeout, for Python to end.
END_SECONDS = 5.0
#: What leads to the credentials of the container, which user code must not have.
CREDENTIAL_VARIABLES = (
    "AWS_CONTAINER_",
    "ECS_CONTAINER_",
    "AWS_ACCESS_KEY",
    "AWS_SECRET",
    "AWS_SESSION",
)


def pull(settings: ContainerSettings, number: int, stopping: Stopping) -> int:
    """Run chunks of the session; answers the exit code."""
    clock = system_clock()
    tally = container_tally(settings.count_requests, settings.memory_mib)
    with tally.invocation(clock, f"{settings.container}-{number}"):
        tally.session_id = settings.session_id
        desk = _desk(settings)
        opened = desk.ask("open")
        if opened["over"]:
            return 0
        rows = BrokerRows(desk)
        bench = Bench(
            rows=rows,
            payloads=lent_payloads(opened["bucket"], lambda: desk.ask("lend")),
            commons=CommonCache(),
            metrics=EmfMetrics(),
            clock=clock,
            threads=4,
        )
        facts = Invocation.read_facts(opened["facts"])
        puller = Puller(number, settings.container, facts, desk, rows, bench, stopping)
        chunks = puller.pull(_runner_maker(settings))
        logger.info("puller done", chunks=chunks, stopped=stopping.asked)
        desk.ask("leave")
    return STOPPED if stopping.asked else 0


def _desk(settings: ContainerSettings) -> Desk:
    who = {
        "session_id": settings.session_id,
        "ticket": settings.ticket,
        "container": settings.container,
        "started_at": settings.started_at,
    }
    return Desk(aws_broker(settings.broker_function), who)


def _runner_maker(settings: ContainerSettings) -> Callable[[], TaskRunner]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(CREDENTIAL_VARIABLES) and name != "STEPGRID_TICKET"
    }
    memory_mib = settings.memory_mib // settings.pullers
    return lambda: package_runner(environment, memory_mib)


def main() -> int:
    settings = ContainerSettings.read(dict(os.environ))
    stopping = Stopping(
        system_clock().monotonic, max(1.0, settings.stop_timeout_seconds - END_SECONDS)
    )
    stopping.listen()
    try:
        return pull(settings, int(sys.argv[1]), stopping)
    except NotFound as error:
        logger.warning("session is gone", reason=str(error))
        return 0


if __name__ == "__main__":
    sys.exit(main())
