"""What workers wrote, and where to look for it."""

from dataclasses import dataclass
from typing import Protocol

from .page import Page


@dataclass(frozen=True, slots=True)
class LogSearch:
    """Which lines of the workers' log; times are epoch seconds."""

    session_id: str
    task: int | None  #: None: of every task
    every: bool  #: also what the grid itself wrote about the session
    since: float
    until: float | None


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One line of a log; `text` is what the worker wrote."""

    at: float  #: epoch seconds
    text: str


class LogReader(Protocol):
    """The log of all workers."""

    def search(self, search: LogSearch, cursor: str | None, limit: int) -> Page[LogEvent]:
        """Every line that was searched for, in order of time; others may be among them.

        A page may be empty although others follow. A line is found some seconds after it was
        written. Raises InvalidRequest for a bad cursor.
        """
