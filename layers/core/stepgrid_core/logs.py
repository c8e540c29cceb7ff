"""What the tasks of a session printed, for its owner.

    own session? --> search the workers' log --> keep the session's lines, and only those

The log is all owners': a line is shown only if its own `session_id` is that of a session which the
caller owns. What a task printed is inside of a line's `message`, so no print can claim another id.
"""

import json
from typing import Any

from pydantic import ValidationError

from .contract import LogLine, LogPage, LogsQuery
from .description import own_session
from .errors import InvalidRequest
from .ports import LogEvent, LogSearch
from .records import Session
from .wiring import Grid

PAGE_EVENTS = 1_000
#: The log is searched for so long before an answer without lines says "go on from here".
SEARCH_SECONDS = 10.0
#: Clocks of the environments differ a little, and lines of a killed worker come late.
EARLY_SECONDS, LATE_SECONDS = 60.0, 3_600.0
#: Of a line; everything else is in `fields`.
_KNOWN = ("level", "message", "timestamp", "session_id", "chunk", "task", "attempt", "printed")


def read_logs(grid: Grid, owner: str, session_id: str, query: LogsQuery) -> LogPage:
    """A page of lines, oldest first; it may be empty and still have a cursor.

    Raises NotFound for a session that is not the owner's, InvalidRequest for a task it has not.
    """
    session = own_session(grid, owner, session_id)
    search = plan_search(session, query)
    if search.until is not None and search.since > search.until:  # the log takes no such search
        return LogPage(session_id=session_id, lines=[])
    give_up_at = grid.clock.monotonic() + SEARCH_SECONDS
    cursor = query.cursor
    while True:
        page = grid.logs.search(search, cursor, PAGE_EVENTS)
        found = (read_line(event, search) for event in page.items)
        lines = [line for line in found if line is not None]
        cursor = page.next
        if lines or cursor is None or grid.clock.monotonic() >= give_up_at:
            return LogPage(session_id=session_id, lines=lines, cursor=cursor)


def plan_search(session: Session, query: LogsQuery) -> LogSearch:
    """Which lines, and between which moments they were written."""
    if query.task is not None and query.task >= session.tasks:
        raise InvalidRequest(
            f"session {session.session_id} has tasks 0 to {session.tasks - 1}, no {query.task}"
        )
    since = max(session.created_at - EARLY_SECONDS, query.since or 0.0)
    until = None if session.closed_at is None else session.closed_at + LATE_SECONDS
    return LogSearch(session.session_id, query.task, query.all, since, until)


def read_line(event: LogEvent, search: LogSearch) -> LogLine | None:
    """The line in an event, or None if it is not one that was searched for."""
    try:
        fields = json.loads(event.text)
    except ValueError:
        return None
    if not isinstance(fields, dict) or not _is_wanted(fields, search):
        return None
    known = {name: fields.get(name) for name in _KNOWN if fields.get(name) is not None}
    known |= {"at": event.at, "message": str(fields.get("message", ""))}
    rest = {name: value for name, value in fields.items() if name not in _KNOWN}
    try:
        return LogLine.model_validate({**known, "fields": rest})
    except ValidationError:
        return None


def _is_wanted(fields: dict[str, Any], search: LogSearch) -> bool:
    if fields.get("session_id") != search.session_id or "message" not in fields:
        return False  # without a message it is a line of metrics
    if search.task is not None and fields.get("task") != search.task:
        return False
    return search.every or "printed" in fields
