"""What a node in the cloud is: which worker does its runs, of which images, in whose name. Pure.

It is a node whose executor is the grid itself: it has no program, no API key and no token.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ..contract import SessionOptions
from .records import Node, run_place

#: No caller has such an identity: those of the grid begin with `arn:` or `cognito:`.
OWNER_PREFIX = "federation:node:"
#: A tag of the sessions that do runs, by which their ends lead back.
RUN_TAG = "federated_run"
#: Of a run, renewed while its session is open. Nothing is healed by its end: see `cloud_runs`.
LEASE_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class CloudPlace:
    """Where the runs of a node are done, as its record says."""

    worker: str
    backend: str
    allowed_images: tuple[str, ...] = ()  #: globs; empty: any image
    task_timeout_seconds: float | None = None  #: of one run; None: what the grid gives any task

    @classmethod
    def of(cls, node: Node) -> "CloudPlace | None":
        """None: it is on its organization's own premises."""
        if node.cloud is None:
            return None
        said: dict[str, Any] = node.cloud
        return cls(
            said["worker"],
            said["backend"],
            tuple(said.get("allowed_images") or ()),
            said.get("task_timeout_seconds"),
        )

    def allows(self, image: str) -> bool:
        patterns = self.allowed_images
        return not patterns or any(fnmatchcase(image, pattern) for pattern in patterns)

    def options(self, run: int, timeout_seconds: float) -> SessionOptions:
        """Of the session that does the run; the same whoever asks for it."""
        return SessionOptions.model_validate(
            {
                "name": f"run {run}",
                "tags": {RUN_TAG: str(run), "federated_task": str(run_place(run)[0])},
                "backend": self.backend,
                "timeout_seconds": max(1, int(timeout_seconds)),
                "task_timeout_seconds": self.task_timeout_seconds,
            }
        )


def owner_of(node_id: int) -> str:
    """Of the sessions that do a node's runs."""
    return f"{OWNER_PREFIX}{node_id}"


def token_of(run: int, claim: str) -> str:
    """The session's client token: of each attempt another one, and of the same always the same."""
    return f"run-{run}-{claim.partition('.')[0]}"


def cloud_claimant(node: Node) -> str:
    """Another one than the program's that was in this place before."""
    return f"cloud{node.id:07d}"
