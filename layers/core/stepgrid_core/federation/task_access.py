"""Which tasks and runs a principal may see, make, delete or kill.

The collaborations of its organization are read anew for each request: who was removed from one a
moment ago sees none of its tasks, not even those that it made itself.
"""

from collections.abc import Callable
from http import HTTPStatus

from .access import reach_of
from .http import Call, Refused
from .permissions import lacking, missing
from .principals import ContainerPrincipal, NodePrincipal
from .records import FederatedTask, run_place
from .rules import Operation

Judge = Callable[[FederatedTask], bool]


def judge_of(call: Call, resource: str, operation: Operation) -> Judge:
    """Tells of tasks whether the caller may do it with them. Raises Refused: with none at all."""
    reach = reach_of(call)
    reach.require(resource, operation)
    job_id = _job_of(call)

    def may(task: FederatedTask) -> bool:
        in_job = job_id is None or task.job_id == job_id
        return in_job and reach.may_task(operation, task, resource)

    return may


def _job_of(call: Call) -> int | None:
    """A container knows the tasks of its own job alone."""
    if not isinstance(call.principal, ContainerPrincipal):
        return None
    own = call.federation.registry.find(FederatedTask, call.principal.task_id)
    return own.job_id if own is not None else 0


def visible_task(call: Call, task_id: int, resource: str = "task") -> FederatedTask:
    """Raises Refused, in the same words for one that is not there and one of somebody else."""
    may = judge_of(call, resource, Operation.VIEW)
    task = call.federation.registry.find(FederatedTask, task_id)
    if task is None or not may(task):
        raise missing(f"task id={task_id} is not found")
    return task


def visible_run(call: Call, run: int) -> tuple[FederatedTask, int]:
    """The task of a run, and its index there. Raises Refused as `visible_task`."""
    may = judge_of(call, "run", Operation.VIEW)
    task_id, index = run_place(run)
    task = call.federation.registry.find(FederatedTask, task_id)
    if task is None or index >= len(task.organization_ids) or not may(task):
        raise missing(f"Run id={run} not found!")
    return task, index


def own_run(call: Call, run: int) -> tuple[FederatedTask, int]:
    """A run that the calling node is to do. Raises Refused."""
    task, index = visible_run(call, run)
    principal = call.principal
    assert isinstance(principal, NodePrincipal)
    if task.organization_ids[index] != principal.organization_id:
        raise Refused(HTTPStatus.UNAUTHORIZED, "This is not your algorithm run to PATCH!")
    return task, index


def find_task_to(call: Call, task_id: int, resource: str, operation: Operation) -> FederatedTask:
    """One that the caller may do this with.

    Raises Refused: as of what is not there, unless the caller can see it or may do it with none.
    """
    may = judge_of(call, resource, operation)
    task = visible_task(call, task_id)
    if not may(task):
        raise lacking()
    return task


def check_may(call: Call, task: FederatedTask, resource: str, operation: Operation) -> None:
    """Of a task that the caller can see. Raises Refused."""
    if not judge_of(call, resource, operation)(task):
        raise lacking()
