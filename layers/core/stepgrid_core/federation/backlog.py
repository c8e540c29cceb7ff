"""What waits for the node of an organization: a list of run ids, from which ended ones are taken.

The list is a hint that saves a search; whether a run may be begun, its chunk's row decides.
"""

from .records import FederatedTask
from .service import Federation


def backlog_of(organization_id: int, collaboration_id: int) -> str:
    """Name of the list."""
    return f"backlog:{collaboration_id}:{organization_id}"


def drop_run(federation: Federation, task: FederatedTask, index: int, run: int) -> None:
    """It has ended."""
    listed = backlog_of(task.organization_ids[index], task.collaboration_id)
    federation.table.take_out(listed, [run])
