"""Routes of runs and results: lists, single ones, and the node's word on a run.

A result has the id of its run. Who may see a task's runs may see their inputs and results, which of
an encrypted collaboration only the organization that asked can read.
"""

from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Any

from ..names import shard_of
from .access import reach_of
from .backlog import backlog_of
from .filters import id_argument, is_included
from .http import Answer, Call, Refused, Route, page_of
from .permissions import missing
from .presence import welcome_silent
from .principals import NodePrincipal
from .records import FederatedTask, Node, run_place
from .rules import Operation
from .run_outputs import outcome_in
from .runs import MOST_RESULT, update_run
from .sessions import read_input
from .task_access import check_may, judge_of, visible_run, visible_task
from .task_lists import ALL_TASKS, tasks_of_collaboration
from .task_repeats import note_known
from .task_shapes import show_result, show_run, show_task
from .task_state import RunState, TaskState, read_task
from .times import read_time

Shown = dict[str, Any]
#: Without any filter by task: the runs of so many of the newest tasks are looked through.
MOST_TASKS = 1_000


def list_runs(call: Call) -> Answer:
    return _page(call, _chosen(call), show_run_of, _input_sizes)


def list_results(call: Call) -> Answer:
    return _page(call, _chosen(call), show_result_of, _result_sizes)


def read_run_(call: Call) -> Answer:
    task, index = visible_run(call, call.number("id"))
    note_known(call, task)
    return Answer(show_run_of(call, read_task(call.federation, task).runs[index]))


def read_result_(call: Call) -> Answer:
    task, index = visible_run(call, call.number("id"))
    note_known(call, task)
    return Answer(show_result_of(call, read_task(call.federation, task).runs[index]))


def patch_run(call: Call) -> Answer:
    return Answer(show_run_of(call, update_run(call, call.number("id"))))


def task_results(call: Call) -> Answer:
    """GET /task/{id}/result, as vantage6 had it before 4."""
    task = visible_task(call, call.number("id"), "run")
    note_known(call, task)
    return _page(call, read_task(call.federation, task).runs, show_result_of, _result_sizes)


