"""What the containers of a session do, in memory: the real pullers, by the real broker.

dispatch --> for each container: token --> Puller --> run_claim --> ... --> dry
                                 died? --> container_ended --> another one? --> ...
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from stepgrid_core.broker import answer
from stepgrid_core.common_cache import CommonCache
from stepgrid_core.compute_plane import Bench
from stepgrid_core.container.broker_rows import BrokerRows, Desk
from stepgrid_core.container.puller import Puller
from stepgrid_core.container.stopping import Stopping
from stepgrid_core.container_loss import ContainerEnd, container_ended
from stepgrid_core.invocation import facts_of
from stepgrid_core.memory import MemoryLender
from stepgrid_core.ports import Broker, CredentialLender, TaskRunner
from stepgrid_core.records import Session
from stepgrid_core.wiring import Grid

from .runner import EnvironmentDied

STOP_TIMEOUT_SECONDS = 120.0


class MemoryBroker:
    """Questions and answers travel as JSON, as they do through Lambda."""

    def __init__(self, grid: Grid, lender: CredentialLender | None = None) -> None:
        self._grid = grid
        self._lender = lender or MemoryLender()

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        asked = json.loads(json.dumps(question))
        answered: dict[str, Any] = json.loads(json.dumps(answer(self._grid, self._lender, asked)))
        return answered


def make_puller(
    grid: Grid, session: Session, container: str, number: int = 0, broker: Broker | None = None
) -> Puller:
    """A puller as a container has it, over the grid's own payloads and clock."""
    who = {"session_id": session.session_id, "ticket": session.ticket, "container": container}
    start = {"dispatch": session.dispatches, "started_at": grid.clock.now()}
    desk = Desk(broker or MemoryBroker(grid), who | start)
    desk.ask("open")
    rows = BrokerRows(desk)
    bench = Bench(rows, grid.payloads, CommonCache(), grid.metrics, grid.clock)
    stopping = Stopping(grid.clock.monotonic, STOP_TIMEOUT_SECONDS)
    return Puller(number, container, facts_of(session), desk, rows, bench, stopping)


class Containers:
    """Runs the containers that an execution would start, one after the other."""

    def __init__(self, grid: Grid, make_token: Callable[[], str]) -> None:
        self._grid = grid
        self._make_token = make_token

    def run(self, session: Session, make_runner: Callable[[], TaskRunner]) -> None:
        """One child of the Map: a container, and others in its place while there has to be one."""
        wanted = True
        while wanted:
            token = self._make_token()
            error = self._run_one(session, token, make_runner)
            end = ContainerEnd(token, error, "")
            wanted = container_ended(self._grid, facts_of(session), end).wanted

    def _run_one(self, session: Session, token: str, make_runner: Callable[[], TaskRunner]) -> str:
        """Its pullers take turns here; answers the error with which it ended."""
        try:
            for number in range(session.pullers):
                make_puller(self._grid, session, token, number).pull(make_runner)
        except EnvironmentDied:
            return "States.TaskFailed"
        return ""
