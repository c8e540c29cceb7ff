"""The workers' log as a list of lines."""

from ..errors import InvalidRequest
from ..ports import LogEvent, LogSearch, Page


class MemoryLogReader:
    """Lines in a list, in the order in which they were added; cursors are places in it."""

    def __init__(self) -> None:
        self._events: list[LogEvent] = []

    def add(self, at: float, text: str) -> None:
        """A worker writes a line, as JSON text."""
        self._events.append(LogEvent(at, text))

    def search(self, search: LogSearch, cursor: str | None, limit: int) -> Page[LogEvent]:
        if cursor is not None and not cursor.isdecimal():
            raise InvalidRequest("this is no cursor of a log page, or it is too old")
        start = int(cursor or 0)
        until = float("inf") if search.until is None else search.until
        found = [e for e in self._events if search.since <= e.at <= until]
        found.sort(key=lambda event: event.at)
        end = start + limit
        return Page(tuple(found[start:end]), str(end) if len(found) > end else None)
