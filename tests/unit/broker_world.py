"""A session on Fargate, and a container that asks the broker about it."""

from typing import Any

from stepgrid.testing import InMemoryGrid
from stepgrid.testing.containers import MemoryBroker
from stepgrid_core.contract import SubmitRequest
from stepgrid_core.records import Session, Shard
from stepgrid_core.states import ChunkState
from tests.submitting import submit

OWNER = "owner"

FIRST, SECOND = "aaaaaaaa-1111", "bbbbbbbb-2222"


class World:
    """A session on Fargate, and its containers' questions."""

    def __init__(self, tasks: int = 4, **options: Any) -> None:
        self.memory = InMemoryGrid(
            {"echo": lambda task, _: task},
            autorun=False,
            fargate=True,
            settings={"session_events": "all"},
        )
        self.grid = self.memory.wiring
        self.session = self.submit("fargate", tasks, **options)

    def submit(self, backend: str, tasks: int = 4, token: str = "", **options: Any) -> Session:
        request = {
            "client_token": token or backend,
            "worker": "echo",
            "tasks": list(range(tasks)),
            "options": {"chunk_size": 1, "backend": backend, **options},
        }
        return submit(self.grid, OWNER, SubmitRequest.model_validate(request))

    def ask(self, action: str, container: str = FIRST, **question: Any) -> dict[str, Any]:
        who = {"session_id": self.session.session_id, "ticket": self.session.ticket}
        start = {"container": container, "dispatch": self.session.dispatches}
        question = {**who, **start, "action": action, **question}
        return MemoryBroker(self.grid).ask(question)

    def claim(self, container: str = FIRST, puller: int = 0, after: int = 0) -> dict[str, Any]:
        return self.ask("claim", container, puller=puller, after=after)

    def swap(self, claim: dict[str, Any], container: str = FIRST, **changes: Any) -> dict[str, Any]:
        """Writes the row of a claim with some fields changed."""
        old = claim["shard"]["chunks"][claim["slot"]]
        place = {"shard": claim["shard"]["number"], "slot": claim["slot"]}
        return self.ask("swap", container, **place, old=old, new={**old, **changes})

    def end(self, claim: dict[str, Any], container: str = FIRST) -> dict[str, Any]:
        return self.swap(claim, container, **ended(claim))

    @property
    def shards(self) -> list[Shard]:
        return self.grid.table.read_shards(self.session.session_id)

    @property
    def stored(self) -> Session:
        session = self.grid.table.read_session(self.session.session_id)
        assert session is not None
        return session

    def states(self) -> list[ChunkState]:
        return [chunk.state for shard in self.shards for chunk in shard.chunks]


OUTPUT = {"attempt": 1, "part": 0, "size": 3, "digest": "abc"}


def ended(claim: dict[str, Any]) -> dict[str, Any]:
    row = claim["shard"]["chunks"][claim["slot"]]
    return {
        "state": ChunkState.ENDED,
        "token": "",
        "lease_until": 0,
        "finished": row["tasks"],
        "output": OUTPUT,
    }


def code(answered: dict[str, Any]) -> str:
    return str(answered["error"]["code"])
