"""Names of the lists in which tasks stand, for what they belong to. Pure."""

from collections.abc import Callable

from .records import FederatedTask

ALL_TASKS = "tasks"


def tasks_of_collaboration(collaboration_id: int) -> str:
    return f"tasks:collaboration:{collaboration_id}"


def tasks_of_organization(organization_id: int) -> str:
    """Tasks that it asked for."""
    return f"tasks:organization:{organization_id}"


def tasks_of_study(study_id: int) -> str:
    return f"tasks:study:{study_id}"


def tasks_of_job(job_id: int) -> str:
    """A task and all below it."""
    return f"tasks:job:{job_id}"


def tasks_of_parent(task_id: int) -> str:
    return f"tasks:parent:{task_id}"


def tasks_of_user(user_id: int) -> str:
    return f"tasks:user:{user_id}"


#: The list for what a query asks for, those that are mostly short first. A task has fields of these
#: names.
BY_QUERY: dict[str, Callable[[int], str]] = {
    "job_id": tasks_of_job,
    "parent_id": tasks_of_parent,
    "init_user_id": tasks_of_user,
    "study_id": tasks_of_study,
    "init_org_id": tasks_of_organization,
    "collaboration_id": tasks_of_collaboration,
}


def lists_of(task: FederatedTask) -> list[str]:
    """All in which a task stands."""
    found = [
        ALL_TASKS,
        tasks_of_collaboration(task.collaboration_id),
        tasks_of_job(task.job_id),
        tasks_of_organization(task.init_org_id),
    ]
    if task.init_user_id is not None:
        found.append(tasks_of_user(task.init_user_id))
    if task.parent_id is not None:
        found.append(tasks_of_parent(task.parent_id))
    if task.study_id is not None:
        found.append(tasks_of_study(task.study_id))
    return found
