"""A federated task as a session: its results by organization, decoded, and decrypted."""

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from stepgrid_core.contract import SessionDescription
from stepgrid_core.errors import PayloadCorrupted, TaskError

from .connection import Connection
from .outcomes import Outcome
from .retry import Deadline
from .session import Session, Task

#: What travels as a run's result -> what the algorithm wrote.
Reader = Callable[[str], bytes]


def read_plain(text: str) -> bytes:
    """Of a collaboration that does not encrypt. Raises ValueError."""
    return base64.b64decode(text, validate=True)


class Run(Task):
    """What one organization's node does, or did."""

    def __init__(
        self,
        session: "FederatedSession",
        outcome: Outcome,
        wait: Callable[[int, float | None], Outcome],
    ) -> None:
        super().__init__(session.id, outcome, wait)
        self._session = session

    @property
    def organization(self) -> str:
        """Its name."""
        return self._session.organizations[self.index]

    def result(self, timeout: float | None = None) -> Any:
        """See Task.result."""
        return self._session.decode(super().result(timeout))

    def __repr__(self) -> str:
        return f"<Run {self.id} at {self.organization} {self.state.value}>"


class FederatedSession(Session):
    """A session with one task for each organization; made by `grid.federation`.

    All that sessions do, with results as the algorithm gave them. In `as_completed` each task is a
    Run, which says whose it is.
    """

    def __init__(
        self,
        connection: Connection,
        description: SessionDescription,
        task_id: int,
        names: Mapping[int, str],
        read: Reader,
    ) -> None:
        super().__init__(connection, description)
        facts = description.federation
        ids = facts.organization_ids if facts is not None else []
        #: of the federated task, as vantage6's clients know it
        self.task_id = task_id
        #: names, in the order of the results
        self.organizations = [names.get(id, str(id)) for id in ids]
        self._read = read

    def decode(self, text: str) -> Any:
        """What the algorithm answered. Raises PayloadCorrupted."""
        try:
            return json.loads(self._read(text))
        except (binascii.Error, ValueError) as error:
            raise PayloadCorrupted(
                f"a result of task {self.task_id} is no JSON in base64: {error}"
            ) from error

    def by_organization(
        self, return_exceptions: bool = False, timeout: float | None = None
    ) -> dict[str, Any]:
        """Wait for the end, then the results by the names of the organizations; see `results`."""
        results = self.results(return_exceptions, timeout)
        return dict(zip(self.organizations, results, strict=True))

    def _stream(self, return_exceptions: bool, deadline: Deadline, keep: bool) -> Iterator[Any]:
        for value in super()._stream(return_exceptions, deadline, keep):
            yield value if isinstance(value, TaskError) else self.decode(value)

    def _task(self, outcome: Outcome) -> Run:
        return Run(self, outcome, self._final_outcome)

    def __repr__(self) -> str:
        return f"<FederatedSession {self.id} of task {self.task_id} at {self.organizations}>"
