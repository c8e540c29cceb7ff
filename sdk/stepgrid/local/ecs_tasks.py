"""ECS as the container agent sees it: which tasks are to run, and how their ends are reported.

Speaks to ECS through a boto3 client; knows nothing of containers and processes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import botocore.exceptions

from stepgrid.local.container_specs import task_id_of

#: How long a cluster that was just made may stay unseen.
CLUSTERS_SECONDS = 1.0
REPORT_RETRY_SECONDS = 0.5
#: DescribeTasks takes no more at once.
MAX_DESCRIBED = 100

logger = logging.getLogger(__name__)


class EcsTasks:
    """The tasks of all clusters."""

    def __init__(self, ecs: Any) -> None:
        self._ecs = ecs
        self._definitions: dict[str, Mapping[str, Any]] = {}
        self._clusters: list[str] = []
        self._clusters_until = 0.0
        #: Set when nobody is there who could be told.
        self._alone = threading.Event()

    def list_running(self) -> Mapping[str, list[str]]:
        """The ARNs of the tasks that are to run, by cluster."""
        return {cluster: self._list(cluster) for cluster in self._find_clusters()}

    def _find_clusters(self) -> list[str]:
        if time.monotonic() >= self._clusters_until:
            pages = self._ecs.get_paginator("list_clusters").paginate()
            self._clusters = [arn for page in pages for arn in page["clusterArns"]]
            self._clusters_until = time.monotonic() + CLUSTERS_SECONDS
        return self._clusters

    def _list(self, cluster: str) -> list[str]:
        pages = self._ecs.get_paginator("list_tasks").paginate(
            cluster=cluster, desiredStatus="RUNNING"
        )
        return [arn for page in pages for arn in page["taskArns"]]

    def describe(self, cluster: str, arns: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        """The tasks, those that ECS knows."""
        for start in range(0, len(arns), MAX_DESCRIBED):
            part = arns[start : start + MAX_DESCRIBED]
            yield from self._ecs.describe_tasks(cluster=cluster, tasks=part)["tasks"]

    def knows(self, cluster: str, arn: str) -> bool:
        """Whether there is such a task, and such a cluster."""
        try:
            return any(self.describe(cluster, [arn]))
        except self._ecs.exceptions.ClusterNotFoundException:
            return False

    def define(self, arn: str) -> Mapping[str, Any]:
        """A task definition. A revision never changes, so each is asked for once."""
        if arn not in self._definitions:
            answer = self._ecs.describe_task_definition(taskDefinition=arn)
            self._definitions[arn] = answer["taskDefinition"]
        return self._definitions[arn]

    def report_start(self, cluster: str, arn: str) -> None:
        """Tell that a task runs here: who stops it then waits for its containers."""
        self._ecs.submit_task_state_change(cluster=cluster, task=arn, status="RUNNING")

    def report_end(
        self, cluster: str, arn: str, reason: str, exit_codes: Mapping[str, int | None]
    ) -> None:
        """Tell how a task ended; until ECS has heard, or knows no such task, or is given up.

        exit_codes: by container, None for one that was never started.
        """
        containers = [
            {"containerName": name, "status": "STOPPED", "reason": reason}
            | ({} if code is None else {"exitCode": code})
            for name, code in exit_codes.items()
        ]
        told = {"cluster": cluster, "task": arn, "status": "STOPPED", "reason": reason}
        while not self._alone.is_set():
            try:
                self._ecs.submit_task_state_change(**told, containers=containers)
                return
            except botocore.exceptions.ClientError as error:
                logger.warning("the end of task %s was refused: %s", task_id_of(arn), error)
                return
            except botocore.exceptions.BotoCoreError as error:
                logger.warning("the end of task %s is not reported yet: %s", task_id_of(arn), error)
                self._alone.wait(REPORT_RETRY_SECONDS)

    def give_up(self) -> None:
        """The emulator is gone: nobody waits for reports."""
        self._alone.set()
