"""A task while it runs here: its containers from their start to the report of their end.

    start -> wait -> stop what is left -> flush the lines -> report -> forget

One thread for each task. It waits for one of four things: an essential container ended, somebody
stopped the task in ECS, a limit was passed, or the agent ends. Knows nothing of how ECS is asked.
"""

from __future__ import annotations

import logging
import math
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stepgrid.local.container_logs import LogShipper, Put
from stepgrid.local.container_specs import CannotStartError, ContainerSpec, LogSettings, TaskSpec
from stepgrid.local.containers import CONTAINER_MARK_VARIABLE, Container, Cores, container_mark
from stepgrid.local.task_records import ContainerRecord, TaskRecord, TaskRecords

ESSENTIAL_EXITED = "Essential container in task exited"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TaskEnd:
    """How a task ended: why, and with which code each of its containers, None if never started."""

    reason: str
    exit_codes: Mapping[str, int | None]


@dataclass(frozen=True)
class Host:
    """What the agent gives all its tasks."""

    folder: Path
    records: TaskRecords
    cores: Cores
    #: What every container gets: the variables of the machine.
    environment: Mapping[str, str]
    #: What this task's container gets besides. Raises CannotStartError.
    introduce: Callable[[TaskSpec], Callable[[ContainerSpec], Mapping[str, str]]]
    dismiss: Callable[[TaskSpec], None]
    #: Raises CannotStartError.
    open_stream: Callable[[LogSettings], Put]
    report: Callable[[TaskSpec, TaskEnd], None]


class TaskRun:
    """One task; `start` begins, and `is_over` tells when ECS knows of the end."""

    def __init__(self, task: TaskSpec, host: Host) -> None:
        self.task = task
        self.folder = host.folder / task.task_id
        self._host = host
        self._containers: list[Container] = []
        self._shippers: list[LogShipper] = []
        self._wake = threading.Event()
        self._stop_asked = False
        #: Why all must die at once, by whom it was decided.
        self._kill_reason: str | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """SIGTERM to the containers, and SIGKILL when their time is over."""
        self._stop_asked = True
        self._wake.set()

    def kill(self, reason: str) -> None:
        """SIGKILL to all processes. The first reason counts."""
        self._kill_reason = self._kill_reason or reason
        self._wake.set()

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()

    def wait(self, timeout_seconds: float) -> None:
        """Return when it is over, or after the timeout."""
        self._thread.join(timeout_seconds)

    @property
    def marks(self) -> list[str]:
        """Of its containers."""
        return [container_mark(self.task.task_id, found.name) for found in self.task.containers]

    @property
    def _record(self) -> TaskRecord:
        identities = {container.spec.name: container.identity for container in self._containers}
        containers = [
            ContainerRecord(spec.name, mark, identities.get(spec.name))
            for spec, mark in zip(self.task.containers, self.marks, strict=True)
        ]
        return TaskRecord(self.task.task_id, self.task.arn, self.task.cluster_arn, containers)

    def _run(self) -> None:
        try:
            reason = self._start_and_wait()
        except (CannotStartError, OSError) as error:
            reason = str(error)
            self._kill_all()
        for shipper in self._shippers:
            shipper.flush()
        self._host.dismiss(self.task)
        codes: dict[str, int | None] = dict.fromkeys(spec.name for spec in self.task.containers)
        codes |= {container.spec.name: container.exit_code for container in self._containers}
        shutil.rmtree(self.folder, ignore_errors=True)
        logger.info("task ended: %s, %s, %s", self.task.task_id, reason, codes)
        self._host.report(self.task, TaskEnd(reason, codes))
        self._host.records.remove(self._record)

    def _start_and_wait(self) -> str:
        """Raises CannotStartError."""
        self._host.records.write(self._record)
        self.folder.mkdir(parents=True, exist_ok=True)
        extra = self._host.introduce(self.task)
        with self._host.cores.taken(math.ceil(self.task.vcpu)):
            for spec in self.task.containers:
                self._containers.append(self._start_container(spec, extra(spec)))
            self._host.records.write(self._record)
            for container in self._containers:
                container.watch(lambda container=container: self._ended(container))  # type: ignore[misc]
            return self._wait()

    def _start_container(self, spec: ContainerSpec, extra: Mapping[str, str]) -> Container:
        folder = self.folder / spec.name
        folder.mkdir()
        mark = container_mark(self.task.task_id, spec.name)
        environment = {
            **self._host.environment,
            "TMPDIR": str(folder),
            **spec.environment,
            **extra,
            CONTAINER_MARK_VARIABLE: mark,
        }
        put = self._host.open_stream(spec.log) if spec.log else _log_lines(mark)
        reading, writing = os.pipe()
        self._shippers.append(LogShipper(os.fdopen(reading, "rb"), put))
        try:
            return Container(spec, environment, folder, writing)
        finally:
            os.close(writing)

    def _ended(self, container: Container) -> None:
        """What the container left must not outlive it, whether the task goes on or not."""
        container.kill()
        self._wake.set()

    def _wait(self) -> str:
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._kill_reason is not None:
                break
            if self._stop_asked or self._is_done():
                self._stop_all()
                break
        self._kill_all()
        return self._kill_reason or ESSENTIAL_EXITED

    def _is_done(self) -> bool:
        essential = [found for found in self._containers if found.spec.essential]
        if any(found.exit_code is not None for found in essential):
            return True
        return all(found.exit_code is not None for found in self._containers)

    def _stop_all(self) -> None:
        """As ECS stops a task: SIGTERM to all at once, each with its own time to end."""
        living = [found for found in self._containers if found.exit_code is None]
        for container in living:
            container.ask_to_stop()
        begun = time.monotonic()
        for container in living:
            deadline = begun + container.spec.stop_timeout_seconds
            while container.exit_code is None and self._kill_reason is None:
                if (left := deadline - time.monotonic()) <= 0:
                    break
                self._wake.wait(left)
                self._wake.clear()

    def _kill_all(self) -> None:
        for container in self._containers:
            container.kill()


def _log_lines(mark: str) -> Put:
    """For a container without a log driver: its lines are in the agent's log."""

    def put(lines: Sequence[object]) -> None:
        for line in lines:
            logger.info("%s: %s", mark, getattr(line, "text", line))

    return put
