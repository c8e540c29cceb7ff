"""Routes of tasks: create, list, look at, delete, kill."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from .access import reach_of
from .filters import id_argument, is_included, is_like
from .http import Answer, Call, Refused, Route, page_of
from .permissions import lacking, missing
from .principals import ContainerPrincipal
from .records import FederatedTask, Node, run_place
from .rules import Operation, Scope
from .run_routes import show_result_of, show_run_of
from .statuses import has_ended
from .task_access import check_may, find_task_to, judge_of, visible_task
from .task_creation import create_task
from .task_ending import delete_task, kill_node_tasks, kill_task
from .task_lists import ALL_TASKS, BY_QUERY, tasks_of_collaboration, tasks_of_job
from .task_repeats import note_known
from .task_shapes import show_task
from .task_state import TaskState, read_task

Shown = dict[str, Any]


def list_tasks(call: Call) -> Answer:
    """Newest first, as the filters say. Raises Refused."""
    whole = _seen_whole(call)
    if whole is not None:
        return page_of(call, whole, lambda id: _show_known(call, id))
    may = judge_of(call, "task", Operation.VIEW)
    tasks = _filtered(call, [task for task in _candidates(call) if may(task)])
    wanted = call.argument("status")
    if wanted is None:
        return page_of(call, tasks, lambda task: _show(call, read_task(call.federation, task)))
    federation = call.federation
    states = federation.grid.each(lambda task: read_task(federation, task), tasks)
    return page_of(
        call, [state for state in states if state.status == wanted], lambda each: _show(call, each)
    )


def _seen_whole(call: Call) -> list[int] | None:
    """Ids of lists of which the caller sees all, so that only tasks of the page have to be read.

    None: it has to be chosen among tasks. Raises Refused.
    """
    chosen = any(call.argument(name) is not None for name in _CHOOSING)
    if chosen or isinstance(call.principal, ContainerPrincipal):
        return None
    reach = reach_of(call)
    scope, wanted = reach.require("task", Operation.VIEW), id_argument(call, "collaboration_id")
    asked = None if wanted is None else {wanted}
    if scope is Scope.GLOBAL:
        listed = [ALL_TASKS] if asked is None else [tasks_of_collaboration(id) for id in asked]
    elif scope is Scope.COLLABORATION:
        ids = reach.collaboration_ids if asked is None else reach.collaboration_ids & asked
        listed = [tasks_of_collaboration(id) for id in ids]
    else:
        return None
    table = call.federation.table
    return sorted((id for name in listed for id in table.list_ids(name)), reverse=True)


def _show_known(call: Call, id: int) -> Shown | None:
    """None: it was deleted this moment."""
    task = call.federation.registry.find(FederatedTask, id)
    return None if task is None else _show(call, read_task(call.federation, task))


def _candidates(call: Call) -> Sequence[FederatedTask]:
    """From the shortest of the lists that hold all that is asked for."""
    registry = call.federation.registry
    if isinstance(call.principal, ContainerPrincipal):
        own = registry.find(FederatedTask, call.principal.task_id)
        return _of_list(call, tasks_of_job(own.job_id)) if own is not None else ()
    if (run := id_argument(call, "run_id")) is not None:
        return registry.find_many(FederatedTask, [run_place(run)[0]])
    for name, listed in BY_QUERY.items():
        if (wanted := id_argument(call, name)) is not None:
            return _of_list(call, listed(wanted))
    return _of_list(call, ALL_TASKS)


def _of_list(call: Call, listed: str) -> Sequence[FederatedTask]:
    ids = call.federation.table.list_ids(listed, newest_first=True)
    return call.federation.registry.find_many(FederatedTask, ids)


#: Filters for which tasks have to be looked at.
_CHOOSING = (
    *(name for name in BY_QUERY if name != "collaboration_id"),
    *("run_id", "status", "name", "description", "image", "database", "is_user_created"),
)


def _filtered(call: Call, tasks: Sequence[FederatedTask]) -> list[FederatedTask]:
    found = list(tasks)
    if (run := id_argument(call, "run_id")) is not None:
        found = [task for task in found if task.id == run_place(run)[0]]
    for name in BY_QUERY:
        if (wanted := id_argument(call, name)) is not None:
            found = [task for task in found if getattr(task, name) == wanted]
    for name in ("name", "description", "image"):
        if (pattern := call.argument(name)) is not None:
            found = [task for task in found if is_like(pattern, getattr(task, name))]
    if (label := call.argument("database")) is not None:
        found = [task for task in found if any(each["label"] == label for each in task.databases)]
    if (made := call.argument("is_user_created")) is not None:
        found = [task for task in found if (task.parent_id is None) is (made != "0")]
    return found


def _show(call: Call, state: TaskState) -> Shown:
    shown = show_task(call, state)
    runs, results = is_included(call, "runs"), is_included(call, "results")
    if runs or results:
        check_may(call, state.task, "run", Operation.VIEW)
    if runs:
        shown["runs"] = [show_run_of(call, run) for run in state.runs]
    if results:
        shown["results"] = [show_result_of(call, run) for run in state.runs]
    return shown


def post_task(call: Call) -> Answer:
    task = create_task(call)
    return Answer(show_task(call, read_task(call.federation, task)), HTTPStatus.CREATED)


def get_task(call: Call) -> Answer:
    task = visible_task(call, call.number("id"))
    shown = _show(call, read_task(call.federation, task))
    note_known(call, task)
    return Answer(shown)


def get_status(call: Call) -> Answer:
    task = visible_task(call, call.number("id"))
    note_known(call, task)
    return Answer({"status": read_task(call.federation, task).status})


def remove_task(call: Call) -> Answer:
    task = find_task_to(call, call.number("id"), "task", Operation.DELETE)
    delete_task(call.federation, task)
    return Answer({"msg": f"task id={task.id} and its runs successfully deleted"})


def post_kill_task(call: Call) -> Answer:
    task = find_task_to(call, _body_id(call), "event", Operation.SEND)
    status = read_task(call.federation, task).status
    if has_ended(status):
        raise Refused(
            HTTPStatus.BAD_REQUEST,
            f"Task {task.id} already finished with status '{status}', so cannot kill it!",
        )
    kill_task(call.federation, task)
    words = f"Nodes have been instructed to kill any containers running for task {task.id}."
    return Answer({"msg": words})


def post_kill_node(call: Call) -> Answer:
    id, reach = _body_id(call), reach_of(call)
    node, scope = call.federation.registry.find(Node, id), reach.require("event", Operation.SEND)
    if node is None or not reach.may_node(Operation.VIEW, node):
        raise missing(f"Node id={id} not found")
    own = node.organization_id == reach.organization_id
    near = node.collaboration_id in reach.collaboration_ids
    allowed = {Scope.GLOBAL: True, Scope.COLLABORATION: near, Scope.ORGANIZATION: own}
    if not allowed.get(scope, False):
        raise lacking()
    kill_node_tasks(call.federation, node)
    words = f"Node {node.id} has been instructed to kill all containers running on it."
    return Answer({"msg": words})


def _body_id(call: Call) -> int:
    id = call.json().get("id")
    if type(id) is not int or not 0 < id < 10**15:
        errors = {"id": ["Missing data for required field."]}
        raise Refused(HTTPStatus.BAD_REQUEST, "Request body is incorrect", errors)
    return id


ROUTES = (
    Route("GET", "/task", list_tasks),
    Route("POST", "/task", post_task, who=("user", "container")),
    Route("GET", "/task/{id}", get_task),
    Route("DELETE", "/task/{id}", remove_task, who=("user",)),
    Route("GET", "/task/{id}/status", get_status),
    Route("POST", "/kill/task", post_kill_task, who=("user",)),
    Route("POST", "/kill/node/tasks", post_kill_node, who=("user",)),
)
