"""How far everybody reaches in a federation: what the permission matrix is tested against.

Written by hand from vantage6's default roles: nothing of stepgrid_core.federation is used here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .federation_world import ROLES, USERS

#: How far something is from whoever asks, the nearest first. A reach takes in all before it.
OWN, ORGANIZATION, COLLABORATION, ANY = RELATIONS = ("own", "org", "col", "any")
PRINCIPALS = (*ROLES, "node", "container", None)

COLUMNS = (*ROLES, "node", "container")
#: How far each reaches; "-": not at all. A container's own are the tasks of its job, and nobody
#: asks for tasks in the name of another organization. "run e": say how a run goes; "node s": sync.
_REACH = """
                 root viewer researcher orgadmin coladmin norole node container
organization v   any  col    col        col      any      -      col  col
organization e   any  -      -          org      col      -      org  -
organization c   any  -      -          -        -        -      -    -
organization d   any  -      -          -        -        -      -    -
collaboration v  any  col    col        col      col      -      col  col
collaboration e  any  -      -          -        col      -      -    -
collaboration c  any  -      -          -        -        -      -    -
collaboration d  any  -      -          -        -        -      -    -
study v          any  org    org        org      col      -      org  org
study e          any  -      -          -        col      -      -    -
study c          any  -      -          -        col      -      -    -
study d          any  -      -          -        col      -      -    -
node v           any  col    col        col      col      -      org  org
node e           any  -      -          org      org      -      own  -
node c           any  -      -          org      col      -      -    -
node d           any  -      -          -        col      -      -    -
user v           any  org    org        org      col      own    -    -
user e           any  own    own        org      col      -      -    -
user c           any  -      -          org      col      -      -    -
user d           any  own    own        org      org      -      -    -
role v           any  org    org        org      col      -      -    -
role e           any  -      -          org      org      -      -    -
role c           any  -      -          org      org      -      -    -
role d           any  -      -          org      org      -      -    -
rule v           any  any    any        any      any      any    -    -
task v           any  col    col        col      col      -      col  own
task c           col  -      col        -        col      -      -    col
task d           any  -      org        -        org      -      -    -
run v            any  col    col        col      col      -      col  own
run e            -    -      -          -        -        -      org  -
event s          any  -      -          org      col      -      -    -
node s           -    -      -          -        -        -      own  -
"""


def _read_reach() -> Iterator[tuple[str, dict[str | None, str | None]]]:
    for line in _REACH.strip().splitlines()[1:]:
        resource, operation, *reaches = line.split()
        told = (None if reach == "-" else reach for reach in reaches)
        yield f"{resource} {operation}", {**dict(zip(COLUMNS, told, strict=True)), None: None}


REACH: Mapping[str, Mapping[str | None, str | None]] = dict(_read_reach())


def reaches(right: str, principal: str | None, relation: str) -> bool:
    reach = REACH[right][principal]
    return reach is not None and RELATIONS.index(relation) <= RELATIONS.index(reach)


def is_machine(principal: str | None) -> bool:
    return principal in ("node", "container")


@dataclass(frozen=True)
class Target:
    """One thing that a route is asked for, and how far it is from whoever asks."""

    relation: str
    path: str  #: with what is asked for in it, and "{self}" for the asking user's id
    body: Any = None
    #: from a node and its containers, which are in one collaboration only
    from_node: str = ""
    from_container: str = ""  #: where that differs from the node's

    def relation_to(self, principal: str | None) -> str:
        if principal == "container" and self.from_container:
            return self.from_container
        return (self.from_node or self.relation) if is_machine(principal) else self.relation


@dataclass(frozen=True)
class Case:
    """A route that acts on one thing."""

    method: str
    route: str  #: as `routing` has it
    right: str
    targets: tuple[Target, ...]
    users_only: bool = False
    no_containers: bool = False
    success: int = 200
    #: what must be seen for a refusal to say that it is there; empty: the right to view it
    seen_by: str = ""
    #: who has no right of the kind is not told so, but answered as if nothing were there
    hidden: bool = False
    with_tasks: bool = False  #: asked in the world that has tasks

    def expect(self, principal: str | None, target: Target) -> int:
        if principal is None or not self.lets_in(principal):
            return 401
        relation = target.relation_to(principal)
        if reaches(self.right, principal, relation):
            return self.success
        if REACH[self.right][principal] is None and not self.hidden:
            return 401
        return 401 if reaches(self.view, principal, relation) else 404

    def lets_in(self, principal: str) -> bool:
        refused = principal == "container" and self.no_containers
        return not (refused or (is_machine(principal) and self.users_only))

    @property
    def view(self) -> str:
        return self.seen_by or f"{self.right.split()[0]} v"


@dataclass(frozen=True)
class ListCase:
    """A route that lists things: each by its id, with its relation to users and to node 1."""

    method: str
    route: str
    right: str
    things: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    users_only: bool = False
    no_containers: bool = False
    #: with no right of the kind the list is empty or has what is one's own
    hidden: bool = False
    #: the same from containers, where that differs from node 1's
    from_container: Mapping[int, str] = field(default_factory=dict)
    with_tasks: bool = False  #: asked in the world that has tasks
    newest_first: bool = False

    def expect(self, principal: str | None) -> list[int] | None:
        """None: refused."""
        if principal is None or (principal == "container" and self.no_containers):
            return None
        if is_machine(principal) and self.users_only:
            return None
        if REACH[self.right][principal] is None and not self.hidden:
            return None
        shown = [id for id in self.things if self._shows(principal, id)]
        return sorted(shown, reverse=self.newest_first)

    def _shows(self, principal: str, id: int) -> bool:
        relation = self.things[id][1 if is_machine(principal) else 0]
        if principal == "container":
            relation = self.from_container.get(id, relation)
        own = self.right == "user v" and id == USERS.get(principal)
        return reaches(self.right, principal, OWN if own else relation)


@dataclass(frozen=True)
class OpenCase:
    """A route whose answer has nothing to do with rules: the same for all, or by who it is."""

    method: str
    route: str
    statuses: Mapping[str | None, int]
