"""A federation while changes to it are thought out: what is there, and what shall be. Pure.

New records have ids below 0, and others name them by these; `application.apply` gives real ones.
"""

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from itertools import count
from typing import Any

from ..errors import InvalidRequest
from .members import without_member
from .records import Collaboration, Node, Organization, Role, Study, User
from .registry import marks_of
from .snapshot import KINDS, Kind, Managed, Snapshot, key_of


class Action(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    KEEP = "keep"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Change:
    """old: None of a new one. new: None of one that goes."""

    old: Managed | None
    new: Managed | None
    title: str

    @property
    def record(self) -> Managed:
        found = self.new or self.old
        assert found is not None
        return found

    @property
    def kind(self) -> str:
        return self.record.KIND

    @property
    def action(self) -> Action:
        if self.old is None:
            return Action.CREATE
        if self.new is None:
            return Action.DELETE
        return Action.UPDATE if self.changed() else Action.KEEP

    def changed(self) -> dict[str, Any]:
        """Fields of an update, with their new values."""
        if self.old is None or self.new is None:
            return {}
        names = [field.name for field in fields(self.new)]
        values = {name: getattr(self.new, name) for name in names if name != "id"}
        return {name: it for name, it in values.items() if it != getattr(self.old, name)}


class Draft:
    """Changes in the order in which they are to be made, one for each record."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._found = snapshot
        self._records = dict(snapshot.records)
        self._new_ids = count(-1, -1)
        self._touched: dict[str, None] = {}  # in the order of their first change
        self._mentioned: set[str] = set()

    @property
    def after(self) -> Snapshot:
        """What shall be there."""
        return Snapshot(self._records, self._found.tasks)

    def find(self, record: Kind) -> Kind:
        """What is there under its key, else itself."""
        found = self._records.get(key_of(record))
        return record if found is None else found  # type: ignore[return-value]

    def put(self, record: Kind) -> Kind:
        """In place of what bears its key. An id of 0 is one that is not given yet."""
        self._mentioned.add(key_of(record))
        return self._set(record)

    def _set(self, record: Kind) -> Kind:
        key = key_of(record)
        old = self._records.get(key)
        id = old.id if old is not None else record.id or next(self._new_ids)
        new = replace(record, id=id)
        self._records[key] = new
        self._touched[key] = None
        return new

    def drop(self, record: Managed) -> None:
        self._records.pop(key_of(record), None)
        self._touched[key_of(record)] = None

    def remove_member(self, collaboration: Collaboration, organization_id: int) -> None:
        """With its node, which would go on, and from studies."""
        self._set(without_member(collaboration, organization_id))
        for node in self.after.all(Node):
            if (node.collaboration_id, node.organization_id) == (collaboration.id, organization_id):
                self.drop(node)
        for study in self.after.all(Study):
            if study.collaboration_id == collaboration.id:
                self._set(without_member(study, organization_id))

    def not_mentioned(self, kind: type[Managed]) -> list[Managed]:
        """Those that nothing was said of."""
        records = self._records.items()
        return [
            record
            for key, record in records
            if isinstance(record, kind) and key not in self._mentioned
        ]

    def changes(self) -> list[Change]:
        """Users and nodes go first, and what others name last. Raises InvalidRequest.

        So a name that becomes free can be given again, and a crash leaves nothing half there.
        """
        self._refuse_names_twice()
        made = [self._change(key) for key in self._touched]
        kept = [change for change in made if change.old is not None or change.new is not None]
        return sorted(kept, key=lambda change: _ORDER[change.action is Action.DELETE, change.kind])

    def _change(self, key: str) -> Change:
        old, new = self._found.records.get(key), self._records.get(key)
        known = self._found if new is None else self.after
        record = new or old
        return Change(old, new, known.title(record) if record else "")

    def _refuse_names_twice(self) -> None:
        bearers: dict[str, Managed] = {}
        for record in self._records.values():
            for name in marks_of(record).names:
                other = bearers.setdefault(name, record)
                if other is not record:
                    title = self.after.title
                    raise InvalidRequest(
                        f"{name.replace(':', ' ', 1)!r} would be of two: "
                        f"{other.KIND} {title(other)!r} and {record.KIND} {title(record)!r}"
                    )


#: What is done when: whether it goes, and its kind.
_STEPS: tuple[tuple[bool, type[Managed]], ...] = (
    *((True, kind) for kind in (User, Node, Study)),
    *((False, kind) for kind in KINDS),
    *((True, kind) for kind in (Collaboration, Role, Organization)),
)
_ORDER = {(gone, kind.KIND): place for place, (gone, kind) in enumerate(_STEPS)}