def _page(
    call: Call,
    runs: Sequence[RunState],
    show: Callable[[Call, RunState], Shown],
    sizes_of: Callable[[Sequence[RunState]], Iterable[int]],
) -> Answer:
    """No page holds more than an answer can carry: a large one becomes several."""
    sizes = list(sizes_of(runs))
    most = max(1, MOST_RESULT // max(sizes)) if sum(sizes) > MOST_RESULT else None
    return page_of(call, runs, lambda run: show(call, run), most_per_page=most)


def _result_sizes(runs: Sequence[RunState]) -> Iterable[int]:
    return (run.chunk.output.size for run in runs if run.chunk.output)


def _input_sizes(runs: Sequence[RunState]) -> Iterable[int]:
    """At most. Those of one task came in one request, so they fit into one answer."""
    sessions = {run.task.id: run.session for run in runs}
    return (each.input.size for each in sessions.values() if each and len(sessions) > 1)


def show_run_of(call: Call, run: RunState) -> Shown:
    grid, session = call.federation.grid, run.session
    given = read_input(grid, session, run.index) if session is not None else None
    shown = show_run(call, run, _node_of(call, run), given)
    if is_included(call, "task"):
        check_may(call, run.task, "task", Operation.VIEW)
        shown["task"] = show_task(call, read_task(call.federation, run.task))
    return shown


def show_result_of(call: Call, run: RunState) -> Shown:
    result = None
    if run.chunk.output is not None and run.session is not None and run.shard is not None:
        slot = shard_of(run.index)[1]
        result = outcome_in(call.federation.grid, run.session, run.shard, slot).result
    return show_result(call, run, result, _node_of(call, run))


def _node_of(call: Call, run: RunState) -> Node | None:
    return call.federation.registry.node_of(run.organization_id, run.task.collaboration_id)


def _chosen(call: Call) -> list[RunState]:
    """Newest first, as the filters say. Raises Refused."""
    node = _asked_node(call)
    if (task_id := id_argument(call, "task_id")) is not None:
        task = visible_task(call, task_id, "run")
        note_known(call, task)
        states = [read_task(call.federation, task)]
    elif node is not None:
        return _filtered(call, _of_node(call, node))
    else:
        states = _visible_states(call)
    runs = [run for state in states for run in reversed(state.runs)]
    return _filtered(call, [run for run in runs if node is None or _is_of(node, run)])


def _visible_states(call: Call) -> list[TaskState]:
    may, federation = judge_of(call, "run", Operation.VIEW), call.federation
    wanted = id_argument(call, "collaboration_id")
    listed = ALL_TASKS if wanted is None else tasks_of_collaboration(wanted)
    ids = federation.table.list_ids(listed, limit=MOST_TASKS, newest_first=True)
    tasks = federation.registry.find_many(FederatedTask, ids)
    seen = [task for task in tasks if may(task)]
    return federation.grid.each(lambda task: read_task(federation, task), seen)


def _asked_node(call: Call) -> Node | None:
    """Whose runs are asked for; None: anybody's. Raises Refused."""
    id = id_argument(call, "node_id")
    if id is None:
        return None
    node = call.federation.registry.find(Node, id)
    if node is None or not reach_of(call).may_node(Operation.VIEW, node):
        raise missing(f"Node id={id} does not exist!")
    if isinstance(call.principal, NodePrincipal) and node.id == call.principal.node.id:
        welcome_silent(call.federation, node)
    return node


def _is_of(node: Node, run: RunState) -> bool:
    place = (run.organization_id, run.task.collaboration_id)
    return place == (node.organization_id, node.collaboration_id)


def _of_node(call: Call, node: Node) -> list[RunState]:
    """What a node has to do, oldest first, or all that it ever had."""
    may = judge_of(call, "run", Operation.VIEW)
    runs = _backlog(call, node) if call.argument("state") == "open" else _past(call, node)
    return [run for run in runs if may(run.task)]


def _backlog(call: Call, node: Node) -> list[RunState]:
    federation = call.federation
    listed = backlog_of(node.organization_id, node.collaboration_id)
    places = [run_place(run) for run in federation.table.list_ids(listed)]
    tasks = federation.registry.find_many(FederatedTask, [task_id for task_id, _ in places])
    known = {task.id: task for task in tasks}
    return federation.grid.each(
        lambda place: read_task(federation, known[place[0]]).runs[place[1]],
        [place for place in places if place[0] in known],
    )


def _past(call: Call, node: Node) -> list[RunState]:
    federation = call.federation
    listed = tasks_of_collaboration(node.collaboration_id)
    ids = federation.table.list_ids(listed, limit=MOST_TASKS, newest_first=True)
    tasks = federation.registry.find_many(FederatedTask, ids)
    of_node = [task for task in tasks if node.organization_id in task.organization_ids]
    return federation.grid.each(
        lambda task: read_task(federation, task).runs[
            task.organization_ids.index(node.organization_id)
        ],
        of_node,
    )


def _filtered(call: Call, runs: Sequence[RunState]) -> list[RunState]:
    found = list(runs)
    if (wanted := id_argument(call, "organization_id")) is not None:
        found = [run for run in found if run.organization_id == wanted]
    if call.argument("state") == "open":
        found = [run for run in found if not run.chunk.terminal]
    if (wanted := id_argument(call, "collaboration_id")) is not None:
        found = [run for run in found if run.task.collaboration_id == wanted]
    for name, time_of in _TIMES.items():
        found = _between(call, name, time_of, found)
    return found


_TIMES: dict[str, Callable[[RunState], float | None]] = {
    "assigned": lambda run: run.task.created_at,
    "started": lambda run: run.current.started_at if run.current else None,
    "finished": lambda run: run.finished_at,
}


def _between(
    call: Call, name: str, time_of: Callable[[RunState], float | None], runs: list[RunState]
) -> list[RunState]:
    for bound, sign in (("from", 1), ("till", -1)):
        text = call.argument(f"{name}_{bound}")
        if text is None:
            continue
        limit = read_time(text)
        if limit is None:
            raise Refused(HTTPStatus.BAD_REQUEST, f"{name}_{bound} is no time")
        runs = [
            run for run in runs if (at := time_of(run)) is not None and sign * (at - limit) >= 0
        ]
    return runs


ROUTES = (
    Route("GET", "/run", list_runs),
    Route("GET", "/run/{id}", read_run_),
    Route("PATCH", "/run/{id}", patch_run, who=("node",)),
    Route("GET", "/result", list_results),
    Route("GET", "/result/{id}", read_result_),
    Route("PATCH", "/result/{id}", patch_run, who=("node",)),
    Route("GET", "/task/{id}/result", task_results),
)
