"""The local cloud's container agent: `python -m stepgrid.local.container_agent`.

The emulator keeps ECS tasks RUNNING and runs nothing. This program does what Fargate does: it finds
running tasks, runs their containers as processes of this machine, and reports how they ended.

    emulator  <-- ListTasks, DescribeTasks --  agent  -- processes -->  containers
              <-- SubmitTaskStateChange -----         <-- pipe -------      |
              <-- PutLogEvents --------------                               |
              <-- AssumeRole ----------------    <-- credentials, metadata -+

It speaks to the emulator as any AWS client does, so it knows nothing of its inside. Its standard
input is a pipe from whoever started it: when that ends, the emulator is gone, and the agent kills
its containers and ends. After SIGTERM it stops them as StopTask would, reports, and ends. What an
agent that died left running is killed by the next one, and reported as lost with its host.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import botocore.config
import botocore.exceptions

from stepgrid.local import container_endpoint, container_logs
from stepgrid.local.container_limits import MarkedProcesses, folder_bytes, memory_bytes
from stepgrid.local.container_specs import (
    MAX_STOP_TIMEOUT_SECONDS,
    CannotStartError,
    ContainerSpec,
    TaskSpec,
    read_task,
)
from stepgrid.local.containers import CONTAINER_MARK_VARIABLE, Cores, write_python
from stepgrid.local.ecs_tasks import EcsTasks
from stepgrid.local.emulator import (
    PASSED_VARIABLES,
    REGION,
    ROOT_ACCESS_KEY_ID,
    ROOT_SECRET_ACCESS_KEY,
)
from stepgrid.local.process_tree import MARK_VARIABLE, kill_tree
from stepgrid.local.storage import exclusive_lock
from stepgrid.local.task_records import TaskRecords
from stepgrid.local.task_runs import Host, TaskEnd, TaskRun

LOOK_SECONDS = 0.25
#: Between two looks when nothing has run for a while.
IDLE_LOOK_SECONDS = 0.5
IDLE_AFTER_SECONDS = 30.0
MEMORY_LOOK_SECONDS = 0.5
STORAGE_LOOK_SECONDS = 5.0
KILLED_EXIT_CODE = 137

OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
OUT_OF_STORAGE = "EphemeralStorageError: Container killed due to ephemeral storage usage"
HOST_LOST = "Host EC2 (the container agent of the local cloud) terminated"
TASK_VANISHED = "ECS does not know the task any more"

#: Of the agent's own environment, for containers: where AWS's files are not.
_AWS_FILES = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Clients:
    """The services that the agent asks, as boto3 clients with the root's key."""

    ecs: Any
    iam: Any
    logs: Any
    sts: Any


class Agent:
    """Runs the tasks of all clusters; its files are in `folder`."""

    def __init__(self, clients: Clients, endpoint_url: str, folder: Path) -> None:
        self._clients = clients
        self._ecs = EcsTasks(clients.ecs)
        self._runs: dict[str, TaskRun] = {}
        self._addresses: dict[str, container_endpoint.TaskAddresses] = {}
        self._endpoint = container_endpoint.ContainerEndpoint()
        self._marked = MarkedProcesses()
        write_python(folder / "bin")
        self._host = Host(
            folder=folder / "tasks",
            records=TaskRecords(folder / "records"),
            cores=Cores(),
            environment=container_environment(os.environ, endpoint_url, folder / "bin"),
            introduce=self._introduce,
            dismiss=self._dismiss,
            open_stream=lambda settings: container_logs.open_stream(clients.logs, settings),
            report=self._report,
        )

    def end_orphans(self) -> None:
        """Kill what an agent that died left running, and report its tasks as lost."""
        for record in self._host.records.read_all():
            for container in record.containers:
                kill_tree(container.mark, container.identity, CONTAINER_MARK_VARIABLE)
            codes = {container.name: KILLED_EXIT_CODE for container in record.containers}
            logger.warning("task %s was left by an agent that died", record.task_id)
            self._ecs.report_end(record.cluster_arn, record.arn, HOST_LOST, codes)
            self._host.records.remove(record)
        shutil.rmtree(self._host.folder, ignore_errors=True)

    def look(self) -> None:
        """Start what is new in ECS, stop what is no longer to run."""
        # Before ECS is asked: a task whose end was reported after the answer would be new again.
        for arn in [arn for arn, run in self._runs.items() if run.is_over]:
            del self._runs[arn]
        listed = self._ecs.list_running()
        for cluster, arns in listed.items():
            for task in self._ecs.describe(cluster, [arn for arn in arns if arn not in self._runs]):
                self._start(task)
        for arn in self._runs.keys() - {arn for arns in listed.values() for arn in arns}:
            self._end(self._runs[arn])

    @property
    def has_tasks(self) -> bool:
        """Whether any runs here."""
        return bool(self._runs)

    def check_limits(self, storage: bool) -> None:
        """Kill the tasks that use more than they asked for. storage: look at that as well."""
        runs = [run for run in list(self._runs.values()) if not run.is_over]
        processes = self._marked.find() if runs else {}
        for run in runs:
            if run.task.memory_mib is not None:
                limit_bytes = run.task.memory_mib * 1024**2
                own = [found for mark in run.marks for found in processes.get(mark, [])]
                if memory_bytes(own, limit_bytes) > limit_bytes:
                    run.kill(OUT_OF_MEMORY)
            if storage and folder_bytes(run.folder) > run.task.storage_gib * 1024**3:
                run.kill(OUT_OF_STORAGE)

    def stop_all(self) -> None:
        """Stop all tasks as StopTask does, and return when their ends are reported."""
        for run in self._runs.values():
            run.stop()
        for run in self._runs.values():
            run.wait(MAX_STOP_TIMEOUT_SECONDS + container_logs.FLUSH_TIMEOUT_SECONDS)
        self._endpoint.close()

    def kill_all(self) -> None:
        """Kill all tasks: the emulator is gone, and nobody can be told."""
        self._ecs.give_up()
        for run in self._runs.values():
            run.kill(TASK_VANISHED)
        for run in self._runs.values():
            run.wait(container_logs.FLUSH_TIMEOUT_SECONDS)

    def _start(self, task: Mapping[str, Any]) -> None:
        if task["lastStatus"] != "RUNNING":
            return
        arn, cluster = task["taskArn"], task["clusterArn"]
        try:
            spec = read_task(task, self._ecs.define(task["taskDefinitionArn"]))
        except (CannotStartError, KeyError, ValueError) as error:
            # A definition that nobody can read must not end the agent, and all other tasks with it.
            names = [container["name"] for container in task["containers"]]
            self._ecs.report_end(cluster, arn, str(error), dict.fromkeys(names))
            return
        logger.info("starting task %s of %s", spec.task_id, spec.family)
        self._ecs.report_start(cluster, arn)
        self._runs[arn] = TaskRun(spec, self._host)
        self._runs[arn].start()

    def _end(self, run: TaskRun) -> None:
        """ECS no longer wants it to run: it was stopped, or there is no such task."""
        if self._ecs.knows(run.task.cluster_arn, run.task.arn):
            run.stop()
        else:
            run.kill(TASK_VANISHED)

    def _introduce(self, task: TaskSpec) -> Any:
        """What leads its containers to their credentials. Raises CannotStartError."""
        credentials = container_endpoint.assume_role(self._clients.iam, self._clients.sts, task)
        addresses = container_endpoint.TaskAddresses(task, credentials)
        self._addresses[task.arn] = addresses
        self._endpoint.add(addresses)

        def environment(container: ContainerSpec) -> Mapping[str, str]:
            return addresses.environment(self._endpoint.url, container)

        return environment

    def _dismiss(self, task: TaskSpec) -> None:
        addresses = self._addresses.pop(task.arn, None)
        if addresses is not None:
            self._endpoint.remove(addresses)

    def _report(self, task: TaskSpec, end: TaskEnd) -> None:
        self._ecs.report_end(task.cluster_arn, task.arn, end.reason, end.exit_codes)


