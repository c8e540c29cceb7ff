"""A worker with few slots, for the tests of those who share it."""

from collections.abc import Callable, Sequence
from typing import Any

from stepgrid.testing import InMemoryGrid
from stepgrid_core.cancellation import cancel
from stepgrid_core.contract import SessionDescription, SessionUpdate, SubmitRequest
from stepgrid_core.description import describe
from stepgrid_core.records import Session
from stepgrid_core.states import SessionState
from stepgrid_core.steering import update_session
from tests.submitting import submit

OWNER, RIVAL = "owner", "rival"


class Bench:
    """A worker with two slots, and a note of the order in which sessions ran."""

    def __init__(self, **settings: int) -> None:
        self.ran: list[str] = []
        self.inside: list[Callable[[], object]] = []
        self.memory = InMemoryGrid(
            {"work": self.work}, autorun=False, settings={"worker_concurrency": 2, **settings}
        )

    def work(self, task: Any, context: Any) -> Any:
        if self.inside:
            self.inside.pop()()
        if task["name"] not in self.ran:
            self.ran.append(task["name"])
        self.memory.clock.advance(1)
        if task["fails"]:
            raise ValueError("as asked")
        return task["name"]

    def submit(
        self,
        name: str,
        tasks: int = 1,
        owner: str = OWNER,
        *,
        after: Sequence[Session | str] = (),
        fails: int = 0,
        **options: Any,
    ) -> Session:
        """after: what it depends on. fails: so many of its tasks raise."""
        self.memory.clock.advance(1)
        request = {
            "client_token": name.replace(" ", "-").replace("'", ""),
            "worker": "work",
            "tasks": [{"name": name, "fails": n < fails} for n in range(tasks)],
            "options": {"chunk_size": 1, **options},
            "depends_on": [one if isinstance(one, str) else one.session_id for one in after],
        }
        return submit(self.memory.wiring, owner, SubmitRequest.model_validate(request))

    def update(self, session: Session, **changes: Any) -> None:
        update = SessionUpdate.model_validate(changes)
        update_session(self.memory.wiring, session.owner, session.session_id, update)

    def fill(self) -> Session:
        """A session that holds both slots until `run`."""
        session = self.submit("first", tasks=2)
        assert session.slots == 2
        return session

    def state(self, session: Session) -> SessionState:
        return describe(self.memory.wiring, session.owner, session.session_id).state


def shown(bench: Bench, session: Session) -> SessionDescription:
    return describe(bench.memory.wiring, OWNER, session.session_id)


def stop(bench: Bench, session: Session) -> None:
    cancel(bench.memory.wiring, OWNER, [session.session_id])
