"""The dispatcher as a list of what was started."""

from dataclasses import dataclass, field

from ..names import execution_name
from ..ports import Dispatch, ExecutionState, Worker, WorkerRegistry, registered_worker
from ..records import Session


@dataclass
class MemoryDispatcher:
    """Remembers what was started; whoever runs the executions takes them from `started`."""

    workers: dict[str, Worker] = field(default_factory=dict)
    started: list[Dispatch] = field(default_factory=list)
    states: dict[tuple[str, int], ExecutionState] = field(default_factory=dict)
    woken: list[str] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    registry: WorkerRegistry | None = None
    relay: str = "relay"

    def wake(self, worker: str) -> None:
        self.woken.append(worker)

    def release(self, session_id: str) -> None:
        self.released.append(session_id)

    def start(self, dispatch: Dispatch) -> None:
        name = (dispatch.session.session_id, dispatch.number)
        if name not in self.states:
            self.states[name] = ExecutionState.RUNNING
            self.started.append(dispatch)

    def look(self, session: Session) -> ExecutionState:
        name = (session.session_id, session.dispatches)
        return self.states.get(name, ExecutionState.ABSENT)

    def locate(self, session: Session) -> str:
        return f"memory:execution:{execution_name(session.session_id, session.dispatches)}"

    def stop(self, session: Session) -> None:
        name = (session.session_id, session.dispatches)
        if name in self.states:
            self.states[name] = ExecutionState.ENDED

    def find_worker(self, name: str) -> Worker | None:
        return {worker.name: worker for worker in self.list_workers()}.get(name)

    def list_workers(self) -> list[Worker]:
        if self.registry is None:
            return sorted(self.workers.values(), key=lambda worker: worker.name)
        registered = (registered_worker(r, self.relay) for r in self.registry.list_registered())
        found = {worker.name: worker for worker in (*registered, *self.workers.values())}
        return sorted(found.values(), key=lambda worker: worker.name)
