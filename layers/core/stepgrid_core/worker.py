"""The Lambda handler of every worker: `Handler: stepgrid_core.worker.handler`.

    state machine --event--> handler --> run_chunk --TaskInput--> Runner ==> child process
                                                                            STEPGRID_HANDLER

One Runner lives as long as the environment does, so that user modules are imported once. Answers a
short summary, never results (Step Functions state data has 256 KiB).
"""

import os
from functools import cache
from typing import Any, Protocol

from .compute_plane import run_chunk
from .errors import NotFound
from .invocation import Invocation
from .package_runner import package_runner
from .ports import TaskRunner
from .runner import Runner
from .telemetry import logger
from .wiring import Grid, aws_grid


class LambdaContext(Protocol):
    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int: ...


def handle(
    event: dict[str, Any], context: LambdaContext, grid: Grid, runner: TaskRunner
) -> dict[str, str]:
    """Run one chunk; {"outcome": "ended" | "again"}."""
    invocation = Invocation.read(event)
    grid.tally.session_id = invocation.facts.session_id
    logger.append_keys(session_id=invocation.facts.session_id, chunk=invocation.chunk)
    try:
        outcome = run_chunk(
            grid, invocation, runner, lambda: context.get_remaining_time_in_millis() / 1000
        )
    except NotFound as error:
        logger.warning("session is gone", reason=str(error))
        outcome = "ended"
    logger.info("chunk run", outcome=outcome)
    return {"outcome": outcome}


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    grid = _grid()
    with grid.tally.invocation(grid.clock, context.aws_request_id):
        return handle(event, context, grid, _runner())


@cache
def _grid() -> Grid:
    return aws_grid(dict(os.environ))


@cache
def _runner() -> Runner:
    return package_runner(dict(os.environ))
