"""The process of one puller: `python -m stepgrid_core.container.puller_process NUMBER`.

Builds what a puller works with, runs it, and ends with 0, or with 143 after it was asked to stop.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

from ..common_cache import CommonCache
from ..compute_plane import GUARD_SECONDS, Bench
from ..errors import NotFound, Unavailable
from ..invocation import Invocation
from ..names import JOB_WORKER
from ..package_runner import package_runner
from ..ports import TaskRunner
from ..records import NO_ANSWER
from ..telemetry import EmfMetrics, log_print, logger, print_by_line
from ..wiring import (
    aws_broker,
    container_tally,
    lent_client,
    lent_payloads,
    lent_store,
    system_clock,
)
from .broker_rows import BrokerRows, Desk
from .job_desk import BrokerJobDesk
from .job_place import is_passable, make_root
from .puller import Puller, ask_patiently
from .settings import ContainerSettings
from .stopping import Stopping

#: As a shell reports a process that SIGTERM ended: the state machine takes it for a failure, and
#: has another container finish what was handed back.
STOPPED = 143
#: Kept from the stop timeout, for Python to end.
END_SECONDS = 5.0
#: A job that has not ended so long before the container does is handed back, to run elsewhere.
HAND_BACK_SECONDS = GUARD_SECONDS + 5.0
#: What leads to the credentials of the container, which user code must not have.
CREDENTIAL_VARIABLES = (
    "AWS_CONTAINER_",
    "ECS_CONTAINER_",
    "AWS_ACCESS_KEY",
    "AWS_SECRET",
    "AWS_SESSION",
)


#: What the programs of a job must know of the container.
SHARED_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL")


def pull(settings: ContainerSettings, number: int, stopping: Stopping) -> int:
    """Run chunks of the session; answers the exit code."""
    clock = system_clock()
    tally = container_tally(settings.count_requests, settings.memory_mib)
    with tally.invocation(clock, f"{settings.container}-{number}"):
        tally.session_id = settings.session_id
        desk = _desk(settings)
        opened = ask_patiently(desk, stopping, "open")
        if opened is None:
            return STOPPED
        if opened["over"]:
            logger.info("puller done", chunks=0, stopped=stopping.asked)
            return 0
        rows, lent = BrokerRows(desk), lent_client(lambda: desk.ask("lend"))
        bench = Bench(
            rows=rows,
            payloads=lent_payloads(opened["bucket"], lent),
            commons=CommonCache(),
            metrics=EmfMetrics(),
            clock=clock,
            threads=4,
        )
        facts = Invocation.read_facts(opened["facts"])
        puller = Puller(number, settings.container, facts, desk, rows, bench, stopping)
        if facts.worker == JOB_WORKER:
            chunks = _pull_jobs(puller, opened, lent)
        else:
            chunks = puller.pull(_runner_maker(settings))
        logger.info("puller done", chunks=chunks, stopped=stopping.asked)
        desk.ask("leave")
    return STOPPED if stopping.asked else 0


def _pull_jobs(puller: Puller, opened: dict[str, Any], lent: Any) -> int:
    """The same where a task is a job: it is no Python, and has a container to itself."""
    from ..jobs import JobRunner  # noqa: PLC0415 - only jobs need it

    store = lent_store(opened["bucket"], lent)
    root = make_root()
    apart = is_passable(root)
    if not apart:
        logger.warning("jobs run as the container does", folder=str(root))
    runner = JobRunner(
        BrokerJobDesk(puller.desk, opened["outputs_prefix"], store),
        root,
        puller.bench.clock,
        on_print=log_print,
        # Before, a run that is closed has lost its claim: its job was cancelled.
        interrupted=lambda: puller.stopping.time_left() <= HAND_BACK_SECONDS,
        apart=apart,
        environment={name: os.environ[name] for name in SHARED_VARIABLES if name in os.environ},
    )
    try:
        return puller.pull(lambda: runner)
    finally:
        runner.close()


def _desk(settings: ContainerSettings) -> Desk:
    who = {
        "session_id": settings.session_id,
        "ticket": settings.ticket,
        "container": settings.container,
        "dispatch": settings.dispatch,
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


def run(settings: ContainerSettings, number: int) -> int:
    """All that a process of one puller does; answers its exit code."""
    print_by_line()
    stopping = Stopping(
        system_clock().monotonic, max(1.0, settings.stop_timeout_seconds - END_SECONDS)
    )
    stopping.listen()
    try:
        return pull(settings, number, stopping)
    except NotFound as error:
        logger.warning("session is gone", reason=str(error))
        return 0
    except Unavailable as error:
        logger.warning("the grid does not answer", reason=str(error))
        return NO_ANSWER


def main() -> int:
    return run(ContainerSettings.read(dict(os.environ)), int(sys.argv[1]))


if __name__ == "__main__":
    sys.exit(main())
