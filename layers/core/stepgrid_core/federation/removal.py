"""What may be removed of a federation, and what still needs it. Pure."""

from collections.abc import Iterator

from .draft import Draft
from .records import Collaboration, Node, Organization, Role, Study, User
from .rules import DEFAULT_ROLES
from .snapshot import Managed, Snapshot, key_of

#: What is looked at first can't be in the way of what follows.
_KINDS: tuple[type[Managed], ...] = (User, Node, Study, Collaboration, Role, Organization)


def drop_unmentioned(draft: Draft) -> None:
    """Drop what was not mentioned and nothing that stays needs."""
    for kind in _KINDS:
        for record in draft.not_mentioned(kind):
            if not needed_by(draft.after, record):
                draft.drop(record)


def needed_by(snapshot: Snapshot, record: Managed) -> list[str]:
    """What keeps it from being removed, in words. Tasks are never removed with it."""
    if isinstance(record, Collaboration):
        return _tasks(snapshot, record)
    if isinstance(record, Role):
        return _bearers(snapshot, record)
    if isinstance(record, Organization):
        return [*_parts_of(snapshot, record.id), *_tasks(snapshot, record)]
    return []


def _tasks(snapshot: Snapshot, record: Managed) -> list[str]:
    number = snapshot.tasks.get(key_of(record), 0)
    return [f"{number} task{'s' if number > 1 else ''}"] if number else []


def _bearers(snapshot: Snapshot, role: Role) -> list[str]:
    if role.id in DEFAULT_ROLES:
        return ["every federation"]
    return [f"user {each.username!r}" for each in snapshot.all(User) if role.id in each.role_ids]


def _parts_of(snapshot: Snapshot, organization_id: int) -> Iterator[str]:
    for user in snapshot.all(User):
        if user.organization_id == organization_id:
            yield f"user {user.username!r}"
    for collaboration in snapshot.all(Collaboration):
        if organization_id in collaboration.organization_ids:
            yield f"collaboration {collaboration.name!r}"
    for role in snapshot.all(Role):
        if role.organization_id == organization_id:
            yield f"role {role.name!r}"
