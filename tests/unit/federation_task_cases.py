"""The part of the permission matrix that is about tasks, their runs and results.

Task 1 is the researcher's and that of the container, 2 is of Borealis, in the same collaboration,
3 is elsewhere. Runs 1000 and 1001 are those of Asclepius and Borealis in task 1.
"""

from typing import Any

from .federation_reach import (
    ANY,
    COLLABORATION,
    ORGANIZATION,
    OWN,
    Case,
    ListCase,
    Target,
)
from .federation_world import new_task

_SYNC = {"instance": "0" * 16, "holding": [], "capacity": 0, "wait_seconds": 0}


def _tasks(path: str, factor: int = 1, body: Any = None) -> tuple[Target, ...]:
    """factor: of the ids of a task's first run."""
    far = ((1, ORGANIZATION, OWN), (2, COLLABORATION, ANY), (3, ANY, ANY))
    return tuple(
        Target(
            relation,
            path.replace("{id}", str(id * factor)),
            {"id": id} if body == "id" else body,
            from_container=from_container,
        )
        for id, relation, from_container in far
    )


def _own_run(path: str) -> tuple[Target, ...]:
    body = {"status": "active", "started_at": "2026-11-30T12:00:00+00:00"}
    far = ((1000, OWN), (1001, COLLABORATION), (3000, ANY))
    return tuple(Target(relation, f"{path}/{id}", body) for id, relation in far)


TASK_CASES: list[Case] = [
    Case(
        "POST",
        "/task",
        "task c",
        (
            Target(
                COLLABORATION, "/task", {**new_task(1, 1, 2), "name": "new"}, from_container=OWN
            ),
            Target(ANY, "/task", {**new_task(2, 3), "name": "new"}),
        ),
        no_nodes=True,
        success=201,
        seen_by="collaboration v",
    ),
    Case("GET", "/task/{id}", "task v", _tasks("/task/{id}")),
    Case("GET", "/task/{id}/status", "task v", _tasks("/task/{id}/status")),
    Case("DELETE", "/task/{id}", "task d", _tasks("/task/{id}"), users_only=True, view_first=True),
    Case("GET", "/task/{id}/result", "run v", _tasks("/task/{id}/result")),
    Case("GET", "/run/{id}", "run v", _tasks("/run/{id}", 1000)),
    Case("GET", "/result/{id}", "run v", _tasks("/result/{id}", 1000)),
    Case("PATCH", "/run/{id}", "run e", _own_run("/run"), nodes_only=True),
    Case("PATCH", "/result/{id}", "run e", _own_run("/result"), nodes_only=True),
    Case(
        "POST",
        "/kill/task",
        "event s",
        _tasks("/kill/task", body="id"),
        users_only=True,
        seen_by="task v",
        view_first=True,
    ),
    Case(
        "POST",
        "/kill/node/tasks",
        "event s",
        tuple(
            Target(relation, "/kill/node/tasks", {"id": id})
            for id, relation in ((1, ORGANIZATION), (2, COLLABORATION), (3, ANY))
        ),
        users_only=True,
        seen_by="node v",
        changes=None,  # which a node that has nothing to do does not
    ),
    Case(
        "POST",
        "/node/{id}/sync",
        "sync e",
        tuple(
            Target(relation, f"/node/{id}/sync", _SYNC)
            for id, relation in ((1, OWN), (4, ORGANIZATION), (2, COLLABORATION), (3, ANY))
        ),
        nodes_only=True,
        seen_by="sync e",
    ),
]

_TASKS = {
    1: (ORGANIZATION, ORGANIZATION, OWN),
    2: (COLLABORATION, COLLABORATION, ANY),
    3: (ANY, ANY, ANY),
}
_RUNS = {
    task * 1000 + index: far
    for task, far in _TASKS.items()
    for index in range(1 if task == 3 else 2)
}
TASK_LISTS: list[ListCase] = [
    ListCase("GET", "/task", "task v", _TASKS),
    ListCase("GET", "/run", "run v", _RUNS),
    ListCase("GET", "/result", "run v", _RUNS),
]
