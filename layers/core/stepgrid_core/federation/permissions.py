"""What somebody may do with what. Pure: it is told who asks, and of which collaborations.

`Reach` is made anew for every request, of what the table says then: who is removed from an
organization, or whose organization is removed from a collaboration, has lost it at the next one.

What somebody may not see is answered like what is not there (`missing`), and "You lack the
permission to do that!" is for what the caller may know of, or said whatever the id.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeVar

from .http import Refused
from .principals import NodePrincipal, Principal, UserPrincipal
from .records import Collaboration, FederatedTask, Node, Role, Study, User
from .rules import (
    CONTAINER_RULES,
    NODE_RULES,
    Operation,
    Scope,
    find_uncovered,
    widest_scope,
)

Found = TypeVar("Found")

LACKING = "You lack the permission to do that!"
_WITHIN = (Scope.ORGANIZATION, Scope.COLLABORATION)


def rules_of_principal(principal: Principal) -> frozenset[int]:
    if isinstance(principal, UserPrincipal):
        return principal.rules
    return NODE_RULES if isinstance(principal, NodePrincipal) else CONTAINER_RULES


def scope_of(principal: Principal, resource: str, operation: str) -> Scope | None:
    """The widest one in which the principal may do it."""
    return widest_scope(rules_of_principal(principal), resource, operation)


def lacking(message: str = LACKING) -> Refused:
    return Refused(HTTPStatus.UNAUTHORIZED, message)


def missing(message: str) -> Refused:
    return Refused(HTTPStatus.NOT_FOUND, message)


def granted(
    found: Found | None, may: Callable[[str, Found], bool], operation: str, unknown: str
) -> Found:
    """What was found, if the caller may do this with it.

    Raises Refused: with the words `unknown` also where it is there, but not to be seen.
    """
    if found is not None and may(operation, found):
        return found
    if found is None or not may(Operation.VIEW, found):
        raise missing(unknown)
    raise lacking()


@dataclass(frozen=True, slots=True)
class Reach:
    """Who asks, and how far that is let."""

    principal: Principal
    #: of a user's organization; of a node and its containers, the one that it works for
    collaborations: tuple[Collaboration, ...]
    rules: frozenset[int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", rules_of_principal(self.principal))

    @property
    def organization_id(self) -> int:
        return self.principal.organization_id

    @property
    def user_id(self) -> int | None:
        return self.principal.user.id if isinstance(self.principal, UserPrincipal) else None

    @property
    def collaboration_ids(self) -> frozenset[int]:
        return frozenset(each.id for each in self.collaborations)

    @property
    def organization_ids(self) -> frozenset[int]:
        """Its own, and all that it works with."""
        peers = [id for each in self.collaborations for id in each.organization_ids]
        return frozenset([self.organization_id, *peers])

    def scope(self, resource: str, operation: str) -> Scope | None:
        return widest_scope(self.rules, resource, operation)

    def require(self, resource: str, operation: str) -> Scope:
        """Raises Refused where no rule allows it for anything."""
        scope = self.scope(resource, operation)
        if scope is None:
            raise lacking()
        return scope

    # Of each kind of thing: may the principal do this with it?

    def may_organization(self, operation: str, organization_id: int) -> bool:
        return self._of_organization("organization", operation, organization_id)

    def may_collaboration(self, operation: str, collaboration_id: int) -> bool:
        scope = self.scope("collaboration", operation)
        inside = scope in _WITHIN and collaboration_id in self.collaboration_ids
        return scope is Scope.GLOBAL or inside

    def may_study(self, operation: str, study: Study) -> bool:
        scope = self.scope("study", operation)
        if scope is Scope.ORGANIZATION and self.organization_id not in study.organization_ids:
            return False
        inside = scope in _WITHIN and study.collaboration_id in self.collaboration_ids
        return scope is Scope.GLOBAL or inside

    def may_create_study(self, collaboration_id: int) -> bool:
        scope = self.scope("study", Operation.CREATE)
        inside = scope is Scope.COLLABORATION and collaboration_id in self.collaboration_ids
        return scope is Scope.GLOBAL or inside

    def may_node(self, operation: str, node: Node) -> bool:
        """A node changes nothing but itself."""
        principal = self.principal
        if operation != Operation.VIEW and isinstance(principal, NodePrincipal):
            return node.id == principal.node.id and self.scope("node", operation) is not None
        return self.may_node_at(operation, node.organization_id, node.collaboration_id)

    def may_node_at(self, operation: str, organization_id: int, collaboration_id: int) -> bool:
        """Where a node is, or would be."""
        scope = self.scope("node", operation)
        own = scope in _WITHIN and organization_id == self.organization_id
        near = scope is Scope.COLLABORATION and collaboration_id in self.collaboration_ids
        return scope is Scope.GLOBAL or own or near

    def may_user(self, operation: str, user: User) -> bool:
        own = user.id == self.user_id
        if own and (operation == Operation.VIEW or self.scope("user", operation) is not None):
            return True
        return self.may_user_of(operation, user.organization_id)

    def may_user_of(self, operation: str, organization_id: int) -> bool:
        return self._of_organization("user", operation, organization_id)

    def may_role(self, operation: str, role: Role) -> bool:
        """The default roles are everybody's who may see roles at all, and nobody's to change."""
        if operation == Operation.VIEW and self._bears(role):
            return True
        if role.organization_id is None:
            return operation == Operation.VIEW and self.scope("role", operation) is not None
        return self.may_role_of(operation, role.organization_id)

    def may_role_of(self, operation: str, organization_id: int) -> bool:
        return self._of_organization("role", operation, organization_id)

    def may_task(self, operation: str, task: FederatedTask, resource: str = "task") -> bool:
        """Also of runs, with the resource "run": they are seen by whom their task's maker allows.

        Whose organization has left the collaboration sees nothing of it any more, its own included.
        """
        scope = self.scope(resource, operation)
        if scope is None or scope is Scope.GLOBAL:
            return scope is Scope.GLOBAL
        if task.collaboration_id not in self.collaboration_ids:
            return False
        own = scope is Scope.ORGANIZATION and task.init_org_id == self.organization_id
        made = self.user_id is not None and task.init_user_id == self.user_id
        return scope is Scope.COLLABORATION or own or made

    def may_create_task(self, collaboration_id: int) -> bool:
        """Of users; what a container may ask for is said by its task."""
        scope = self.scope("task", Operation.CREATE)
        inside = scope is Scope.COLLABORATION and collaboration_id in self.collaboration_ids
        return scope is Scope.GLOBAL or inside

    def refuse_more_than_held(self, given: Iterable[int]) -> None:
        """Raises Refused where somebody would give, or take, rules beyond those it has."""
        rule = find_uncovered(self.rules, given)
        if rule is not None:
            words = f"{rule.resource}, {rule.scope.name.lower()}, {rule.operation.name.lower()}"
            raise lacking(f"You don't have the rule ({words})")

    def _of_organization(self, resource: str, operation: str, organization_id: int) -> bool:
        scope = self.scope(resource, operation)
        own = scope in _WITHIN and organization_id == self.organization_id
        near = scope is Scope.COLLABORATION and organization_id in self.organization_ids
        return scope is Scope.GLOBAL or own or near

    def _bears(self, role: Role) -> bool:
        return isinstance(self.principal, UserPrincipal) and role.id in self.principal.user.role_ids
