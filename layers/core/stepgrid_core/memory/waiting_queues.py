"""Who waits for room on which worker; the state table guards it with its lock."""

from secrets import token_hex

from ..listing import queue_place
from ..ports import Waiting
from ..records import Session


class WaitingQueues:
    """A queue for each worker, in order of rank, and the stamp of who joined it last."""

    def __init__(self) -> None:
        self._places: dict[str, dict[str, Waiting]] = {}
        self._stamps: dict[str, str] = {}

    def join(self, session: Session) -> None:
        place, stamp = queue_place(session), token_hex(8)
        entry = Waiting(place, session.session_id, session.owner, stamp)
        self._places.setdefault(session.lane, {})[place] = entry
        self._stamps[session.lane] = stamp

    def leave(self, session: Session) -> None:
        self._places.get(session.lane, {}).pop(queue_place(session), None)

    def drop(self, worker: str, entry: Waiting) -> None:
        queue = self._places.get(worker, {})
        if queue.get(entry.place) == entry:
            del queue[entry.place]

    def entries(self, worker: str, after: str | None, limit: int) -> list[Waiting]:
        queue = sorted(self._places.get(worker, {}).items())
        behind = [entry for place, entry in queue if after is None or place > after]
        return behind[:limit]

    def stamp(self, worker: str) -> str:
        """Empty: nobody waits."""
        return self._stamps.get(worker, "")

    def clear(self, worker: str, stamp: str) -> None:
        """Nobody waits, unless somebody joined since `stamp` was read."""
        if self.stamp(worker) == stamp:
            self._stamps.pop(worker, None)
