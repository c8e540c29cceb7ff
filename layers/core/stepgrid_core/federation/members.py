"""Members of a collaboration or of a study: one change for both. Pure.

Knows no table, and nothing of what an organization has beside its place among the others.
"""

from dataclasses import replace
from typing import TypeVar

from .records import Collaboration, Study

Group = TypeVar("Group", Collaboration, Study)


def with_member(group: Group, organization_id: int) -> Group:
    """The last of all, wherever it stood before."""
    ids = (*_others(group, organization_id), organization_id)
    return replace(group, organization_ids=ids)


def without_member(group: Group, organization_id: int) -> Group:
    return replace(group, organization_ids=_others(group, organization_id))


def _others(group: Collaboration | Study, organization_id: int) -> tuple[int, ...]:
    return tuple(id for id in group.organization_ids if id != organization_id)
