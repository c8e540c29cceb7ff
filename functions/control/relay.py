"""Called by the state machines to run a chunk of a registered function.

    state machine --event--> relay --> run_chunk --> FunctionRunner ==> the function, once per task

It is to a plain function what `stepgrid_core.worker` is to a package: it claims, runs and commits.
"""

import os
from functools import cache
from typing import Any

from stepgrid_core.function_runner import FunctionRunner
from stepgrid_core.invocation import Invocation
from stepgrid_core.ports import FunctionCaller
from stepgrid_core.wiring import Grid, aws_caller, aws_grid
from stepgrid_core.worker import LambdaContext
from stepgrid_core.worker import handle as run


def handle(
    event: dict[str, Any], context: LambdaContext, grid: Grid, caller: FunctionCaller
) -> dict[str, str]:
    """Run one chunk; {"outcome": "ended" | "again"}."""
    target = Invocation.read_facts(event["session"]).target
    return run(event, context, grid, FunctionRunner(target, caller, grid.clock))


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    grid = _aws_grid()
    with grid.tally.invocation(grid.clock, context.aws_request_id):
        return handle(event, context, grid, _aws_caller())


@cache
def _aws_grid() -> Grid:
    return aws_grid(dict(os.environ))


@cache
def _aws_caller() -> FunctionCaller:
    return aws_caller()
