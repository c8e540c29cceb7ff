"""Ending tasks from outside, and their subtasks: kill what runs, delete what nobody wants."""

from ..outputs import forget_session
from ..ports import Marks
from ..states import SessionState
from . import notices
from .backlog import backlog_of, drop_run
from .endings import Aim, Ending, note_ended, note_ending
from .records import FederatedTask, Node, RunRecord, run_id, run_place
from .run_rows import kill_run, kill_runs
from .service import Federation
from .statuses import KILLED
from .task_lists import lists_of, tasks_of_job
from .task_repeats import note_gone
from .task_state import RunState, read_task


def tree_of(federation: Federation, task: FederatedTask) -> list[FederatedTask]:
    """The task and all below it, children before their parents, however deep that goes."""
    later = federation.table.list_ids(tasks_of_job(task.job_id), after=task.id)
    tree = {task.id: task}
    for each in federation.registry.find_many(FederatedTask, later):
        if each.parent_id in tree:  # whose id was given before
            tree[each.id] = each
    return list(reversed(tree.values()))


def kill_task(federation: Federation, task: FederatedTask) -> None:
    """The parent first: while it is at work it could make more subtasks."""
    note_ending(federation, Ending(task.id, Aim.KILL))
    _kill_tree(federation, task)
    note_ended(federation, task.id, Aim.KILL)


def _kill_tree(federation: Federation, task: FederatedTask) -> None:
    """Also subtasks that come meanwhile: a task that was killed makes no more of them."""
    killed: set[int] = set()
    while fresh := [each for each in tree_of(federation, task) if each.id not in killed]:
        for each in reversed(fresh):
            _kill(federation, each)
            killed.add(each.id)


def follow_parent(federation: Federation, task: FederatedTask) -> None:
    """Of a subtask that was just made: whoever ended its parent may not have seen it yet."""
    parent = federation.registry.find(FederatedTask, task.parent_id or 0)
    if parent is None:
        delete_task(federation, task)
        return
    session = federation.grid.table.read_session(parent.session_id)
    if session is not None and session.verdict is SessionState.CANCELLED:
        kill_task(federation, task)


def _kill(federation: Federation, task: FederatedTask) -> None:
    grid = federation.grid
    session = grid.table.read_session(task.session_id)
    if session is None or session.deleted:
        return
    killed = [run for run in read_task(federation, task).runs if not run.chunk.terminal]
    kill_runs(grid, session)
    for index in range(len(task.organization_ids)):  # also of runs that somebody else has ended
        drop_run(federation, task, index, run_id(task.id, index))
    for run in killed:
        _tell(federation, run)


def _tell(federation: Federation, run: RunState) -> None:
    record = RunRecord(run.id, KILLED, run.chunk.attempt)
    notices.status_update(federation, run.task, record)


def kill_node_tasks(federation: Federation, node: Node) -> None:
    """Whatever the node is at: those runs end, the rest of their tasks goes on."""
    listed = backlog_of(node.organization_id, node.collaboration_id)
    for run in federation.table.list_ids(listed):
        task_id, index = run_place(run)
        task = federation.registry.find(FederatedTask, task_id)
        if task is None:
            continue
        session = federation.grid.table.read_session(task.session_id)
        if session is None:
            continue
        before = read_task(federation, task).runs[index]
        killed = kill_run(federation.grid, session, index)
        drop_run(federation, task, index, run)
        if killed:
            _tell(federation, before)
    notices.kill_node_containers(federation, node)


def delete_task(federation: Federation, task: FederatedTask) -> None:
    """With inputs, results and subtasks. What is at work is killed first."""
    note_ending(federation, Ending(task.id, Aim.DELETE))
    _kill_tree(federation, task)
    for each in tree_of(federation, task):
        _delete(federation, each)
    note_ended(federation, task.id, Aim.DELETE)


def _delete(federation: Federation, task: FederatedTask) -> None:
    """The entity last: until then a repeat finds what is left to do."""
    grid, table = federation.grid, federation.table
    note_gone(federation, task)
    session = grid.table.read_session(task.session_id)
    if session is not None and not session.deleted:
        forget_session(grid, session)
    for index in range(len(task.organization_ids)):
        record = table.read(RunRecord.KIND, run_id(task.id, index))
        if record is not None:
            table.delete(record)
    federation.registry.delete(task, Marks(lists=tuple(lists_of(task))))
