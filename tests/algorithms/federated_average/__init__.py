"""An algorithm as its authors write it, for vantage6-algorithm-tools: the mean of a column.

`central_average` asks every organization for a sum and a count; no row leaves its node.
"""

import os
import time
from pathlib import Path
from typing import Any

from vantage6.algorithm.tools.decorators import algorithm_client, data


@data(1)
def partial_average(df: Any, column: str) -> dict[str, float]:
    """What one organization tells."""
    return {"sum": float(df[column].sum()), "count": len(df)}


@algorithm_client
def central_average(client: Any, column: str) -> dict[str, float]:
    """Asks all organizations, itself too."""
    ids = [organization["id"] for organization in client.organization.list()]
    task = client.task.create(
        input_={"method": "partial_average", "kwargs": {"column": column}}, organizations=ids
    )
    parts = client.wait_for_results(task_id=task["id"], interval=0.5)
    total = sum(part["sum"] for part in parts)
    return {"average": total / sum(part["count"] for part in parts)}


def fail() -> None:
    raise ValueError("no such luck")


def show_environment() -> dict[str, str]:
    return dict(os.environ)


def sleep_with_child(marker: str) -> None:
    """Writes the ids of its processes, and does not end; the child ignores the group's end."""
    child = os.fork()
    if child == 0:
        os.setsid()
    else:
        Path(marker).write_text(f"{os.getpid()} {child}")
    while True:
        time.sleep(60)
