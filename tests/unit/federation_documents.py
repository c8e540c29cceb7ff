"""Documents of federations, and what applying them makes: for tests of what an operator does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from stepgrid_core.federation.application import apply
from stepgrid_core.federation.document import FederationDocument, read_document
from stepgrid_core.federation.draft import Action, Change
from stepgrid_core.federation.planning import plan_changes
from stepgrid_core.federation.records import Node
from stepgrid_core.federation.registry import Registry
from stepgrid_core.federation.snapshot import Snapshot

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "federation.yaml"
#: Of the example's users who log in.
SUBJECTS = {"ada": "sub-of-ada", "galen": "sub-of-galen"}

SMALL: dict[str, Any] = {
    "organizations": [{"name": "a"}, {"name": "b"}],
    "collaborations": [
        {
            "name": "heart",
            "organizations": ["a", "b"],
            "nodes": "all",
            "studies": [{"name": "pilot", "organizations": ["a", "b"]}],
        }
    ],
    "roles": [{"name": "Counter", "rules": ["task:col:c"], "organization": "b"}],
    "users": [{"username": "ada", "organization": "a", "roles": ["Researcher"]}],
}


def document(values: Any) -> FederationDocument:
    return read_document(values, no_file)


def no_file(path: str) -> str:
    raise FileNotFoundError(path)


def example() -> FederationDocument:
    return document(yaml.safe_load(EXAMPLE.read_text(encoding="utf-8")))


class Keys(dict[str, str]):
    """The API keys that were given away, by the names of their nodes."""

    def give(self, node: Node, key: str) -> None:
        self[node.name] = key


def put(
    registry: Registry, values: Any, keys: Keys | None = None, *, prune: bool = False
) -> list[Change]:
    """Apply a document."""
    wanted = values if isinstance(values, FederationDocument) else document(values)
    plan = plan_changes(Snapshot.read(registry), wanted, SUBJECTS, prune)
    return apply(registry, plan.changes, (keys if keys is not None else Keys()).give)


def told(changes: list[Change]) -> list[str]:
    """What changes, a line for each."""
    return [
        f"{change.action} {change.kind} {change.title}"
        for change in changes
        if change.action is not Action.KEEP
    ]
