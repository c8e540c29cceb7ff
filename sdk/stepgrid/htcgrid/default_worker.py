"""Which worker runs tasks that name none: HTC-Grid has one for each grid, stepgrid any number.

stepgrid_worker in the configuration  >  STEPGRID_WORKER  >  the grid's default  >  the only one
"""

import os

from stepgrid_core.contract import WorkerList
from stepgrid_core.errors import ConfigurationError

from ..client import Grid
from .agent_config import AgentConfig


def named_worker(config: AgentConfig) -> str | None:
    """The one that this client's configuration or environment names."""
    return config.worker or os.environ.get("STEPGRID_WORKER") or None


def default_worker(config: AgentConfig, listed: WorkerList) -> str | None:
    """The one for tasks that name none; None where several are there and none is chosen."""
    only = listed.workers[0].name if len(listed.workers) == 1 else None
    return named_worker(config) or listed.default or only


def find_default_worker(config: AgentConfig, grid: Grid) -> str:
    """As default_worker; the grid is asked only if need be. Raises ConfigurationError."""
    named = named_worker(config)
    if named is not None:
        return named
    listed = grid.connection.api.list_workers()
    found = default_worker(config, listed)
    if found is None:
        names = ", ".join(sorted(worker.name for worker in listed.workers)) or "none"
        raise ConfigurationError(
            f"no worker is chosen, and the grid has these: {names}; name one as stepgrid_worker in "
            "the configuration, in the environment as STEPGRID_WORKER, or for all clients by the "
            "stack's parameter DefaultWorker"
        )
    return found
