"""Who waits for room on which worker; the state table guards it with its lock."""

from secrets import token_hex

from ..listing import queue_place
from ..ports import Waiting
from ..records import Session


class WaitingQueues:
    """A queue for each worker, in order of rank, and the stamp of who joined it last."""

    def __init__(self) -> None:
        self._places: dict[str, dict[str, str]] = {}
        self._stamps: dict[str, str] = {}

    def join(self, session: Session) -> None:
        self._places.setdefault(session.worker, {})[queue_place(session)] = session.session_id
        self._stamps[session.worker] = token_hex(8)

    def leave(self, session: Session) -> None:
        self.drop(session.worker, queue_place(session))

    def drop(self, worker: str, place: str) -> None:
        self._places.get(worker, {}).pop(place, None)

    def entries(self, worker: str, after: str | None, limit: int) -> list[Waiting]:
        queue = sorted(self._places.get(worker, {}).items())
        behind = [entry for entry in queue if after is None or entry[0] > after]
        return [Waiting(place, session_id) for place, session_id in behind[:limit]]

    def stamp(self, worker: str) -> str:
        """Empty: nobody waits."""
        return self._stamps.get(worker, "")

    def clear(self, worker: str, stamp: str) -> None:
        """Nobody waits, unless somebody joined since `stamp` was read."""
        if self.stamp(worker) == stamp:
            self._stamps.pop(worker, None)
