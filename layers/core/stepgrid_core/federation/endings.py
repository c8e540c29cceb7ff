"""Ends of tasks that take several writes, noted first, so that whoever comes next finishes them.

    note --> kill, delete or clear away, step by step --> the note is taken off

A function that dies in between leaves its note, by which the sweeper repeats what was to be done:
each step can be repeated. Knows none of the steps.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from .records import Record
from .service import Federation

#: No creation takes so long: a repeat later than task_repeats.REPEAT_SECONDS makes another task,
#: and the function that does it ends within a minute.
ORPHAN_SECONDS = 300.0


class Aim(StrEnum):
    KILL = "kill"
    DELETE = "delete"
    #: what a creation that was cut off has left, of which there is no task
    CLEAR = "clear"


@dataclass(frozen=True, slots=True)
class Ending(Record):
    """Of the task of that id."""

    KIND: ClassVar[str] = "ending"
    id: int
    aim: str
    session_id: str = ""  #: only to clear away: else the task knows
    ripe_at: float = 0.0  #: until then whoever noted it may be at work on it


def note_ending(federation: Federation, ending: Ending) -> None:
    """Who deletes what somebody else is killing has the last word."""
    table = federation.table
    while True:
        old = table.read(Ending.KIND, ending.id)
        if old is None:
            new = table.create(Ending.KIND, ending.id, ending.as_values())
        elif old.values["aim"] == Aim.KILL and ending.aim != Aim.KILL:
            new = table.replace(old, ending.as_values())
        else:
            return
        if new is not None:
            return


def note_ended(federation: Federation, task_id: int, aim: Aim) -> None:
    """A note of something else stays: somebody is at that."""
    while (old := federation.table.read(Ending.KIND, task_id)) is not None:
        if old.values["aim"] != aim or federation.table.delete(old):
            return
