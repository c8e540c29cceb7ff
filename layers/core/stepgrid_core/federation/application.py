"""Makes planned changes, one entity at a time.

    create  a number --> the references to it --> the entity with its names, in one write
    update  the entity as it is now --> only the fields that change --> replace it
    delete  the entity with its names

Each write is whole, and planning reads what is there: whoever applies again after a crash goes on
where it ended. A node's API key is given away before the node is made, for it is kept nowhere.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from ..errors import Conflict
from .api_keys import hash_key, make_key
from .changes import remove, revise
from .draft import Action, Change
from .http import Refused
from .records import Node, Role
from .registry import Registry, marks_of
from .rules import FIRST_CUSTOM_ROLE
from .snapshot import Managed

#: Fields that name other records, and of which kind these are.
_REFERENCES = ("organization_id", "collaboration_id", "organization_ids", "role_ids")

#: The node, with its name and places, and its API key in clear.
GiveKey = Callable[[Node, str], None]


def apply(registry: Registry, changes: Iterable[Change], give_key: GiveKey) -> list[Change]:
    """Answers the changes with the real ids. Raises Conflict if somebody else changes them too."""
    ids: dict[tuple[str, int], int] = {}
    done = []
    for change in changes:
        new = None if change.new is None else _with_ids(change.new, ids)
        made = replace(change, new=_make(registry, replace(change, new=new), give_key))
        if change.new is not None and made.new is not None:
            ids[change.kind, change.new.id] = made.new.id
        done.append(made)
    return done


def _make(registry: Registry, change: Change, give_key: GiveKey) -> Managed | None:
    new = change.new
    if change.action is Action.DELETE:
        remove(registry, change.record)
    elif change.action is Action.UPDATE:
        _update(registry, change)
    elif change.action is Action.CREATE:
        assert new is not None
        return _create(registry, _with_key(new, give_key), change.title)
    return new


def _with_key(record: Managed, give_key: GiveKey) -> Managed:
    if not isinstance(record, Node) or record.cloud is not None:
        return record
    key = make_key()
    give_key(record, key)
    return replace(record, key_hash=hash_key(key))


def _create(registry: Registry, record: Managed, title: str) -> Managed:
    """An id above 0 is the only one that will do; for others the next that is free."""
    while True:
        fresh = record if record.id > 0 else _numbered(registry, record)
        if registry.create(fresh, marks_of(fresh)):
            return fresh
        taken = [name for name in marks_of(fresh).names if registry.table.find(name) is not None]
        if taken or record.id > 0:
            raise _meanwhile(record.KIND, title)


def _numbered(registry: Registry, record: Managed) -> Managed:
    number = registry.table.next_id(record.KIND)
    below = FIRST_CUSTOM_ROLE - 1 if isinstance(record, Role) else 0
    return replace(record, id=below + number)


def _update(registry: Registry, change: Change) -> None:
    old: Any = change.old
    try:
        revise(registry, old, lambda now: replace(now, **change.changed()))
    except Refused as error:
        raise _meanwhile(change.kind, change.title) from error


def _with_ids(record: Managed, ids: dict[tuple[str, int], int]) -> Managed:
    """References to records that were planned become those to what was made of them."""
    values: dict[str, Any] = {}
    for name in _REFERENCES:
        value = getattr(record, name, None)
        kind = name.removesuffix("s").removesuffix("_id")
        if isinstance(value, tuple):
            values[name] = tuple(ids.get((kind, id), id) for id in value)
        elif value is not None:
            values[name] = ids.get((kind, value), value)
    return replace(record, **values)


def _meanwhile(kind: str, title: str) -> Conflict:
    return Conflict(f"{kind} {title!r} was changed by somebody else meanwhile; do it again")
