"""What is kept of a federated task beside its session: which one it is, and who runs it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FederationFacts:
    """Chunk k of the session is the run of organization k."""

    task_id: int
    collaboration_id: int
    organization_ids: tuple[int, ...]

    @classmethod
    def read(cls, values: dict[str, Any]) -> "FederationFacts":
        known = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
        return cls(**{**known, "organization_ids": tuple(values["organization_ids"])})
