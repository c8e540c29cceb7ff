"""What the jobs of a container ask: of the broker, and of the store by lent credentials."""

from collections.abc import Callable
from pathlib import Path

from ..names import job_output_place
from ..records import JobRecord
from .broker_rows import Desk

#: Stores a file under a key.
Store = Callable[[str, Path], None]


class BrokerJobDesk:
    """See ports.JobDesk."""

    def __init__(self, desk: Desk, outputs_prefix: str, store: Store) -> None:
        """outputs_prefix: of the keys of the session's outputs, as the broker gave it."""
        self._desk = desk
        self._outputs_prefix = outputs_prefix
        self._store = store

    def report(self, index: int, record: JobRecord) -> None:
        self._desk.ask("report", index=index, record=record.as_dict())

    def sign_input(self, url: str) -> str:
        return str(self._desk.ask("sign", url=url)["url"])

    def store_output(self, index: int, attempt: int, name: str, file: Path) -> None:
        self._store(self._outputs_prefix + job_output_place(index, attempt, name), file)
