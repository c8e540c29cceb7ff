"""Roles as they are found: those that are always there, and those that an organization made."""

from collections.abc import Iterable

from .records import Role, User
from .registry import Registry
from .rules import DEFAULT_ROLES


def find_role(registry: Registry, id: int) -> Role | None:
    return DEFAULT_ROLES.get(id) or registry.find(Role, id)


def find_roles(registry: Registry, ids: Iterable[int]) -> list[Role]:
    """Those that are there: a role that was deleted gives nobody anything."""
    wanted = tuple(dict.fromkeys(ids))
    custom = [id for id in wanted if id not in DEFAULT_ROLES]
    default = [DEFAULT_ROLES[id] for id in wanted if id in DEFAULT_ROLES]
    return default + (registry.find_many(Role, custom) if custom else [])


def find_all_roles(registry: Registry) -> list[Role]:
    return [*DEFAULT_ROLES.values(), *registry.find_all(Role)]


def rules_of(registry: Registry, user: User) -> frozenset[int]:
    """All that a user may do now, by its roles and beside them."""
    roles = find_roles(registry, user.role_ids)
    return frozenset(user.rule_ids).union(*(role.rule_ids for role in roles))
