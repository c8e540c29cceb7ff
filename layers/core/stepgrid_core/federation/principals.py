"""Who asks: a user, a node, or a container that a node runs for a task. Pure."""

from dataclasses import dataclass

from .records import Node, User


@dataclass(frozen=True, slots=True)
class UserPrincipal:
    """A user, with all rules of its roles and its own."""

    user: User
    rules: frozenset[int]
    owner: str  #: of the sessions that its tasks are
    kind: str = "user"

    @property
    def organization_id(self) -> int:
        return self.user.organization_id


@dataclass(frozen=True, slots=True)
class NodePrincipal:
    node: Node
    kind: str = "node"

    @property
    def organization_id(self) -> int:
        return self.node.organization_id

    @property
    def collaboration_id(self) -> int:
        return self.node.collaboration_id


@dataclass(frozen=True, slots=True)
class ContainerPrincipal:
    """An algorithm at work on one task: it may see that task's tree, and ask for subtasks of it."""

    node: Node
    task_id: int
    image: str
    kind: str = "container"

    @property
    def organization_id(self) -> int:
        return self.node.organization_id

    @property
    def collaboration_id(self) -> int:
        return self.node.collaboration_id


Principal = UserPrincipal | NodePrincipal | ContainerPrincipal
