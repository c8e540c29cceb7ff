"""The catalogue of rules, and the roles that are there from the start. Pure; nothing of it is kept.

A rule allows one operation on one kind of thing within a scope. Its id stands in custom roles and
users: a rule that is there stays where it is in the catalogue, a new one is added at the end.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from .records import Role


class Scope(StrEnum):
    """How far a rule reaches, the narrowest first."""

    OWN = "own"
    ORGANIZATION = "org"
    COLLABORATION = "col"
    GLOBAL = "glo"


class Operation(StrEnum):
    VIEW = "v"
    EDIT = "e"
    CREATE = "c"
    DELETE = "d"
    SEND = "s"
    RECEIVE = "r"


_WIDTH = {scope: width for width, scope in enumerate(Scope)}


@dataclass(frozen=True, slots=True)
class Rule:
    id: int
    resource: str  #: vantage6 calls it the rule's name
    operation: Operation
    scope: Scope

    @property
    def description(self) -> str:
        return f"{self.operation.name.lower()} {_WHOSE[self.scope]} {self.resource}"

    def covers(self, other: "Rule") -> bool:
        """Does it allow all that the other one allows?"""
        same = (self.resource, self.operation) == (other.resource, other.operation)
        return same and _WIDTH[self.scope] >= _WIDTH[other.scope]


_WHOSE = {
    Scope.OWN: "one's own",
    Scope.ORGANIZATION: "one's organization's",
    Scope.COLLABORATION: "one's collaborations'",
    Scope.GLOBAL: "any",
}

#: Resource, operation, and the scopes in which it can be allowed.
_CATALOGUE = """
node          v glo col org
node          e glo col org
node          c glo col org
node          d glo col org
collaboration v glo org
collaboration e glo col
collaboration c glo
collaboration d glo col
organization  v glo org col
organization  e glo org col
organization  c glo
organization  d glo
task          v glo col org own
task          c glo col
task          d glo col org own
run           v glo col org own
user          v glo col org
user          c glo col org
user          e glo col org own
user          d glo col org own
role          v glo col org
role          c glo col org
role          e glo col org
role          d glo col org
port          v glo org
event         r org col glo
event         s org col glo
study         v glo org col
study         e glo col org
study         c glo col
study         d glo col org
"""


def _read_catalogue() -> Iterable[Rule]:
    lines = [line.split() for line in _CATALOGUE.strip().splitlines()]
    named = [(name, code, scope) for name, code, *scopes in lines for scope in scopes]
    for id, (name, code, scope) in enumerate(named, 1):
        yield Rule(id, name, Operation(code), Scope(scope))


RULES: dict[int, Rule] = {rule.id: rule for rule in _read_catalogue()}
_IDS = {(rule.resource, rule.operation, rule.scope): rule.id for rule in RULES.values()}


def rule_id(resource: str, operation: str, scope: str) -> int:
    """Raises KeyError where there is no such rule."""
    return _IDS[resource, Operation(operation), Scope(scope)]


def _ids(*lines: str) -> tuple[int, ...]:
    """Of lines such as "user e own"."""
    ids = [rule_id(*line.split()) for line in lines]
    return tuple(dict.fromkeys(ids))


#: What every node may do, and every container; nobody can change that.
NODE_RULES = frozenset(
    _ids(
        "node v org",
        "node e org",
        "collaboration v org",
        "organization v org",
        "organization v col",
        "organization e org",
        "task v col",
        "run v col",
        "port v org",
        "study v org",
    )
)
CONTAINER_RULES = NODE_RULES - set(_ids("node e org", "organization e org"))

_VIEWER = _ids(
    "user e own",
    "user d own",
    "user v org",
    "organization v org",
    "organization v col",
    "collaboration v org",
    "role v org",
    "node v org",
    "node v col",
    "task v col",
    "run v col",
    "port v org",
    "event r org",
    "event r col",
    "study v org",
)
_RESEARCHER = _VIEWER + _ids("task c col", "task d org")
_ORGANIZATION_ADMIN = _VIEWER + _ids(
    "user c org",
    "user e org",
    "user d org",
    "organization e org",
    "role c org",
    "role e org",
    "role d org",
    "node c org",
    "node e org",
    "event s org",
)
_COLLABORATION_ADMIN = tuple(dict.fromkeys(_ORGANIZATION_ADMIN + _RESEARCHER)) + _ids(
    "user v col",
    "user c col",
    "user e col",
    "organization v glo",  # to find whom to take into the collaboration
    "organization e col",
    "collaboration e col",
    "role v col",
    "node c col",
    "node d col",
    "event s col",
    "study v col",
    "study c col",
    "study e col",
    "study d col",
)

#: They need no rows. Custom roles have ids from FIRST_CUSTOM_ROLE on.
DEFAULT_ROLES: dict[int, Role] = {
    role.id: role
    for role in (
        Role(1, "Root", "May do everything", tuple(RULES)),
        Role(2, "Viewer", "May see what concerns its organization", _VIEWER),
        Role(3, "Researcher", "May also have tasks carried out", _RESEARCHER),
        Role(
            4,
            "Organization Admin",
            "May manage its organization's users, roles and nodes",
            _ORGANIZATION_ADMIN,
        ),
        Role(
            5,
            "Collaboration Admin",
            "May also manage the collaborations that its organization takes part in",
            _COLLABORATION_ADMIN,
        ),
    )
}
FIRST_CUSTOM_ROLE = 100
#: Names that no custom role may have.
RESERVED_NAMES = frozenset(role.name for role in DEFAULT_ROLES.values()) | {"container", "node"}


def widest_scope(rules: Iterable[int], resource: str, operation: str) -> Scope | None:
    """Of what these rules allow; None: nothing. Ids that stand for no rule allow nothing."""
    scopes = [
        rule.scope
        for id in rules
        if (rule := RULES.get(id)) and (rule.resource, rule.operation) == (resource, operation)
    ]
    return max(scopes, key=_WIDTH.__getitem__, default=None)


def find_uncovered(held: Iterable[int], given: Iterable[int]) -> Rule | None:
    """The first rule that somebody with `held` can't give, because it would be more than that."""
    own = [RULES[id] for id in held if id in RULES]
    for id in given:
        if id in RULES and not any(rule.covers(RULES[id]) for rule in own):
            return RULES[id]
    return None
