"""All entities of a federation but its tasks, as they were read at one time. Pure but for `read`.

Roles that need no rows are among them.
Each is known by its key: the first of the names that it is found by (registry.marks_of).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from ..errors import NotFound
from .records import Collaboration, Node, Organization, Role, Study, User
from .registry import Registry, marks_of
from .rules import DEFAULT_ROLES
from .task_lists import tasks_of_collaboration, tasks_of_organization

#: What an operator makes, changes and removes.
Managed = Organization | Collaboration | Study | Role | User | Node
Kind = TypeVar("Kind", Organization, Collaboration, Study, Role, User, Node)
KINDS: tuple[type[Managed], ...] = (Organization, Role, Collaboration, Study, Node, User)
#: Names that a message tells of those that there are.
_TOLD = 12


@dataclass(frozen=True, slots=True)
class Snapshot:
    records: Mapping[str, Managed]  #: by their keys
    tasks: Mapping[str, int]  #: how many were asked of a collaboration, or by an organization

    @classmethod
    def read(cls, registry: Registry) -> "Snapshot":
        found: dict[str, Managed] = {key_of(role): role for role in DEFAULT_ROLES.values()}
        for kind in KINDS:
            found |= {key_of(record): record for record in registry.find_all(kind)}
        tasks = {
            key: registry.table.count(tasks_list(record))
            for key, record in found.items()
            if isinstance(record, Collaboration | Organization)
        }
        return cls(found, tasks)

    def all(self, kind: type[Kind]) -> list[Kind]:
        """By their names."""
        found = [record for record in self.records.values() if isinstance(record, kind)]
        return sorted(found, key=lambda record: (name_of(record), record.id))

    def name(self, kind: type[Managed], id: int) -> str:
        """Of what is gone, its number."""
        found = (record for record in self.records.values() if isinstance(record, kind))
        return next((name_of(record) for record in found if record.id == id), f"#{id}")

    def named(self, kind: type[Kind], name: str) -> Kind:
        """Of organizations, collaborations and users. Raises NotFound, which says who is there."""
        found = self.records.get(f"{kind.KIND}:{name}")
        if isinstance(found, kind):
            return found
        raise NotFound(no_such(kind.KIND, name, map(name_of, self.all(kind))))

    def roles_for(self, organization_id: int) -> dict[str, Role]:
        """Those that its users can have, by name: its own go before everybody's."""
        everybodys = {each.name: each for each in self.all(Role) if each.organization_id is None}
        own = {
            each.name: each for each in self.all(Role) if each.organization_id == organization_id
        }
        return everybodys | own

    def title(self, record: Managed) -> str:
        """A name that tells it apart from all others of its kind."""
        if isinstance(record, Study):
            return f"{self.name(Collaboration, record.collaboration_id)}/{record.name}"
        if isinstance(record, Role) and record.organization_id is not None:
            return f"{self.name(Organization, record.organization_id)}/{record.name}"
        return name_of(record)


def tasks_list(record: Collaboration | Organization) -> str:
    """The list in which its tasks stand."""
    if isinstance(record, Collaboration):
        return tasks_of_collaboration(record.id)
    return tasks_of_organization(record.id)


def key_of(record: Managed) -> str:
    return marks_of(record).names[0]


def name_of(record: Managed) -> str:
    return record.username if isinstance(record, User) else record.name


def no_such(kind: str, name: str, there: Iterable[str]) -> str:
    """What to say of a name that nothing bears."""
    known = list(there)
    told = ", ".join(_some(known)) if known else "none"
    return f"there is no {kind} {name!r}; there is {told}"


def _some(names: list[str]) -> Iterator[str]:
    yield from map(repr, names[:_TOLD])
    if len(names) > _TOLD:
        yield f"and {len(names) - _TOLD} more"
