"""The entities of a federation as typed records, over the table that keeps them as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..ports import Entity, FederationTable, Marks
from ..ports.federation import NO_MARKS
from .records import Collaboration, Node, Organization, Record, Role, Study, User

Kept = TypeVar("Kept", bound=Record)


@dataclass(frozen=True, slots=True)
class Registry:
    """Whatever is few: all of a kind can be read at once."""

    table: FederationTable

    def find(self, kind: type[Kept], id: int) -> Kept | None:
        return _read(kind, self.table.read(kind.KIND, id))

    def find_many(self, kind: type[Kept], ids: Sequence[int]) -> list[Kept]:
        found = self.table.read_many(kind.KIND, ids)
        return [kind.read(entity.id, entity.values) for entity in found]

    def find_all(self, kind: type[Kept]) -> list[Kept]:
        return [kind.read(entity.id, entity.values) for entity in self.table.read_all(kind.KIND)]

    def find_named(self, kind: type[Kept], name: str) -> Kept | None:
        """By a unique name, without the kind in front of it."""
        id = self.table.find(f"{kind.KIND}:{name}")
        return None if id is None else self.find(kind, id)

    def create(self, record: Record, marks: Marks = NO_MARKS) -> bool:
        """False if its id or one of the names is taken."""
        values = record.as_values()
        return self.table.create(record.KIND, _id(record), values, marks) is not None

    def change(self, new: Record, added: Marks = NO_MARKS, removed: Marks = NO_MARKS) -> bool:
        """Replace whatever is there of this id. False if it is gone, or a name is taken.

        Who must not undo what others changed meanwhile reads the entity itself, and replaces that.
        """
        while (old := self.table.read(new.KIND, _id(new))) is not None:
            if self.table.replace(old, new.as_values(), added, removed) is not None:
                return True
            if any(self.table.find(name) not in (None, _id(new)) for name in added.names):
                return False
        return False

    def delete(self, record: Record, marks: Marks = NO_MARKS) -> bool:
        """With what it was found by. False if it was gone already."""
        while (old := self.table.read(record.KIND, _id(record))) is not None:
            if self.table.delete(old, marks):
                return True
        return False

    def node_of(self, organization_id: int, collaboration_id: int) -> Node | None:
        id = self.table.find(node_place(organization_id, collaboration_id))
        return None if id is None else self.find(Node, id)

    def user_of(self, subject: str) -> User | None:
        """Known by what a login or a signature proves."""
        id = self.table.find(f"subject:{subject}")
        return None if id is None else self.find(User, id)

    def collaborations_of(self, organization_id: int) -> list[Collaboration]:
        return [
            each
            for each in self.find_all(Collaboration)
            if organization_id in each.organization_ids
        ]


def node_place(organization_id: int, collaboration_id: int) -> str:
    """Unique: an organization has one node in a collaboration."""
    return f"place:{collaboration_id}:{organization_id}"


def marks_of(record: Organization | Collaboration | Study | Role | User | Node) -> Marks:
    """What it is found by, all of it unique."""
    if isinstance(record, User):
        return Marks(names=(f"user:{record.username}", f"subject:{record.subject}"))
    if isinstance(record, Node):
        place = node_place(record.organization_id, record.collaboration_id)
        key = (f"key:{record.key_hash}",) if record.key_hash else ()  # in the cloud it has none
        return Marks(names=(place, f"node:{record.name}", *key))
    if isinstance(record, Study):
        return Marks(names=(f"study:{record.collaboration_id}:{record.name}",))
    if isinstance(record, Role):
        return Marks(names=(f"role:{record.organization_id or 0}:{record.name}",))
    return Marks(names=(f"{record.KIND}:{record.name}",))


def _read(kind: type[Kept], entity: Entity | None) -> Kept | None:
    return None if entity is None else kind.read(entity.id, entity.values)


def _id(record: Record) -> int:
    return int(record.id)  # type: ignore[attr-defined]
