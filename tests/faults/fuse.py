"""A process dies just before or just after one of its calls to the world: the means to do so."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from stepgrid.testing import EnvironmentDied
from stepgrid_core.wiring import Grid

MOST_CALLS = 40
#: Every call that a process may die at, and on which side of it.
POINTS = [(call, moment) for call in range(MOST_CALLS) for moment in ("before", "after")]


class Fuse:
    """Counts calls to the world, and blows at one of them."""

    def __init__(self, call: int | None, moment: str) -> None:
        self._call = call
        self._moment = moment
        self.calls = 0

    def through(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        number, self.calls = self.calls, self.calls + 1
        if (number, "before") == (self._call, self._moment):
            raise EnvironmentDied
        answer = function(*args, **kwargs)
        if (number, "after") == (self._call, self._moment):
            raise EnvironmentDied
        return answer


class Interruption(Fuse):
    """Instead of a death: at one call somebody else does something."""

    def __init__(self, call: int, act: Callable[[], object]) -> None:
        super().__init__(call, "before")
        self._act = act

    def through(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return super().through(function, *args, **kwargs)
        except EnvironmentDied:
            self._act()
            return function(*args, **kwargs)


class Fused:
    """A port whose every call goes through the fuse."""

    def __init__(self, port: Any, fuse: Fuse) -> None:
        self._port = port
        self._fuse = fuse

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = getattr(self._port, name)
        return lambda *args, **kwargs: self._fuse.through(function, *args, **kwargs)


def fused(grid: Grid, fuse: Fuse) -> Grid:
    return replace(
        grid,
        table=Fused(grid.table, fuse),
        payloads=Fused(grid.payloads, fuse),
        dispatcher=Fused(grid.dispatcher, fuse),
        events=Fused(grid.events, fuse),
    )
