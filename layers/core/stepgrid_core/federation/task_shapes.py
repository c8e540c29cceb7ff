"""Tasks, runs and results in the JSON that vantage6's clients read.

At "" they have the fields of its versions before 4 as well: `complete`, `run_id`, `node`. The
result of a run has the id of the run.
"""

import json
from typing import Any

from .http import Call
from .records import FederatedTask, Node
from .shapes import hateoas, node_in_run_shape
from .statuses import has_ended
from .task_state import RunState, TaskState
from .times import iso_time

Json = dict[str, Any]


def show_task(call: Call, state: TaskState) -> Json:
    task, base = state.task, call.base
    status = state.status
    return {
        "id": task.id,
        "name": task.name,
        "description": task.description,
        "image": task.image,
        "job_id": task.job_id,
        "run_id": task.job_id,
        "created_at": iso_time(task.created_at),
        "finished_at": iso_time(state.finished_at),
        "status": status,
        "complete": has_ended(status),
        "collaboration": hateoas(call, "collaboration", task.collaboration_id),
        "collaboration_id": task.collaboration_id,
        "runs": f"{base}/run?task_id={task.id}",
        "results": f"{base}/result?task_id={task.id}",
        "parent": hateoas(call, "task", task.parent_id),
        "children": f"{base}/task?parent_id={task.id}",
        "init_org": hateoas(call, "organization", task.init_org_id),
        "init_user": hateoas(call, "user", task.init_user_id),
        "databases": _show_databases(task),
        "study": hateoas(call, "study", task.study_id),
        "algorithm_store": None,
        "session_id": task.session_id,
    }


def _show_databases(task: FederatedTask) -> list[Json]:
    shown = []
    for database in task.databases:
        rest = {name: value for name, value in database.items() if name != "label"}
        parameters = json.dumps(rest, separators=(",", ":"))
        shown.append({"label": database["label"], "parameters": parameters})
    return shown


def show_run(call: Call, run: RunState, node: Node | None, input_: str | None) -> Json:
    """input_: as it was sent, for whoever may read it."""
    record = run.current
    return {
        "id": run.id,
        "organization": hateoas(call, "organization", run.organization_id),
        "task": hateoas(call, "task", run.task.id),
        "results": hateoas(call, "result", run.id),
        "node": None if node is None else node_in_run_shape(call, node),
        "ports": [],
        "input": input_,
        "assigned_at": iso_time(run.task.created_at),
        "started_at": iso_time(record.started_at) if record else None,
        "finished_at": iso_time(run.finished_at),
        "status": run.status,
        "log": record.log or None if record else None,
        "attempt": run.chunk.attempt,
        "cleanup_at": None,
        "blob_storage_used": False,
    }


def show_result(call: Call, run: RunState, result: str | None, node: Node | None) -> Json:
    shown: Json = {
        "id": run.id,
        "result": result,
        "run": hateoas(call, "run", run.id),
        "task": hateoas(call, "task", run.task.id),
        "cleanup_at": None,
        "blob_storage_used": False,
    }
    if not call.legacy:
        return shown
    record = run.current
    return {
        **shown,
        "organization": run.organization_id,
        "node": None if node is None else node.id,
        "status": run.status,
        "assigned_at": iso_time(run.task.created_at),
        "started_at": iso_time(record.started_at) if record else None,
        "finished_at": iso_time(run.finished_at),
        "log": record.log or None if record else None,
    }
