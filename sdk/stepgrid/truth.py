"""What has become of sessions, asked of the sessions themselves at a slow pace.

Of a few, each is asked; of many, the list is read. For all sessions of the caller, new ones are
found at the head of the list, which is sorted by age.
"""

from collections.abc import Callable, Iterator

from stepgrid_core.contract import SessionDescription, SessionSummary
from stepgrid_core.errors import NotFound
from stepgrid_core.states import TERMINAL_SESSIONS, SessionState

from .api import Api

#: So many sessions are asked one by one.
FEW = 10
FEW_PAUSE_SECONDS = 15.0
MANY_PAUSE_SECONDS = 60.0
#: The list lags behind a little: its head is read again from so long before the newest.
OVERLAP_SECONDS = 60.0


class Truth:
    """The sessions that are watched, and whose end was not seen yet."""

    def __init__(
        self, api: Api, session_ids: frozenset[str] | None, has_ended: Callable[[str], bool]
    ) -> None:
        self._api = api
        self._all = session_ids is None
        self._open = set(session_ids or ())
        self._has_ended = has_ended
        self._horizon = 0.0  #: sessions older than this are known

    @property
    def pause_seconds(self) -> float:
        return FEW_PAUSE_SECONDS if len(self._open) <= FEW else MANY_PAUSE_SECONDS

    def is_over(self) -> bool:
        """Has every session that was named ended, or disappeared?"""
        return not self._all and all(map(self._has_ended, self._open))

    def start(self) -> list[str]:
        """Call before anything else: answers sessions whose end is old news."""
        if not self._all:
            return []
        old = [each.session_id for each in self._young() if each.state in TERMINAL_SESSIONS]
        self._open |= {each.session_id for each in self._list(SessionState.RUNNING)}
        return old

    def look(self) -> Iterator[SessionDescription]:
        """The sessions that have ended, and whose end the ledger does not know."""
        if self._all:
            self._open |= {each.session_id for each in self._young()}
        self._open = {name for name in self._open if not self._has_ended(name) or not self._all}
        waiting = {name for name in self._open if not self._has_ended(name)}
        for name in sorted(waiting - self._known_open(waiting)):
            description = self._describe(name)
            if description is not None and description.state in TERMINAL_SESSIONS:
                yield description

    def _describe(self, name: str) -> SessionDescription | None:
        """None, and no longer watched, if it was deleted or is none of the caller's."""
        try:
            return self._api.describe(name)
        except NotFound:
            self._open.discard(name)
            if not self._all and not self._open:
                raise
            return None

    def _known_open(self, waiting: set[str]) -> set[str]:
        """Those of many that the list still shows as open: they need not be asked."""
        if len(waiting) <= FEW:
            return set()
        return waiting & {each.session_id for each in self._list(SessionState.RUNNING)}

    def _young(self) -> list[SessionSummary]:
        """All that were accepted since the last look, and a little before."""
        found: list[SessionSummary] = []
        horizon = self._horizon
        for session in self._list(None):
            self._horizon = max(self._horizon, session.created_at - OVERLAP_SECONDS)
            horizon = horizon or self._horizon
            if session.created_at < horizon:
                break
            found.append(session)
        return found

    def _list(self, state: SessionState | None) -> Iterator[SessionSummary]:
        cursor: str | None = None
        while True:
            page = self._api.list_sessions(state, cursor)
            yield from page.sessions
            cursor = page.cursor
            if cursor is None:
                return
