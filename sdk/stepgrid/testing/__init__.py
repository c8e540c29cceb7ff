"""A grid in memory, with a virtual clock, for unit tests of programs that use stepgrid.

    from stepgrid.testing import InMemoryGrid

    memory = InMemoryGrid({"square": lambda event, context: event["x"] ** 2})
    with memory.client() as grid:
        assert grid.submit("square", [{"x": 2}, {"x": 3}]).results() == [4, 9]

It is the real control plane and the real compute plane over the in-memory ports; only user code is
called in this process instead of a supervised child. Nothing waits: time is `memory.clock`.
Federated tasks as well: see stepgrid.testing.federation.
"""

from .grid import InMemoryGrid
from .jobs import JobFailed
from .runner import EnvironmentDied

__all__ = ["EnvironmentDied", "InMemoryGrid", "JobFailed"]
