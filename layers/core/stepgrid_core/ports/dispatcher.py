"""What starts the workflows that run chunks."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from ..records import ContainerSize, Session
from ..registration import Registration


@dataclass(frozen=True, slots=True)
class Worker:
    """A function that runs tasks, as the grid knows it."""

    name: str
    function: str  #: what the state machine invokes; for a registered worker that is the relay
    timeout_seconds: int
    memory_mib: int
    runtime: str = ""  #: as Lambda calls it
    target: str = ""  #: ARN of the registered function; empty for a package worker
    replicas: int = 1  #: identical functions of a package worker, itself included
    architecture: str = "arm64"  #: that its package is built for
    #: of its containers, unless a session wants others; None: it can't run on Fargate
    container: ContainerSize | None = None
    on_lambda: bool = True  #: may its chunks run as invocations of its function?

    @property
    def backends(self) -> list[str]:
        on_fargate = self.container is not None
        return ["lambda"] * self.on_lambda + ["fargate"] * on_fargate

    @property
    def is_registered(self) -> bool:
        """A plain function that the relay calls, and no package of the stack."""
        return bool(self.target)


def registered_worker(registration: Registration, relay: str) -> Worker:
    """What a registration is to the grid: the relay runs its chunks and calls the function."""
    return Worker(
        name=registration.name,
        function=relay,
        timeout_seconds=registration.timeout_seconds,
        memory_mib=registration.memory_mib,
        runtime=registration.runtime,
        target=registration.target,
    )


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One execution to start: which chunks of a session, and for a burst their lines."""

    session: Session
    number: int
    chunks: Sequence[int]
    lines: Sequence[str] | None = None


class ExecutionState(StrEnum):
    ABSENT = "absent"  #: was never started
    RUNNING = "running"
    ENDED = "ended"
    UNKNOWN = "unknown"  #: an EXPRESS execution can't be asked


class Dispatcher(Protocol):
    """Starts the workflows that run chunks, and knows the workers."""

    def start(self, dispatch: Dispatch) -> None:
        """The same session and number again is success."""

    def look(self, session: Session) -> ExecutionState:
        """The session's newest execution, as far as it can be asked."""

    def locate(self, session: Session) -> str:
        """The ARN of the session's newest execution."""

    def stop(self, session: Session) -> None:
        """Best effort: keeps chunks that were not started from being dispatched."""

    def wake(self, worker: str) -> None:
        """Have `admission.admit_waiting` run soon, elsewhere. Best effort: the sweeper does too."""

    def release(self, session_id: str) -> None:
        """Have `dependencies.release_dependents` run soon, elsewhere, for a session that ended.

        Best effort: the sweeper looks at each of them as well.
        """

    def find_worker(self, name: str) -> Worker | None: ...

    def list_workers(self) -> list[Worker]: ...
