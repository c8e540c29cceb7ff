"""Asking how a session would run, without submitting it.

    a count, or tasks that are packed and measured here --> POST /v1/plans

Nothing is uploaded: the grid is told how many tasks there are, and how many bytes.
"""

from collections import deque
from collections.abc import Iterable
from typing import Any

from stepgrid_core.contract import PlanDescription, PlanRequest
from stepgrid_core.data_plane import encode_lines
from stepgrid_core.errors import InvalidRequest
from stepgrid_core.packing import Packing

from .connection import Connection
from .submission import Order


def ask_plan(
    connection: Connection, order: Order, tasks: int | Iterable[Any], size: int | None
) -> PlanDescription:
    """Raises InvalidRequest for no tasks, or for what is neither a count nor tasks."""
    if not isinstance(tasks, int):
        if size is not None:
            raise InvalidRequest("size goes with a count; tasks that are given are measured")
        tasks, size = measure(tasks, order.options.chunk_size)
    if isinstance(tasks, bool) or tasks < 1:
        raise InvalidRequest(f"a session needs at least one task, not {tasks}")
    if size is not None and size < 1:
        raise InvalidRequest(f"size is {size}; give the bytes of all tasks, or leave it out")
    said = {"worker": order.worker, "tasks": tasks, "options": order.options}
    if size is not None:
        said["size"] = size
    return connection.api.plan(PlanRequest.model_validate(said))


def measure(tasks: Iterable[Any], chunk_size: int | None = None) -> tuple[int, int]:
    """How many, and their bytes as JSON Lines. Raises what a submit of them would."""
    if isinstance(tasks, str | bytes | dict) or not isinstance(tasks, Iterable):
        raise InvalidRequest(
            f"tasks is one {type(tasks).__name__}; give their number, or a list of them"
        )
    packing = Packing(chunk_size)
    deque(packing.pack(encode_lines(tasks)), maxlen=0)
    return packing.tasks, packing.size
