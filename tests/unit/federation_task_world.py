"""The federation of `federation_world` with tasks near and far from whoever asks.

    1       asked by Asclepius' researcher in heart, of both members; the container runs for it
    11..16  the same, asked by each of the users of Asclepius: "/task/1{self}"
    17      made by the container: of the job of task 1, by Asclepius alone
    20      asked by Borealis in heart, of both
    21      asked by Asclepius in liver, of itself: node 4 is to do it, not the node that asks
    22      asked by Chiron in lung
    23      asked by Asclepius' researcher in lung, which Asclepius has left since

Run k of a task is that of organization k of those that are named. Every run waits.
"""

import base64
from typing import Any

from stepgrid_core.federation.backlog import backlog_of
from stepgrid_core.federation.records import FederatedTask, run_id
from stepgrid_core.federation.sessions import create_session
from stepgrid_core.federation.task_lists import lists_of
from stepgrid_core.ports import Marks
from stepgrid_core.records import FederationFacts

from .federation_world import PEER, STRANGER, USERS, FederationWorld

IMAGE = "harbor.example.org/average"
INPUT = base64.b64encode(b'{"method": "average"}').decode()
TASK, SUBTASK, PEERS_TASK, LIVER_TASK, STRANGERS_TASK, LEFT_TASK = 1, 17, 20, 21, 22, 23
OWN_TASKS = {USERS[name]: 10 + USERS[name] for name in USERS}
#: Collaboration, organizations that are asked, organization and user that ask.
_TASKS: dict[int, tuple[int, tuple[int, ...], int, int]] = {
    **{id: (1, (1, 2), 1, user) for user, id in OWN_TASKS.items()},
    SUBTASK: (1, (1,), 1, USERS["researcher"]),
    PEERS_TASK: (1, (1, 2), 2, PEER),
    LIVER_TASK: (3, (1,), 1, USERS["researcher"]),
    STRANGERS_TASK: (2, (3, 4), 3, STRANGER),
    LEFT_TASK: (2, (3,), 1, USERS["researcher"]),
}


class TaskWorld(FederationWorld):
    """With sessions and rows as a creation leaves them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.federation.registry.delete(self.task, Marks(lists=("tasks:of:tests",)))
        researcher = USERS["researcher"]
        self.task = self.add_task(TASK, 1, (1, 2), 1, researcher)
        for id, facts in _TASKS.items():
            self.add_task(id, *facts, parent=self.task if id == SUBTASK else None)
        while self.table.next_id(FederatedTask.KIND) < LEFT_TASK:
            pass

    def add_task(
        self,
        id: int,
        collaboration_id: int,
        organization_ids: tuple[int, ...],
        init_org_id: int,
        init_user_id: int,
        parent: FederatedTask | None = None,
    ) -> FederatedTask:
        session = create_session(
            self.federation.grid,
            f"owner of {init_user_id}",
            session_id=f"{id:032x}",
            facts=FederationFacts(id, collaboration_id, organization_ids),
            inputs=[INPUT] * len(organization_ids),
            max_attempts=5,
        )
        task = FederatedTask(
            id,
            "average",
            "",
            IMAGE,
            collaboration_id,
            session.session_id,
            organization_ids,
            init_org_id,
            init_user_id,
            job_id=parent.id if parent else id,
            parent_id=parent.id if parent else None,
            created_at=self.clock.now(),
        )
        for index, organization_id in enumerate(organization_ids):
            listed = backlog_of(organization_id, collaboration_id)
            self.table.put_in(listed, [run_id(id, index)])
        assert self.registry.create(task, Marks(lists=tuple(lists_of(task))))
        return task

    def stored(self) -> dict[str, Any]:
        """Sessions and rows too, and each entity, list and number that was given away."""
        grid = self.federation.grid
        owners = (f"owner of {id}" for id in (*USERS.values(), PEER, STRANGER))
        callers = (f"cognito:{name.replace(' ', '-')}" for name in USERS)
        sessions = [
            session
            for owner in (*owners, *callers)
            for session in grid.table.list_sessions(owner, None, None, 100).items
        ]
        rows = [grid.table.read_shards(session.session_id) for session in sessions]
        return {
            **super().stored(),
            "table": self.table.everything(),
            "sessions": sessions,
            "rows": rows,
            "objects": sorted(self.memory.payloads.list_keys()),
        }
