"""What HTC-Grid's clients get back: dictionaries in its form, nothing else.

Pure. A session's tasks are handed in as what became of them; see results.py.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from stepgrid_core.contract import CancelCounts
from stepgrid_core.names import task_id
from stepgrid_core.states import TaskState

#: What HTC-Grid puts where a cancelled task has no output.
READ_FROM_DATA_PLANE = "read_from_dataplane"

#: index -> (terminal state, text of its output)
Ended: TypeAlias = Mapping[int, tuple[TaskState, str]]


class Response(dict[str, Any]):
    """A dictionary that also answers `to_dict`, as the objects of HTC-Grid's client do."""

    def to_dict(self) -> dict[str, Any]:
        """A plain copy, all the way down."""
        return {
            key: value.to_dict() if isinstance(value, Response) else value
            for key, value in self.items()
        }


def submission(session_id: str, tasks: int) -> Response:
    """The answer to a submit."""
    return Response(session_id=session_id, task_ids=task_ids(session_id, range(tasks)))


def results(session_id: str, ended: Ended) -> Response:
    """The answer to get_results: tasks that have ended, in order of submission."""
    response = Response()
    for state in (TaskState.FINISHED, TaskState.CANCELLED, TaskState.FAILED):
        indices = sorted(index for index, (its_state, _) in ended.items() if its_state is state)
        response[state.value] = task_ids(session_id, indices)
        response[f"{state.value}_OUTPUT"] = [ended[index][1] for index in indices]
    response["metadata"] = Response(tasks_in_response=len(ended))
    return response


def cancellation(counts: CancelCounts) -> dict[str, int]:
    """The answer to a cancel, for one session."""
    return {
        "cancelled_retrying": counts.cancelled_retrying,
        "cancelled_pending": counts.cancelled_pending,
        "cancelled_processing": counts.cancelled_processing,
        "total_cancelled_tasks": counts.total_cancelled_tasks,
    }


def task_ids(session_id: str, indices: Iterable[int]) -> list[str]:
    return [task_id(session_id, index) for index in indices]
