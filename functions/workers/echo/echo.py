"""The echo worker: returns its task. It does no work, so what its sessions take is the grid.

It knows nothing of the grid, of sessions or of attempts, and imports nothing.
"""

from typing import Any


def lambda_handler(event: Any, context: object) -> Any:
    """Return `event`, which is the task: any JSON value."""
    return event
