"""Changes of entities that undo nothing that others change meanwhile."""

from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from ..ports import Marks
from .http import Refused
from .records import Collaboration, Node, Organization, Role, Study, User
from .registry import Registry, marks_of

Known = Organization | Collaboration | Study | Role | User | Node
Changed = TypeVar("Changed", Organization, Collaboration, Study, Role, User, Node)


def revise(
    registry: Registry, old: Changed, change: Callable[[Changed], Changed], taken: str = ""
) -> Changed:
    """`change` is asked again about what others have made of it. Answers what is there now.

    Raises Refused: 404 if it is gone, and 400 with the words `taken` if a new name is another's.
    """
    kind, id = type(old), old.id
    while (entity := registry.table.read(kind.KIND, id)) is not None:
        before = kind.read(id, entity.values)
        after = change(before)
        added, removed = _difference(after, before), _difference(before, after)
        if after == before or registry.table.replace(entity, after.as_values(), added, removed):
            return after
        if any(registry.table.find(name) not in (None, id) for name in added.names):
            raise Refused(HTTPStatus.BAD_REQUEST, taken or f"that name of a {kind.KIND} is taken")
    raise Refused(HTTPStatus.NOT_FOUND, f"{kind.KIND.capitalize()} id={id} not found!")


def keep(registry: Registry, record: Changed, taken: str) -> Changed:
    """A new one. Raises Refused, 400 with the words `taken`, if its name is another's."""
    if not registry.create(record, marks_of(record)):
        raise Refused(HTTPStatus.BAD_REQUEST, taken)
    return record


def remove(registry: Registry, record: Known) -> bool:
    """With all that it is found by now. False if it was gone already."""
    kind = type(record)
    while (entity := registry.table.read(kind.KIND, record.id)) is not None:
        if registry.table.delete(entity, marks_of(kind.read(entity.id, entity.values))):
            return True
    return False


def _difference(one: Changed, other: Changed) -> Marks:
    """What `one` is found by, and `other` not."""
    others = set(marks_of(other).names)
    return Marks(names=tuple(name for name in marks_of(one).names if name not in others))
