"""What a caller gives to the runner beside tasks: its settings; and how the runner itself fails.

It must not know about processes or pipes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class RunnerStopped(Exception):
    """The runner was stopped. Tasks without an outcome have not finished; make a new runner."""


class RunnerStartError(Exception):
    """The system can't start a child process. No task of the batch is at fault."""


@dataclass(frozen=True)
class RunnerSettings:
    """What a child runs and what it may use."""

    #: "module.function"
    handler: str
    #: Entries of the child's sys.path, before the standard library.
    search_path: tuple[str, ...]
    #: The child's environment; PYTHONPATH is replaced by the search path.
    environment: Mapping[str, str] = field(repr=False)  # it may hold credentials
    #: RLIMIT_DATA of the child: heap, thread stacks and private writable maps. None: no limit.
    memory_limit_bytes: int | None
    #: A task whose result is longer, as JSON text, fails.
    result_limit_bytes: int
    #: What the handler's context shows.
    function_name: str
    memory_mib: int
    function_version: str = "$LATEST"
    invoked_function_arn: str = ""
    #: How long the import of the handler may take.
    start_timeout_seconds: float = 60.0

    @property
    def launch(self) -> dict[str, Any]:
        """What of it the child is told at its start: see runner_protocol.Launch."""
        return {
            "handler": self.handler,
            "memory_limit_bytes": self.memory_limit_bytes,
            "result_limit_bytes": self.result_limit_bytes,
            "function_name": self.function_name,
            "function_version": self.function_version,
            "invoked_function_arn": self.invoked_function_arn,
            "memory_mib": self.memory_mib,
        }
