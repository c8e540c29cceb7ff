"""The lines that a session's tasks printed: page by page, once or until the session has ended.

Whoever follows asks for the last seconds again and again, because lines of different environments
arrive in no particular order, and passes on those that are new.
"""

from collections.abc import Iterator

from stepgrid_core.contract import LogLine
from stepgrid_core.states import TERMINAL_SESSIONS

from .connection import Connection

PAUSE_SECONDS = 2.0
#: A line is found at most so long after it was written, mostly after two seconds.
LATE_SECONDS = 10.0


def read_lines(
    connection: Connection, session_id: str, task: int | None, *, every: bool, follow: bool
) -> Iterator[LogLine]:
    """See Session.logs."""
    if not follow:
        return _pages(connection, session_id, task, every, None)
    return _follow(connection, session_id, task, every)


def _pages(
    connection: Connection, session_id: str, task: int | None, every: bool, since: float | None
) -> Iterator[LogLine]:
    cursor: str | None = None
    while True:
        page = connection.api.read_logs(session_id, task, every=every, since=since, cursor=cursor)
        yield from page.lines
        cursor = page.cursor
        if cursor is None:
            return


def _follow(
    connection: Connection, session_id: str, task: int | None, every: bool
) -> Iterator[LogLine]:
    seen: dict[str, float] = {}
    since: float | None = None
    ended_at: float | None = None
    while True:
        if ended_at is None and _has_ended(connection, session_id):
            ended_at = connection.clock.monotonic()
        for line in _pages(connection, session_id, task, every, since):
            if line.model_dump_json() not in seen:
                yield line
            seen[line.model_dump_json()] = line.at
        if ended_at is not None and connection.clock.monotonic() - ended_at >= LATE_SECONDS:
            return
        if seen:
            since = max(seen.values()) - LATE_SECONDS
            seen = {text: at for text, at in seen.items() if at >= since}
        connection.clock.sleep(PAUSE_SECONDS)


def _has_ended(connection: Connection, session_id: str) -> bool:
    return connection.api.describe(session_id).state in TERMINAL_SESSIONS
