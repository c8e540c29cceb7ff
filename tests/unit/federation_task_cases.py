"""The permission matrix, continued: routes of tasks, runs and results, and what nodes say of them.

Who has a right reaches tasks by the organization that asked for them, and only while its own is in
their collaboration: a task that was asked for by an organization that has left is as far as any.
"""

from collections.abc import Mapping
from typing import Any

from .federation_reach import ANY, COLLABORATION, ORGANIZATION, OWN, Case, ListCase, Target
from .federation_task_world import (
    IMAGE,
    INPUT,
    LEFT_TASK,
    LIVER_TASK,
    OWN_TASKS,
    PEERS_TASK,
    STRANGERS_TASK,
    SUBTASK,
    TASK,
)

#: Relations of tasks to users, to node 1, and to a container that runs on task 1.
_FAR = {
    TASK: (ORGANIZATION, ORGANIZATION, OWN),
    SUBTASK: (ORGANIZATION, ORGANIZATION, OWN),
    PEERS_TASK: (COLLABORATION, COLLABORATION, ANY),
    LIVER_TASK: (ORGANIZATION, ANY, ANY),
    STRANGERS_TASK: (ANY, ANY, ANY),
    LEFT_TASK: (ANY, ANY, ANY),
}
#: Those that are as far from a user as they are near to another one.
_OF_USERS = dict.fromkeys(OWN_TASKS.values(), (ORGANIZATION, ORGANIZATION, ANY))
#: Of each task, its first run; and of those of both members, Borealis' run as well.
_RUNS = {1000 * id: far for id, far in (_FAR | _OF_USERS).items()}
_SECOND = {id: far for id, far in (_FAR | _OF_USERS).items() if id not in (SUBTASK, LIVER_TASK)}
_ALL_RUNS = _RUNS | {1000 * id + 1: far for id, far in _SECOND.items() if id != LEFT_TASK}


def _tasks(path: str) -> tuple[Target, ...]:
    """path: with a task's id in the place of {id}."""
    own = Target(OWN, path.replace("{id}", "1{self}"), None, *_FAR[SUBTASK][1:])
    return (
        own,
        *(
            Target(far[0], path.replace("{id}", str(id)), None, *far[1:])
            for id, far in _FAR.items()
        ),
    )


def _runs(path: str) -> tuple[Target, ...]:
    own = Target(OWN, path.replace("{id}", "1{self}000"), None, *_FAR[SUBTASK][1:])
    return (
        own,
        *(
            Target(far[0], path.replace("{id}", f"{id}000"), None, *far[1:])
            for id, far in _FAR.items()
        ),
    )


def _bodies(path: str, ids: Mapping[int, tuple[str, ...]]) -> tuple[Target, ...]:
    return tuple(Target(far[0], path, {"id": id}, *far[1:]) for id, far in ids.items())


def _new_task(relation: str, organization_id: int, from_node: str = "", **place: int) -> Target:
    organizations = [{"id": organization_id, "input": INPUT}]
    body = {"name": "new", "image": IMAGE, "organizations": organizations, **place}
    return Target(relation, "/task", body, from_node)


def _ended_runs(path: str) -> tuple[Target, ...]:
    """As node 1 says it, which has Asclepius' part of heart."""
    far = {
        1000: ORGANIZATION,
        20_000: ORGANIZATION,
        1001: COLLABORATION,
        20_001: COLLABORATION,
        21_000: ANY,
        22_000: ANY,
        23_000: ANY,
    }
    body = {"status": "completed", "result": INPUT, "finished_at": "2026-11-30T12:00:00+00:00"}
    return tuple(Target(each, path.replace("{id}", str(id)), body) for id, each in far.items())


def _case(method: str, route: str, right: str, targets: tuple[Target, ...], **more: Any) -> Case:
    return Case(method, route, right, targets, with_tasks=True, **more)


#: Of nodes, by which their own tasks are ended.
_NODES = {1: (ORGANIZATION,), 4: (ORGANIZATION,), 2: (COLLABORATION,), 3: (ANY,)}

CASES: list[Case] = [
    _case(
        "POST",
        "/task",
        "task c",
        (
            _new_task(COLLABORATION, 2, collaboration_id=1),
            _new_task(COLLABORATION, 1, from_node=ANY, collaboration_id=3),
            _new_task(COLLABORATION, 2, study_id=2),
            _new_task(ANY, 3, collaboration_id=2),
            _new_task(ANY, 3, study_id=3),
        ),
        success=201,
        seen_by="collaboration v",
    ),
    _case("GET", "/task/{id}", "task v", _tasks("/task/{id}")),
    _case("GET", "/task/{id}/status", "task v", _tasks("/task/{id}/status")),
    _case("DELETE", "/task/{id}", "task d", _tasks("/task/{id}"), users_only=True),
    _case("GET", "/task/{id}/result", "run v", _tasks("/task/{id}/result")),
    _case("GET", "/run/{id}", "run v", _runs("/run/{id}")),
    _case("GET", "/result/{id}", "run v", _runs("/result/{id}")),
    _case("PATCH", "/run/{id}", "run e", _ended_runs("/run/{id}")),
    _case("PATCH", "/result/{id}", "run e", _ended_runs("/result/{id}")),
    _case(
        "POST",
        "/kill/task",
        "event s",
        _bodies("/kill/task", _FAR),
        users_only=True,
        seen_by="task v",
    ),
    _case(
        "POST",
        "/kill/node/tasks",
        "event s",
        _bodies("/kill/node/tasks", _NODES),
        users_only=True,
        seen_by="node v",
    ),
    # No node is told of another one by what is its own alone to ask.
    _case(
        "POST",
        "/node/{id}/sync",
        "node s",
        tuple(
            Target(relation, f"/node/{id}/sync", {"instance": "a" * 16})
            for id, relation in {1: OWN, 4: ANY, 2: ANY, 3: ANY}.items()
        ),
        seen_by="node s",
    ),
]

LISTS: list[ListCase] = [
    ListCase(
        "GET",
        route,
        right,
        {id: (of_user, of_node) for id, (of_user, of_node, _) in things.items()},
        from_container={id: far[2] for id, far in things.items()},
        with_tasks=True,
        newest_first=True,
    )
    for route, right, things in (
        ("/task", "task v", _FAR | _OF_USERS),
        ("/run", "run v", _ALL_RUNS),
        ("/result", "run v", _ALL_RUNS),
    )
]