def container_environment(
    own: Mapping[str, str], endpoint_url: str, python_folder: Path
) -> dict[str, str]:
    """What every container gets of this machine: nothing of the user's, and no root's key."""
    passed = {name: own[name] for name in (*PASSED_VARIABLES, *_AWS_FILES) if name in own}
    return passed | {
        "PATH": os.pathsep.join([str(python_folder), own.get("PATH", os.defpath)]),
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_EXECUTION_ENV": "AWS_ECS_FARGATE",
        MARK_VARIABLE: own.get(MARK_VARIABLE, ""),
    }


def make_clients(endpoint_url: str) -> Clients:
    """Clients with the root's key, which deploys and runs the local cloud."""
    session = boto3.Session(
        aws_access_key_id=ROOT_ACCESS_KEY_ID,
        aws_secret_access_key=ROOT_SECRET_ACCESS_KEY,
        region_name=REGION,
    )
    config = botocore.config.Config(
        proxies={}, retries={"mode": "standard"}, max_pool_connections=64
    )
    make: Any = session.client
    return Clients(
        **{name: make(name, endpoint_url=endpoint_url, config=config) for name in CLIENT_NAMES}
    )


CLIENT_NAMES = ("ecs", "iam", "logs", "sts")


def watch_limits(agent: Agent, stopping: threading.Event) -> None:
    """Look at memory and storage until the agent stops."""
    storage_at = 0.0
    while not stopping.wait(MEMORY_LOOK_SECONDS):
        storage = time.monotonic() >= storage_at
        if storage:
            storage_at = time.monotonic() + STORAGE_LOOK_SECONDS
        agent.check_limits(storage)


def run_agent(agent: Agent, stopping: threading.Event) -> None:
    """Look into ECS until the agent stops."""
    threading.Thread(target=watch_limits, args=(agent, stopping), daemon=True).start()
    busy_until = 0.0
    while not stopping.is_set():
        try:
            agent.look()
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            # What is not known is not acted upon: the containers go on.
            logger.warning("ECS did not answer: %s", error)
        if agent.has_tasks:
            busy_until = time.monotonic() + IDLE_AFTER_SECONDS
        stopping.wait(LOOK_SECONDS if time.monotonic() < busy_until else IDLE_LOOK_SECONDS)


def main() -> None:
    parser = argparse.ArgumentParser(description="Runs the containers of the local cloud.")
    parser.add_argument("--endpoint-url", required=True, help="the emulator")
    parser.add_argument("--folder", required=True, type=Path, help="for records and containers")
    given = parser.parse_args()
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s container agent: %(message)s"
    )
    logging.getLogger("botocore").setLevel(logging.WARNING)
    stopping, emulator_gone = threading.Event(), threading.Event()

    def await_end_of_input() -> None:
        sys.stdin.buffer.read()
        emulator_gone.set()
        stopping.set()

    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    threading.Thread(target=await_end_of_input, daemon=True).start()
    # Two agents would run each task twice.
    with exclusive_lock(given.folder / "lock"):
        agent = Agent(make_clients(given.endpoint_url), given.endpoint_url, given.folder)
        agent.end_orphans()
        run_agent(agent, stopping)
        if emulator_gone.is_set():
            agent.kill_all()
        else:
            agent.stop_all()


if __name__ == "__main__":
    main()
