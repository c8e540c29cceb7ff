"""HTC-Grid's connector on the real planes in memory, and the forms of its answers."""

from typing import Any

from stepgrid.htcgrid import AWSConnector
from tests.unit.sdk_fakes import World

LISTS = [
    f"{state}{end}" for state in ("finished", "cancelled", "failed") for end in ("", "_OUTPUT")
]
NOTHING = {**{name: [] for name in LISTS}, "metadata": {"tasks_in_response": 0}}
UNKNOWN = "00000000-0000-5000-8000-000000000000"
ZEROS = {
    "cancelled_retrying": 0,
    "cancelled_pending": 0,
    "cancelled_processing": 0,
    "total_cancelled_tasks": 0,
}


class ConnectedWorld(World):
    """A grid in memory with an AWSConnector whose requests are recorded."""

    def __init__(self, *args: Any, config: dict[str, Any] | None = None, **named: Any) -> None:
        super().__init__(*args, **named)
        self.connector = AWSConnector(config or {}, grid=self.grid)
