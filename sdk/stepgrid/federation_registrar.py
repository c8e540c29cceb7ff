"""Changes the federation of a grid: what its operator does, with AWS credentials of the stack.

    document --> whose logins the users are (Cognito) --> plan --> apply, an entity at a time
    command  --> draft of what it changes             -----------> apply

It writes to the grid's table itself. The functions of the federation read it at every request, so
whoever was removed has no access from then on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from stepgrid.users import Users
from stepgrid_core.aws.federation_table import AwsFederationTable
from stepgrid_core.errors import Conflict, InvalidRequest, NotFound
from stepgrid_core.federation.api_keys import hash_key, make_key
from stepgrid_core.federation.application import GiveKey, apply
from stepgrid_core.federation.document import (
    OWNER_PREFIXES,
    FederationDocument,
    UserEntry,
)
from stepgrid_core.federation.draft import Action, Change, Draft
from stepgrid_core.federation.planning import Plan, plan_changes
from stepgrid_core.federation.records import Collaboration, Node, Organization, Study, User
from stepgrid_core.federation.registry import Registry
from stepgrid_core.federation.removal import needed_by
from stepgrid_core.federation.snapshot import Managed, Snapshot, no_such

#: A username, and the temporary password of the login that was made for it.
GivePassword = Callable[[str, str], None]
#: Stands in a plan for the subject of a login that is not made yet.
_NO_LOGIN = "(not made yet)"


@dataclass(frozen=True, slots=True)
class Logins:
    """The subjects of those who have a login, and who of a document has none."""

    subjects: dict[str, str]
    missing: list[UserEntry]


class FederationRegistrar:
    """`open_users`: the user pool; opened when a login is asked for."""

    def __init__(self, registry: Registry, open_users: Callable[[], Users]) -> None:
        self._registry = registry
        self._open_users = open_users

    def read(self) -> Snapshot:
        """All that there is but tasks."""
        return Snapshot.read(self._registry)

    def plan(
        self, document: FederationDocument, *, prune: bool = False, add_users: bool = False
    ) -> tuple[Plan, Logins]:
        """What applying would change. Nothing is written.

        add_users: who has no login is planned as if it had one. Raises InvalidRequest for a name
        that is nowhere, and NotFound for users without a login.
        """
        found = self.read()
        logins = self._find_logins(found, document.users)
        if logins.missing and not add_users:
            names = [entry.username for entry in logins.missing]
            raise NotFound(
                f"{', '.join(map(repr, names))}: no login; `stepgrid users add {names[0]}` makes "
                "one, as does --add-users; a subject says who needs none"
            )
        awaited = {entry.username: f"{_NO_LOGIN} {entry.username}" for entry in logins.missing}
        return plan_changes(found, document, logins.subjects | awaited, prune), logins

    def carry_out(
        self, plan: Plan, logins: Logins, *, give_key: GiveKey, give_password: GivePassword
    ) -> list[Change]:
        """Make the logins that are missing, then what was planned and nothing else.

        Keys and passwords are given away as soon as there are any. Raises Conflict if somebody
        else changed the same since it was planned; planning anew goes on from there.
        """
        made = self._add_logins(logins.missing, give_password)
        changes = [_with_subject(change, made) for change in plan.changes]
        return apply(self._registry, changes, give_key)

    def add(
        self,
        document: FederationDocument,
        kind: str,
        *,
        give_key: GiveKey | None = None,
        give_password: GivePassword | None = None,
    ) -> Managed:
        """Make the one thing of this kind that the document has, and what comes with it.

        give_password: a login is made where there is none. Raises Conflict if the thing is there.
        """
        plan, logins = self.plan(document, add_users=give_password is not None)
        (wanted,) = [change for change in plan.changes if change.kind == kind]
        if wanted.action is not Action.CREATE:
            raise Conflict(
                f"{kind} {wanted.title!r} is there already; "
                "`stepgrid federation apply` changes what is there"
            )
        done = self.carry_out(
            plan,
            logins,
            give_key=give_key or _no_key,
            give_password=give_password or _no_password,
        )
        (made,) = [change.record for change in done if change.kind == kind]
        return made

    def close(self) -> None:
        """Close idle connections."""
        if "_users" in self.__dict__:
            self._users.close()

    @cached_property
    def _users(self) -> Users:
        return self._open_users()

    def add_member(self, collaboration: str, organization: str) -> Collaboration:
        draft = Draft(self.read())
        home, new = _find_place(draft.after, collaboration, organization)
        if new.id in home.organization_ids:
            raise Conflict(f"{organization!r} is a member of {collaboration!r} already")
        draft.put(replace(home, organization_ids=(*home.organization_ids, new.id)))
        self._make(draft)
        return draft.find(home)

    def remove_member(self, collaboration: str, organization: str) -> list[Change]:
        """With its node, and from studies. Answers what was changed."""
        draft = Draft(self.read())
        home, gone = _find_place(draft.after, collaboration, organization)
        if gone.id not in home.organization_ids:
            members = (draft.after.name(Organization, id) for id in home.organization_ids)
            raise NotFound(no_such(f"member of {collaboration!r}", organization, members))
        draft.remove_member(home, gone.id)
        return self._make(draft)

    def remove_organization(self, name: str) -> None:
        """Raises Conflict while anything needs it."""
        draft = Draft(self.read())
        self._drop(draft, draft.after.named(Organization, name))

    def remove_collaboration(self, name: str) -> None:
        """With its nodes and studies. Raises Conflict while it has tasks."""
        draft = Draft(self.read())
        gone = draft.after.named(Collaboration, name)
        parts: list[Node | Study] = [*draft.after.all(Node), *draft.after.all(Study)]
        for part in parts:
            if part.collaboration_id == gone.id:
                draft.drop(part)
        self._drop(draft, gone)

    def remove_node(self, collaboration: str, organization: str) -> Node:
        draft = Draft(self.read())
        node = _find_node(draft.after, collaboration, organization)
        self._drop(draft, node)
        return node

    def renew_key(self, collaboration: str, organization: str, give_key: GiveKey) -> Node:
        """The old key, and all tokens that it got, are good for nothing from now on."""
        draft = Draft(self.read())
        node = _find_node(draft.after, collaboration, organization)
        if node.cloud is not None:
            raise InvalidRequest(f"node {node.name!r} is in the cloud: it has no key")
        key = make_key()
        give_key(node, key)
        draft.put(replace(node, key_hash=hash_key(key)))
        self._make(draft)
        return node

    def remove_study(self, collaboration: str, name: str) -> None:
        draft = Draft(self.read())
        home = draft.after.named(Collaboration, collaboration)
        studies = [each for each in draft.after.all(Study) if each.collaboration_id == home.id]
        found = next((each for each in studies if each.name == name), None)
        if found is None:
            there = (each.name for each in studies)
            raise NotFound(no_such(f"study of {collaboration!r}", name, there))
        self._drop(draft, found)

    def remove_user(self, username: str) -> None:
        """From the federation; a login stays."""
        draft = Draft(self.read())
        self._drop(draft, draft.after.named(User, username))

    def set_roles(self, username: str, names: Sequence[str]) -> User:
        """In place of all roles that the user has."""
        draft = Draft(self.read())
        user = draft.after.named(User, username)
        there = draft.after.roles_for(user.organization_id)
        unknown = next((name for name in names if name not in there), None)
        if unknown is not None:
            raise NotFound(no_such("role", unknown, there))
        draft.put(replace(user, role_ids=tuple(there[name].id for name in names)))
        self._make(draft)
        return draft.find(user)

    def describe(self, collaboration: str) -> dict[str, Any]:
        """It as a document has it, for something to be added to it. Raises NotFound."""
        found = self.read()
        home = found.named(Collaboration, collaboration)
        names = [found.name(Organization, id) for id in home.organization_ids]
        return {"name": collaboration, "organizations": names}

    def _drop(self, draft: Draft, record: Managed) -> None:
        needs = needed_by(draft.after, record)
        if needs:
            raise Conflict(
                f"{record.KIND} {draft.after.title(record)!r} is needed by {', '.join(needs)}: "
                "remove what needs it first"
            )
        draft.drop(record)
        self._make(draft)

    def _make(self, draft: Draft) -> list[Change]:
        return apply(self._registry, draft.changes(), _no_key)

    def _find_logins(self, found: Snapshot, entries: Sequence[UserEntry]) -> Logins:
        """Who has a subject of its own, here or already, needs no login."""
        logins = Logins({}, [])
        for entry in entries:
            known = found.records.get(f"user:{entry.username}")
            subject = known.subject if isinstance(known, User) else ""
            if entry.subject is not None or subject.startswith(OWNER_PREFIXES):
                logins.subjects[entry.username] = entry.subject or subject
                continue
            try:
                logins.subjects[entry.username] = self._users.find(entry.username).subject
            except NotFound:
                logins.missing.append(entry)
        return logins

    def _add_logins(
        self, entries: Sequence[UserEntry], give_password: GivePassword
    ) -> dict[str, str]:
        subjects = {}
        for entry in entries:
            give_password(entry.username, self._users.add(entry.username, entry.email))
            subjects[entry.username] = self._users.find(entry.username).subject
        return subjects


def _find_place(
    found: Snapshot, collaboration: str, organization: str
) -> tuple[Collaboration, Organization]:
    """Raises NotFound."""
    return found.named(Collaboration, collaboration), found.named(Organization, organization)


def _find_node(found: Snapshot, collaboration: str, organization: str) -> Node:
    """Raises NotFound."""
    home, whose = _find_place(found, collaboration, organization)
    nodes = [each for each in found.all(Node) if each.collaboration_id == home.id]
    node = next((each for each in nodes if each.organization_id == whose.id), None)
    if node is None:
        there = (found.name(Organization, each.organization_id) for each in nodes)
        raise NotFound(no_such(f"node in {collaboration!r} of", organization, there))
    return node


def _with_subject(change: Change, subjects: Mapping[str, str]) -> Change:
    new = change.new
    if not isinstance(new, User) or new.username not in subjects:
        return change
    return replace(change, new=replace(new, subject=subjects[new.username]))


def open_federation(
    table: str, dynamodb: Any, open_users: Callable[[], Users]
) -> FederationRegistrar:
    """`dynamodb`: a resource of boto3, with the operator's credentials."""
    return FederationRegistrar(Registry(AwsFederationTable(table, dynamodb)), open_users)


def _no_key(node: Node, key: str) -> None:
    raise InvalidRequest(f"node {node.name!r} would be made without giving its key to anybody")


def _no_password(username: str, password: str) -> None:
    raise InvalidRequest(f"the login of {username!r} would be made without telling its password")
