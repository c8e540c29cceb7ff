"""What a federation tells on the event bus: one frozen record. Pure.

Events are hints, the table is the truth: one may come late, twice, out of order, or never.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

#: In front of the kind in the bus's `detail-type`; rules filter by it.
DETAIL_TYPE = "stepgrid federation"


class FederationKind(StrEnum):
    TASK_CREATED = "task_created"
    RUN_CHANGED = "run_changed"
    RUN_REPORTED = "run_reported"  #: a node says so before it is stored
    KILL = "kill"
    NODE_ONLINE = "node_online"
    NODE_OFFLINE = "node_offline"
    CLOUD_DUE = "cloud_due"  #: runs of nodes in the cloud are to be looked at; no notice


@dataclass(frozen=True, slots=True)
class FederationEvent:
    kind: FederationKind
    event_id: str  #: the same for each repeat; without spaces
    at: float  #: epoch seconds
    collaboration_id: int
    organization_ids: tuple[int, ...]  #: whom of the collaboration it is about
    facts: Mapping[str, Any]  #: JSON, in the words of the notices that it becomes

    @property
    def detail_type(self) -> str:
        return f"{DETAIL_TYPE} {self.kind}"

    def as_detail(self) -> dict[str, Any]:
        """As it goes over the bus."""
        return {
            "event_id": self.event_id,
            "kind": str(self.kind),
            "at": self.at,
            "collaboration_id": self.collaboration_id,
            "organization_ids": list(self.organization_ids),
            **self.facts,
        }

    @classmethod
    def read(cls, detail: Mapping[str, Any]) -> Self:
        known = ("event_id", "kind", "at", "collaboration_id", "organization_ids")
        return cls(
            kind=FederationKind(detail["kind"]),
            event_id=str(detail["event_id"]),
            at=float(detail["at"]),
            collaboration_id=int(detail["collaboration_id"]),
            organization_ids=tuple(int(each) for each in detail["organization_ids"]),
            facts={name: value for name, value in detail.items() if name not in known},
        )
