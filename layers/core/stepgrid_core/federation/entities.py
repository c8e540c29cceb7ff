"""What every table holds entities to: values that are JSON, and changes of marks that fit. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidRequest, RequestTooLarge
from ..ports import Marks

#: DynamoDB changes 100 items in one transaction: the entity itself is the hundredth.
MAX_MARKS = 99
#: An item of DynamoDB may have 400 KB, its keys and its attributes' names included.
MAX_VALUES_BYTES = 390_000
#: In UTF-8. A key of DynamoDB may have 2,048.
MAX_NAME_BYTES = 1_024


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


def can_be_borne(name: str) -> bool:
    """A name that can't is never found."""
    try:
        return len(name.encode()) <= MAX_NAME_BYTES
    except UnicodeEncodeError:
        return False


def change_marks(added: Marks, removed: Marks) -> MarkChange:
    """What is both added and removed stays.

    Raises InvalidRequest if a name can't be one, ValueError if it is too much for one write. A name
    may be made of a secret, so neither says which.
    """
    taken, joined = dict.fromkeys(added.names), dict.fromkeys(added.lists)
    if not all(map(can_be_borne, taken)):
        raise InvalidRequest(
            f"a name is text of at most {MAX_NAME_BYTES} bytes in UTF-8: choose a shorter one"
        )
    left = (name for name in dict.fromkeys(removed.names) if name not in taken)
    change = MarkChange(
        taken=tuple(taken),
        left=tuple(filter(can_be_borne, left)),
        joined=tuple(joined),
        parted=tuple(listed for listed in dict.fromkeys(removed.lists) if listed not in joined),
    )
    marks = len(change.taken) + len(change.left) + len(change.joined) + len(change.parted)
    if marks > MAX_MARKS:
        raise ValueError(f"{marks} marks in one write: at most {MAX_MARKS} change with an entity")
    return change
