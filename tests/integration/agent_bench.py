"""An emulator with its container agent, and containers that tell what they do by files."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import boto3
import psutil
from botocore.config import Config

from stepgrid.local.emulator import Emulator, start_emulator, stop_emulator
from stepgrid.local.storage import LocalPaths

ACCOUNT = "000000000000"

CLUSTER = "grid"

GROUP = "/containers"

DEADLINE_SECONDS = 30.0


#: Prepended to every container's program: `sign` tells the test, in one step.
PRELUDE = """
import os, pathlib, signal, subprocess, sys, time
def sign(name, text=""):
    path = pathlib.Path(os.environ["SIGNS"], name)
    path.with_suffix(".new").write_text(str(text))
    path.with_suffix(".new").rename(path)
def sleep(): sign("sleeps", os.getpid()); time.sleep(600)
"""


Found = TypeVar("Found")


def eventually(look: Callable[[], Found | None], what: str) -> Found:
    """What `look` finds, as soon as it finds anything."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        if (found := look()) is not None:
            return found
        time.sleep(0.02)
    raise AssertionError(f"in {DEADLINE_SECONDS} s not: {what}")


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def await_death(pid: int) -> None:
    eventually(lambda: None if is_alive(pid) else True, f"process {pid} is dead")


class Fargate:
    """An emulator with its agent, and what a test asks of them."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.ecs = self.client("ecs")
        self.logs = self.client("logs")
        self.states = self.client("stepfunctions")
        self.ecs.create_cluster(clusterName=CLUSTER)
        self.logs.create_log_group(logGroupName=GROUP)
        self.role = self.make_role("task-role", "ecs-tasks.amazonaws.com")

    def client(self, service: str) -> Any:
        make: Any = boto3.client
        return make(
            service,
            endpoint_url=self.emulator.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(proxies={}),
        )

    def make_role(self, name: str, service: str) -> str:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": "sts:AssumeRole",
        }
        trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        role = self.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust)
        return str(role["Role"]["Arn"])

    def define(self, program: str, container: Mapping[str, Any] | None = None, **task: Any) -> str:
        """Register a task whose container `main` runs this Python program."""
        options = {
            "awslogs-group": GROUP,
            "awslogs-region": "us-east-1",
            "awslogs-stream-prefix": "run",
        }
        main = {
            "name": "main",
            "image": "public.ecr.aws/lambda/python:3.13-arm64",
            "entryPoint": ["python3", "-c"],
            "command": [PRELUDE + program],
            "logConfiguration": {"logDriver": "awslogs", "options": options},
            **(container or {}),
        }
        return self.register([main], **task)

    def register(self, containers: list[dict[str, Any]], **task: Any) -> str:
        settings = {"cpu": "256", "memory": "1024", **task}
        answer = self.ecs.register_task_definition(
            family=f"family-{uuid.uuid4().hex}",
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            containerDefinitions=containers,
            **settings,
        )
        return str(answer["taskDefinition"]["taskDefinitionArn"])

    def run(self, definition: str, signs: Path, cluster: str = CLUSTER, **override: Any) -> str:
        """Run the task; override: of its container."""
        environment = [
            *override.pop("environment", []),
            {"name": "SIGNS", "value": str(signs)},
        ]
        overrides = [{"name": "main", "environment": environment, **override}]
        answer = self.ecs.run_task(
            cluster=cluster,
            taskDefinition=definition,
            launchType="FARGATE",
            overrides={"containerOverrides": overrides},
        )
        return str(answer["tasks"][0]["taskArn"])

    def describe(self, arn: str) -> dict[str, Any]:
        task: dict[str, Any] = self.ecs.describe_tasks(cluster=CLUSTER, tasks=[arn])["tasks"][0]
        return task

    def await_end(self, arn: str) -> dict[str, Any]:
        """The task, when it is stopped and its containers are known to have ended."""

        def look() -> dict[str, Any] | None:
            task = self.describe(arn)
            told = "exitCode" in task["containers"][0] or task["stopCode"] == "TaskFailedToStart"
            return task if task["lastStatus"] == "STOPPED" and told else None

        return eventually(look, "the task is stopped")

    def lines(self, arn: str, container: str = "main") -> list[str]:
        stream = f"run/{container}/{arn.rpartition('/')[2]}"
        answer = self.logs.get_log_events(
            logGroupName=GROUP, logStreamName=stream, startFromHead=True
        )
        return [event["message"] for event in answer["events"]]

    def agent(self) -> psutil.Process | None:
        for process in psutil.Process(self.emulator.identity.pid).children():
            if "stepgrid.local.container_agent" in process.cmdline():
                return process
        return None

    def make_machine(self, definition: str, signs: Path, **states: Any) -> str:
        """A state machine that runs the task and waits for it."""
        role = self.make_role(f"machine-{uuid.uuid4().hex}", "states.amazonaws.com")
        answer = self.states.create_state_machine(
            name=f"machine-{uuid.uuid4().hex}",
            roleArn=role,
            definition=json.dumps(states or run_states(definition, signs)),
        )
        return str(answer["stateMachineArn"])

    def await_execution(self, arn: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = self.states.describe_execution(executionArn=arn)
            return None if found["status"] == "RUNNING" else found

        return eventually(look, "the execution has ended")


def run_states(definition: str, signs: Path) -> dict[str, Any]:
    override = {"Name": "main", "Environment": [{"Name": "SIGNS", "Value": str(signs)}]}
    run = {
        "Type": "Task",
        "Resource": "arn:aws:states:::ecs:runTask.sync",
        "Parameters": {
            "Cluster": CLUSTER,
            "TaskDefinition": definition,
            "LaunchType": "FARGATE",
            "Overrides": {"ContainerOverrides": [override]},
        },
        "End": True,
    }
    return {"StartAt": "Run", "States": {"Run": run}}


class Signs:
    """What the containers of one test have told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, name: str) -> str:
        """Waits until it is there."""
        path = self.folder / name
        return eventually(lambda: path.read_text() if path.exists() else None, f"sign {name}")

    def pid(self, name: str = "sleeps") -> int:
        return int(self.read(name))


def make_fargate(folder: Path) -> Iterator[Fargate]:
    paths = LocalPaths(folder)
    paths.local.mkdir(parents=True)
    emulator = start_emulator(paths)
    try:
        yield Fargate(emulator)
    finally:
        stop_emulator(paths, emulator.identity)


def exit_code(task: Mapping[str, Any]) -> int | None:
    code: int | None = task["containers"][0].get("exitCode")
    return code
