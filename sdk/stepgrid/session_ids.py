"""Sessions and jobs as whoever names some gives them: objects or ids."""

from collections.abc import Iterable
from typing import Protocol

from stepgrid_core.errors import InvalidRequest

from .api import check_id


class HasId(Protocol):
    """A session, or a job; of an array the whole."""

    @property
    def id(self) -> str: ...


def read_ids(given: Iterable[HasId | str], argument: str) -> list[str]:
    """Raises InvalidRequest for one in place of several, and for what is no session."""
    # A job can be iterated too: its parts would be taken for what is meant.
    if isinstance(given, str) or hasattr(given, "id"):
        raise InvalidRequest(f"{argument} is one session or job; give a list")
    if not isinstance(given, Iterable):
        raise InvalidRequest(f"{argument} is {given!r}; give a list of sessions")
    return [_read_id(each) for each in given]


def _read_id(given: HasId | str) -> str:
    found = given if isinstance(given, str) else getattr(given, "id", given)
    check_id(found)
    return str(found)
