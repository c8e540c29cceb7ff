"""What an agent leaves on disk of each task that it runs, so that the next one finds it.

A record is there from before the first process of the task until after the last, and is replaced in
one step. Knows files only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from stepgrid.local.process_tree import ProcessIdentity
from stepgrid.local.storage import read_json, write_private_json


@dataclass(frozen=True)
class ContainerRecord:
    """A container of the task; identity is None until it is started."""

    name: str
    mark: str
    identity: ProcessIdentity | None = None


@dataclass(frozen=True)
class TaskRecord:
    """A task that an agent took."""

    task_id: str
    arn: str
    cluster_arn: str
    containers: Sequence[ContainerRecord]


class TaskRecords:
    """The records in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, record: TaskRecord) -> None:
        write_private_json(self._path(record.task_id), asdict(record))

    def remove(self, record: TaskRecord) -> None:
        self._path(record.task_id).unlink(missing_ok=True)

    def read_all(self) -> list[TaskRecord]:
        """Those that are there; a spoiled one is none."""
        found = (read_json(path) for path in sorted(self._folder.glob("*.json")))
        return [_parse(content) for content in found if content is not None]

    def _path(self, task_id: str) -> Path:
        return self._folder / f"{task_id}.json"


def _parse(content: dict[str, object]) -> TaskRecord:
    containers = content["containers"]
    assert isinstance(containers, list)
    return TaskRecord(
        task_id=str(content["task_id"]),
        arn=str(content["arn"]),
        cluster_arn=str(content["cluster_arn"]),
        containers=[
            ContainerRecord(
                container["name"],
                container["mark"],
                ProcessIdentity(**container["identity"]) if container["identity"] else None,
            )
            for container in containers
        ],
    )
