"""The records of a federation as JSON and as text. Pure: names in place of ids, no hash of a key.

It must not know click's commands, the table or the clock: the caller says what time it is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from stepgrid.cli import rendering
from stepgrid_core.federation.draft import Action, Change
from stepgrid_core.federation.nodes import is_online
from stepgrid_core.federation.planning import rule_name
from stepgrid_core.federation.records import Collaboration, Node, Organization, Role, Study, User
from stepgrid_core.federation.rules import RULES
from stepgrid_core.federation.snapshot import Managed, Snapshot

Values = dict[str, Any]

#: Titles of tables, and which values stand below them.
COLUMNS: dict[str, dict[str, str]] = {
    "organization": {
        "ID": "id",
        "ORGANIZATION": "name",
        "DOMAIN": "domain",
        "COUNTRY": "country",
        "PUBLIC KEY": "has_public_key",
        "COLLABORATIONS": "collaborations",
    },
    "collaboration": {
        "ID": "id",
        "COLLABORATION": "name",
        "ENCRYPTED": "encrypted",
        "ORGANIZATIONS": "organizations",
        "TASKS": "tasks",
    },
    "study": {
        "ID": "id",
        "COLLABORATION": "collaboration",
        "STUDY": "name",
        "ORGANIZATIONS": "organizations",
    },
    "node": {
        "ID": "id",
        "NODE": "name",
        "COLLABORATION": "collaboration",
        "ORGANIZATION": "organization",
        "ONLINE": "online",
        "SEEN": "seen_at",
        "CLOUD": "cloud",
    },
    "user": {
        "ID": "id",
        "USER": "username",
        "ORGANIZATION": "organization",
        "ROLES": "roles",
        "RULES": "rules",
        "SUBJECT": "subject",
    },
    "role": {
        "ID": "id",
        "ROLE": "name",
        "ORGANIZATION": "organization",
        "DESCRIPTION": "description",
        "RULES": "rules",
    },
}
CHANGE_COLUMNS = tuple(map(rendering.Column, ("CHANGE", "KIND", "NAME", "FIELDS")))
#: Of a cell; --json shows all of it.
_WIDTH = 60
_RULES_TOLD = 2


def record_values(record: Managed, found: Snapshot, now: float) -> Values:
    """What --json shows of a record."""
    values = {name: _named(name, value, found) for name, value in asdict(record).items()}
    values.pop("key_hash", None)
    shown = {_field_name(name): value for name, value in values.items()}
    if isinstance(record, Organization):
        theirs = [each for each in found.all(Collaboration) if record.id in each.organization_ids]
        shown["has_public_key"] = bool(record.public_key)
        shown["collaborations"] = [each.name for each in theirs]
    if isinstance(record, Collaboration):
        shown["tasks"] = found.tasks.get(f"collaboration:{record.name}", 0)
    if isinstance(record, Node):
        shown["online"] = is_online(record, now)
    return shown


def _named(field: str, value: Any, found: Snapshot) -> Any:
    """Names in place of ids."""
    kinds: dict[str, type[Organization | Collaboration | Role]] = {
        "organization": Organization,
        "collaboration": Collaboration,
        "role": Role,
    }
    kind = kinds.get(field.removesuffix("s").removesuffix("_id"))
    if field == "rule_ids":
        return [_rule(id) for id in value]
    if kind is None or value is None:
        return value
    if isinstance(value, tuple):
        return [found.name(kind, id) for id in value]
    return found.name(kind, value)


def _rule(id: int) -> str:
    return rule_name(RULES[id]) if id in RULES else f"#{id}"


def columns_of(kind: str) -> tuple[rendering.Column, ...]:
    return tuple(rendering.Column(title, right=title == "ID") for title in COLUMNS[kind])


def row_of(kind: str, values: Values, now: float) -> tuple[str, ...]:
    return tuple(_cell(name, values[name], now) for name in COLUMNS[kind].values())


def fields_of(kind: str, values: Values, now: float) -> list[tuple[str, str]]:
    """For one record alone."""
    names = [title.lower() for title in COLUMNS[kind]]
    return list(zip(names, row_of(kind, values, now), strict=True))


def _cell(name: str, value: Any, now: float) -> str:
    if name == "seen_at":
        return rendering.age(value, now) if value else "never"
    if name == "cloud" and value is not None:
        return f"{value['worker']} on {value['backend']}"
    if name == "rules" and len(value) > _RULES_TOLD:
        return "all" if len(value) == len(RULES) else f"{len(value)} rules"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        value = ", ".join(value)
    text = str(value) if value not in (None, "") else rendering.NONE
    return text if len(text) <= _WIDTH else text[: _WIDTH - 3] + "..."


def change_values(change: Change) -> Values:
    """Of a change that is planned, or was made. Planned records have no id yet."""
    record = change.record
    return {
        "change": change.action.value,
        "kind": change.kind,
        "id": record.id if record.id > 0 else None,
        "name": change.title,
        "fields": [_field_name(name) for name in change.changed()],
    }


def change_row(values: Values) -> tuple[str, ...]:
    return values["change"], values["kind"], values["name"], ", ".join(values["fields"])


def _field_name(name: str) -> str:
    if name == "key_hash":
        return "api_key"
    return name.removesuffix("_ids") + "s" if name.endswith("_ids") else name.removesuffix("_id")


def left_over(changes: Sequence[Change]) -> str:
    """What a document does not mention."""
    names = ", ".join(f"{change.kind} {change.title}" for change in changes)
    return f"not in the document, and left as it is: {names} (--prune removes it)"


def in_effect(changes: Sequence[Change]) -> list[Change]:
    """Without what stays as it is."""
    return [change for change in changes if change.action is not Action.KEEP]


def tree(found: Snapshot, now: float) -> Iterator[str]:
    """Collaborations, with who is in them; then who is in none."""
    homeless = {each.id: each for each in found.all(Organization)}
    for collaboration in found.all(Collaboration):
        kept = ", encrypted" if collaboration.encrypted else ""
        yield f"collaboration {collaboration.name} (id {collaboration.id}{kept})"
        for id in collaboration.organization_ids:
            homeless.pop(id, None)
            yield from _member(found, collaboration, id, now)
        for study in found.all(Study):
            if study.collaboration_id == collaboration.id:
                names = (found.name(Organization, id) for id in study.organization_ids)
                yield f"  study {study.name} (id {study.id}): {', '.join(names)}"
    for organization in homeless.values():
        yield f"organization {organization.name} (id {organization.id}), in no collaboration"
        yield from _users(found, organization.id, "  ")


def _member(found: Snapshot, collaboration: Collaboration, id: int, now: float) -> Iterator[str]:
    yield f"  organization {found.name(Organization, id)} (id {id})"
    nodes = [each for each in found.all(Node) if each.collaboration_id == collaboration.id]
    for node in (each for each in nodes if each.organization_id == id):
        seen = rendering.age(node.seen_at, now) if node.seen_at else "never"
        state = "online" if is_online(node, now) else f"offline, last seen: {seen}"
        cloud = "" if node.cloud is None else f", {_cell('cloud', node.cloud, now)}"
        yield f"    node {node.name} (id {node.id}{cloud}): {state}"
    yield from _users(found, id, "    ")


def _users(found: Snapshot, organization_id: int, indent: str) -> Iterator[str]:
    for user in found.all(User):
        if user.organization_id == organization_id:
            roles = [found.name(Role, id) for id in user.role_ids]
            yield f"{indent}user {user.username} (id {user.id}): {', '.join(roles) or 'no role'}"
