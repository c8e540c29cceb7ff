"""From what is there and what shall be to the changes between them. Pure.

    document --> draft: organizations, roles, collaborations, users --> changes

Only `prune` removes what the document does not mention; a member that it no longer lists loses its
node, which would go on otherwise. Tasks are never touched: a collaboration that has some stays.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..errors import InvalidRequest, NotFound
from .document import CollaborationEntry, FederationDocument, NodeEntry, RoleEntry, UserEntry
from .draft import Change, Draft
from .records import Collaboration, Node, Organization, Role, Study, User
from .removal import drop_unmentioned
from .rules import RESERVED_NAMES, RULES, Rule
from .snapshot import Snapshot, no_such

#: What an entry may say of a record by the record's own names.
_ORGANIZATION_FIELDS = ("domain", "address1", "address2", "zipcode", "country", "public_key")
_USER_FIELDS = ("firstname", "lastname", "email")


@dataclass(frozen=True, slots=True)
class Plan:
    changes: list[Change]
    left: list[Change]  #: what pruning would remove as well; nothing if it was asked for


def plan_changes(
    snapshot: Snapshot,
    document: FederationDocument,
    subjects: Mapping[str, str],
    prune: bool = False,
) -> Plan:
    """subjects: of users of the document that log in, by username.

    Raises InvalidRequest for a name that is nowhere, or would be that of two.
    """
    planning = _Planning(Draft(snapshot), subjects)
    planning.put_all(document)
    if prune:
        drop_unmentioned(planning.draft)
        return Plan(planning.draft.changes(), [])
    changes = planning.draft.changes()
    going = [change.old for change in changes if change.new is None]
    drop_unmentioned(planning.draft)
    gone = [change for change in planning.draft.changes() if change.new is None]
    return Plan(changes, [change for change in gone if change.old not in going])


@dataclass(frozen=True, slots=True)
class _Planning:
    draft: Draft
    subjects: Mapping[str, str]

    def put_all(self, document: FederationDocument) -> None:
        for organization in document.organizations:
            base = self.draft.find(Organization(0, organization.name))
            self.draft.put(replace(base, **organization.given(*_ORGANIZATION_FIELDS)))
        for entry in document.roles:
            self._put_role(entry)
        for collaboration in document.collaborations:
            self._put_collaboration(collaboration)
        for user in document.users:
            self._put_user(user)

    def _put_role(self, entry: RoleEntry) -> None:
        where = f"roles: {entry.name}"
        if entry.name in RESERVED_NAMES:
            raise InvalidRequest(f"{where}: every federation has one of that name; choose another")
        home = None
        if entry.organization is not None:
            home = self._organization(entry.organization, where).id
        base = self.draft.find(Role(0, entry.name, organization_id=home))
        numbers = _rule_ids(entry.rules, where)
        self.draft.put(replace(base, rule_ids=numbers, **entry.given("description")))

    def _put_collaboration(self, entry: CollaborationEntry) -> None:
        where = f"collaborations: {entry.name}"
        members = tuple(self._organization(name, where).id for name in entry.organizations)
        base = self.draft.find(Collaboration(0, entry.name))
        for gone in set(base.organization_ids) - set(members):
            self.draft.remove_member(self.draft.find(base), gone)
        new = replace(
            self.draft.find(base),
            organization_ids=_in_order(base.organization_ids, members),
            **entry.given("encrypted"),
        )
        collaboration = self.draft.put(new)
        for study in entry.studies:
            at = f"{where}: {study.name}"
            ids = tuple(self._member(collaboration, name, at) for name in study.organizations)
            found = self.draft.find(Study(0, study.name, collaboration.id))
            self.draft.put(replace(found, organization_ids=_in_order(found.organization_ids, ids)))
        for node in entry.node_entries():
            self._put_node(collaboration, node, where)

    def _put_node(self, collaboration: Collaboration, entry: NodeEntry, where: str) -> None:
        organization_id = self._member(collaboration, entry.organization, where)
        # the name that vantage6 gives as well
        name = f"{entry.organization} - {collaboration.name} Node"
        base = self.draft.find(Node(0, name, organization_id, collaboration.id))
        values = entry.given("name")
        if entry.cloud is not None:
            values |= {"cloud": entry.cloud.as_record(), "key_hash": ""}
        self.draft.put(replace(base, **values))

    def _put_user(self, entry: UserEntry) -> None:
        where = f"users: {entry.username}"
        home = self._organization(entry.organization, where)
        subject = entry.subject or self.subjects.get(entry.username)
        if subject is None:
            raise InvalidRequest(f"{where}: nobody knows who that is: neither login nor subject")
        base = self.draft.find(User(0, entry.username, subject, home.id))
        new = replace(base, subject=subject, organization_id=home.id, **entry.given(*_USER_FIELDS))
        if entry.roles is not None:
            new = replace(
                new, role_ids=_in_order(base.role_ids, self._roles(home, entry.roles, where))
            )
        elif base.organization_id != home.id:
            new = replace(new, role_ids=self._shared_roles(new))
        if entry.rules is not None:
            new = replace(new, rule_ids=_rule_ids(entry.rules, where))
        self.draft.put(new)

    def _organization(self, name: str, where: str) -> Organization:
        try:
            return self.draft.after.named(Organization, name)
        except NotFound as error:
            raise InvalidRequest(f"{where}: {error.message}") from error

    def _member(self, collaboration: Collaboration, name: str, where: str) -> int:
        id = self._organization(name, where).id
        if id not in collaboration.organization_ids:
            raise InvalidRequest(
                f"{where}: {name!r} is no member of collaboration {collaboration.name!r}; "
                "list it among its organizations"
            )
        return id

    def _roles(self, home: Organization, names: Sequence[str], where: str) -> tuple[int, ...]:
        there = self.draft.after.roles_for(home.id)
        unknown = next((name for name in names if name not in there), None)
        if unknown is not None:
            raise InvalidRequest(f"{where}: {no_such('role', unknown, there)}")
        return tuple(there[name].id for name in names)

    def _shared_roles(self, user: User) -> tuple[int, ...]:
        """Those that are not of the organization that it leaves."""
        shared = {role.id for role in self.draft.after.all(Role) if role.organization_id is None}
        return tuple(id for id in user.role_ids if id in shared)


def _rule_ids(names: Iterable[str], where: str) -> tuple[int, ...]:
    return tuple(sorted({_rule_id(name, where) for name in names}))


def _rule_id(name: str, where: str) -> int:
    found = next((rule.id for rule in RULES.values() if rule_name(rule) == name), None)
    if found is None:
        alike = [rule for rule in RULES.values() if rule.resource == name.partition(":")[0]]
        there = [rule_name(rule) for rule in alike or RULES.values()]
        raise InvalidRequest(f"{where}: {no_such('rule', name, there)}")
    return found


def rule_name(rule: Rule) -> str:
    """As documents have it: task:col:c."""
    return f"{rule.resource}:{rule.scope}:{rule.operation}"


def _in_order(old: Sequence[int], new: Iterable[int]) -> tuple[int, ...]:
    """The order of a document means nothing: those that were there stay where they are."""
    wanted = list(dict.fromkeys(new))
    kept = [id for id in old if id in wanted]
    return (*kept, *(id for id in wanted if id not in kept))
