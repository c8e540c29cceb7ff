"""What every table holds entities to: values that are JSON, and changes of marks that fit. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import RequestTooLarge
from ..ports import Marks

#: DynamoDB changes 100 items in one transaction: the entity itself is the hundredth.
MAX_MARKS = 99
#: An item of DynamoDB may have 400 KB, its keys and its attributes' names included.
MAX_VALUES_BYTES = 390_000


@dataclass(frozen=True, slots=True)
class MarkChange:
    """Marks to write and marks to take away. None is in both, and none is there twice."""

    taken: tuple[str, ...]  #: names
    left: tuple[str, ...]
    joined: tuple[str, ...]  #: lists
    parted: tuple[str, ...]


def write_values(kind: str, id: int, values: Mapping[str, Any]) -> str:
    """As text of ASCII. Raises RequestTooLarge if that is too long to be kept."""
    text = json.dumps(dict(values), separators=(",", ":"), allow_nan=False)
    if len(text) > MAX_VALUES_BYTES:
        raise RequestTooLarge(
            f"{kind} {id} has {len(text)} bytes, and only {MAX_VALUES_BYTES} are kept: shorten it"
        )
    return text


def read_values(text: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(text)
    return values


def change_marks(added: Marks, removed: Marks) -> MarkChange:
    """What is both added and removed stays. Raises ValueError if it is too much for one write."""
    taken, joined = dict.fromkeys(added.names), dict.fromkeys(added.lists)
    change = MarkChange(
        taken=tuple(taken),
        left=tuple(name for name in dict.fromkeys(removed.names) if name not in taken),
        joined=tuple(joined),
        parted=tuple(listed for listed in dict.fromkeys(removed.lists) if listed not in joined),
    )
    marks = len(change.taken) + len(change.left) + len(change.joined) + len(change.parted)
    if marks > MAX_MARKS:
        raise ValueError(f"{marks} marks in one write: at most {MAX_MARKS} change with an entity")
    return change
