"""One session on Fargate with its containers, and brokers that fail them."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from stepgrid.testing import EnvironmentDied, InMemoryGrid
from stepgrid.testing.containers import STOP_TIMEOUT_SECONDS, MemoryBroker, make_puller
from stepgrid.testing.runner import InlineRunner
from stepgrid_core.container.puller import Puller
from stepgrid_core.container.stopping import Stopping
from stepgrid_core.container_loss import ContainerEnd, Replacement, container_ended
from stepgrid_core.contract import SubmitRequest
from stepgrid_core.data_plane import read_outcomes
from stepgrid_core.errors import Unavailable
from stepgrid_core.invocation import facts_of
from stepgrid_core.outputs import read_output
from stepgrid_core.records import Chunk, Session
from stepgrid_core.states import SessionState
from tests.faults.agreement import agreed_counts
from tests.faults.fuse import Fuse
from tests.submitting import submit

OWNER = "owner"

FIRST, SECOND, THIRD = "aaaaaaaa", "bbbbbbbb", "cccccccc"

FAILED = "States.TaskFailed"

SPOT_TAKEN = json.dumps(
    {
        "StopCode": "SpotInterruption",
        "StoppedReason": "Your Spot Task was interrupted.",
        "Containers": [{"Name": "worker", "ExitCode": 143}],
    }
)

DIED = json.dumps(
    {
        "StopCode": "EssentialContainerExited",
        "StoppedReason": "Essential container in task exited",
        "Containers": [{"Name": "worker", "ExitCode": 137}],
    }
)


class Fleet:
    """One session on Fargate, and its containers."""

    def __init__(self, tasks: int = 6, chunk_size: int = 2, **options: Any) -> None:
        self.starts: Counter[int] = Counter()
        #: what happens in the grid while a task runs, once
        self.meanwhile: dict[int, Callable[[], object]] = {}
        self.poison: set[int] = set()
        self.memory = InMemoryGrid({"work": self.work}, autorun=False, fargate=True)
        self.grid = self.memory.wiring
        request = {
            "client_token": "token",
            "worker": "work",
            "tasks": list(range(tasks)),
            "options": {"chunk_size": chunk_size, "backend": "fargate", **options},
        }
        self.session = submit(self.grid, OWNER, SubmitRequest.model_validate(request))

    def work(self, task: int, _: object) -> int:
        self.starts[task] += 1
        self.memory.clock.advance(0.1)
        if task in self.meanwhile:
            self.meanwhile.pop(task)()
        if task in self.poison:
            raise EnvironmentDied
        return task

    def puller(self, container: str, number: int = 0, **parts: Any) -> Puller:
        return make_puller(self.grid, self.session, container, number, **parts)

    def runner(self) -> InlineRunner:
        return InlineRunner("work", self.work, self.memory.clock)

    def end(self, container: str, error: str = FAILED, cause: str = DIED) -> Replacement:
        """What the state machine tells the recorder."""
        end = ContainerEnd(container, error, cause)
        return container_ended(self.grid, facts_of(self.session), end)

    @property
    def stored(self) -> Session:
        session = self.grid.table.read_session(self.session.session_id)
        assert session is not None
        return session

    def rows(self) -> list[Chunk]:
        shards = self.grid.table.read_shards(self.session.session_id)
        return [chunk for shard in shards for chunk in shard.chunks]

    def results(self) -> list[Any]:
        lines = [
            line
            for shard in self.grid.table.read_shards(self.session.session_id)
            for slot in range(len(shard.chunks))
            for line in read_outcomes(read_output(self.grid, self.session, shard, slot))
        ]
        assert [line["i"] for line in lines] == list(range(len(lines)))
        return [line.get("result") for line in lines]

    def forget_execution(self) -> None:
        """Nobody is left to notice anything; only the sweeper is."""
        self.memory.dispatcher.started.clear()
        self.memory.dispatcher.stop(self.session)

    def heal(self) -> None:
        for _ in range(4):
            self.memory.run()
            self.memory.clock.advance(1000)
            self.memory.sweep()
        self.memory.run()

    def check_finished(self) -> None:
        assert self.stored.verdict is SessionState.FINISHED
        assert self.results() == list(range(self.session.tasks))
        counts = agreed_counts(self.memory, OWNER, self.session.session_id)
        assert counts.finished == self.session.tasks
        assert self.memory.table.due_sessions(self.memory.clock.now() + 1e9, 10) == []


class FusedBroker:
    """A broker whose asker dies just before or just after one of its questions."""

    def __init__(self, broker: MemoryBroker, fuse: Fuse) -> None:
        self._broker = broker
        self._fuse = fuse

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._fuse.through(self._broker.ask, question)
        return answer


class SilentBroker:
    """Does not answer some questions: neither the asker nor the table knows which were done."""

    def __init__(self, broker: MemoryBroker, silent: Callable[[Mapping[str, Any]], bool]) -> None:
        self._broker = broker
        self._silent = silent

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        answer = self._broker.ask(question)
        if self._silent(question):
            raise Unavailable("no answer")
        return answer


class Patience(Stopping):
    """Waits on the grid's own clock."""

    def __init__(self, memory: InMemoryGrid) -> None:
        super().__init__(memory.clock.monotonic, STOP_TIMEOUT_SECONDS)
        self._clock = memory.clock
        self.pauses: list[float] = []

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self._clock.advance(seconds)
