"""The Runner of a package worker, as the environment that it runs in describes it."""

import sys
from collections.abc import Mapping

from .runner import Runner, RunnerSettings
from .settings import WorkerSettings
from .telemetry import log_print

#: Left of the environment's memory for this process, its buffers and the interpreter.
SUPERVISOR_MIB = 160


def package_runner(environment: Mapping[str, str], memory_mib: int | None = None) -> Runner:
    """environment: of this process and, with all that is in it, of the user's function.

    memory_mib: for supervisor and function together; left out: the memory of the function.
    """
    settings = WorkerSettings.model_validate(environment)
    memory_mib = memory_mib or settings.AWS_LAMBDA_FUNCTION_MEMORY_SIZE
    return Runner(
        RunnerSettings(
            handler=settings.STEPGRID_HANDLER,
            search_path=tuple(entry for entry in sys.path if entry),
            environment=environment,
            memory_limit_bytes=max(memory_mib - SUPERVISOR_MIB, memory_mib // 2) * 1024 * 1024,
            result_limit_bytes=settings.STEPGRID_RESULT_LIMIT_BYTES,
            function_name=settings.AWS_LAMBDA_FUNCTION_NAME,
            memory_mib=memory_mib,
        ),
        on_print=log_print,
    )
