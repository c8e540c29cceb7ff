"""A federation in memory whose third hospital has its node in the cloud; with bus and worker."""

import base64
import json
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

from cloud_executor import handle
from stepgrid.testing import InMemoryGrid
from stepgrid_core.event_detail import bus_event, detail_type
from stepgrid_core.federation.cloud_events import ask_for_open
from stepgrid_core.federation.records import Node
from stepgrid_core.federation.registry import marks_of
from stepgrid_core.federation.service import Federation
from stepgrid_core.records import Session

from .hospitals import World

CLOUD, WORKER = 3, "mean"


@dataclass
class Worker:
    """Answers what its function makes of a task, and keeps what it was given."""

    answer: Any = None
    error: Exception | None = None
    given: list[Any] = field(default_factory=list)

    def __call__(self, task: Any, context: object) -> Any:
        self.given.append(task)
        if self.error is not None:
            raise self.error
        return self.answer


class CloudWorld(World):
    """Nothing of the node in the cloud happens before `settle`, `deliver` or `work` says so."""

    def __init__(self, *, fargate: bool = False, **cloud: Any) -> None:
        self.worker = Worker({"mean": 4.5})
        self.bus: deque[dict[str, Any]] = deque()
        super().__init__(InMemoryGrid({WORKER: self.worker}, autorun=False, fargate=fargate))
        self.memory.events.notifiers.append(
            lambda event: self._tell(event.detail_type, event.as_detail())
        )
        self.memory.events.listeners.append(
            lambda event: self._tell(detail_type(event), bus_event(event).model_dump(mode="json"))
        )
        self.move_to_cloud(**cloud)

    def move_to_cloud(self, **cloud: Any) -> None:
        node = self.node()
        moved = replace(node, key_hash="", cloud={"worker": WORKER, "backend": "lambda", **cloud})
        assert self.registry.change(moved, removed=marks_of(node), added=marks_of(moved))

    def node(self) -> Node:
        node = self.registry.node_of(CLOUD, 1)
        assert node is not None
        return node

    def _tell(self, kind: str, detail: dict[str, Any]) -> None:
        self.bus.append({"source": "stepgrid", "detail-type": kind, "detail": detail})

    def deliver(self, federation: Federation | None = None) -> int:
        """What lies on the bus now, to the executor. Answers how many runs were looked at."""
        looked_at = 0
        for _ in range(len(self.bus)):
            event = self.bus.popleft()
            if is_for_executor(event):
                looked_at += handle(event, federation or self.federation)["runs"]
        return looked_at

    def work(self) -> None:
        """Let the grid run all sessions; an execution of one that is gone ends by itself."""
        started, table = self.memory.dispatcher.started, self.memory.table
        started[:] = [each for each in started if table.read_shards(each.session.session_id)]
        self.memory.run()

    def settle(self) -> None:
        """Until nothing is left to do."""
        while self.bus or self.memory.dispatcher.started:
            self.deliver()
            self.work()

    def sweep(self) -> int:
        """A minute later."""
        self.memory.clock.advance(61)
        self.memory.sweep()
        return ask_for_open(self.federation)

    def sessions(self) -> list[Session]:
        """Those of the node in the cloud that are there."""
        owner = f"federation:node:{self.node().id}"
        return list(self.memory.table.list_sessions(owner, None, None, 10).items)

    def run(self, task: Any) -> Any:
        """The run of the node in the cloud, as ann sees it."""
        runs = self.json("GET", "/api/run", "ann", task_id=str(task["id"]))["data"]
        (found,) = (run for run in runs if run["organization"]["id"] == CLOUD)
        return found

    def result(self, task: Any) -> Any:
        found = self.json("GET", f"/api/result/{self.run(task)['id']}", "ann")
        return json.loads(base64.b64decode(found["result"]))

    def is_clear(self) -> bool:
        """Nothing is left over of any run."""
        lists = ("cloud-runs", f"backlog:1:{CLOUD}")
        return not any(self.table.list_ids(each) for each in lists) and not self.sessions()


def is_for_executor(event: dict[str, Any]) -> bool:
    """As the rules of template.yaml choose."""
    kind = event["detail-type"]
    if kind in ("Session finished", "Session failed", "Session cancelled"):
        return str(event["detail"]["owner"]).startswith("federation:node:")
    return kind in {f"stepgrid federation {each}" for each in ("task_created", "kill", "cloud_due")}
