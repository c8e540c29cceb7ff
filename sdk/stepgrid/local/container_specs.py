"""What an ECS task asks for: its containers, their commands, environments and limits.

Pure: reads what DescribeTasks and DescribeTaskDefinition answered, and knows neither processes nor
AWS clients.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

DEFAULT_STOP_TIMEOUT_SECONDS = 30
MAX_STOP_TIMEOUT_SECONDS = 120
DEFAULT_STORAGE_GIB = 20
#: of a Fargate task whose definition does not say
DEFAULT_CPU_UNITS = 256
CPU_UNITS_PER_VCPU = 1024

_SIZE = re.compile(r"\s*(?P<number>[\d.]+)\s*(?P<unit>[a-z]*)\s*", re.IGNORECASE)
_SERVICE = "ecs-tasks.amazonaws.com"


class CannotStartError(Exception):
    """The task cannot be started; the message is what ECS gives as the reason."""


@dataclass(frozen=True)
class LogSettings:
    """Where the lines of a container go: the options of the log driver `awslogs`."""

    group: str
    stream: str
    creates_group: bool = False


@dataclass(frozen=True)
class ContainerSpec:
    """One container of a task, overrides applied."""

    name: str
    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    #: When it ends, the task ends.
    essential: bool = True
    #: From SIGTERM to SIGKILL.
    stop_timeout_seconds: int = DEFAULT_STOP_TIMEOUT_SECONDS
    #: None: nobody asked for its lines.
    log: LogSettings | None = None
    #: Open files: soft and hard limit.
    nofile: tuple[int, int] | None = None


@dataclass(frozen=True)
class TaskSpec:
    """A task to run."""

    arn: str
    cluster_arn: str
    family: str
    revision: int
    containers: tuple[ContainerSpec, ...]
    vcpu: float
    #: None: no limit.
    memory_mib: int | None
    storage_gib: int
    #: None: its containers get no credentials.
    role_arn: str | None = None

    @property
    def task_id(self) -> str:
        return task_id_of(self.arn)


def task_id_of(arn: str) -> str:
    """The last part of a task's ARN."""
    return arn.rpartition("/")[2]


def read_task(task: Mapping[str, Any], definition: Mapping[str, Any]) -> TaskSpec:
    """The task as its definition and its overrides have it. Raises CannotStartError."""
    overrides = task.get("overrides") or {}
    by_name = {found.get("name"): found for found in overrides.get("containerOverrides") or []}
    containers = tuple(
        _read_container(container, by_name.get(container["name"], {}), task_id_of(task["taskArn"]))
        for container in definition["containerDefinitions"]
    )
    memory = overrides.get("memory") or definition.get("memory")
    cpu = overrides.get("cpu") or definition.get("cpu")
    storage = overrides.get("ephemeralStorage") or definition.get("ephemeralStorage") or {}
    return TaskSpec(
        arn=task["taskArn"],
        cluster_arn=task["clusterArn"],
        family=definition["family"],
        revision=definition["revision"],
        containers=containers,
        vcpu=_amount(cpu or DEFAULT_CPU_UNITS, "vcpu", CPU_UNITS_PER_VCPU) / CPU_UNITS_PER_VCPU,
        memory_mib=round(_amount(memory, "gb", 1024)) if memory else None,
        storage_gib=int(storage.get("sizeInGiB", DEFAULT_STORAGE_GIB)),
        role_arn=overrides.get("taskRoleArn") or definition.get("taskRoleArn") or None,
    )


def _read_container(
    container: Mapping[str, Any], override: Mapping[str, Any], task_id: str
) -> ContainerSpec:
    if container.get("secrets"):
        raise CannotStartError(
            "ResourceInitializationError: the local cloud gives containers no secrets"
        )
    command = override.get("command") or container.get("command") or []
    environment = [*(container.get("environment") or []), *(override.get("environment") or [])]
    timeout = container.get("stopTimeout") or DEFAULT_STOP_TIMEOUT_SECONDS
    return ContainerSpec(
        name=container["name"],
        image=container["image"],
        command=(*(container.get("entryPoint") or []), *command),
        environment={entry["name"]: entry.get("value", "") for entry in environment},
        essential=container.get("essential", True),
        stop_timeout_seconds=min(timeout, MAX_STOP_TIMEOUT_SECONDS),
        log=_read_log(container, task_id),
        nofile=_read_nofile(container),
    )


def _read_log(container: Mapping[str, Any], task_id: str) -> LogSettings | None:
    configuration = container.get("logConfiguration") or {}
    options = configuration.get("options") or {}
    if configuration.get("logDriver") != "awslogs":
        return None
    if "awslogs-group" not in options:
        raise CannotStartError(
            "ResourceInitializationError: awslogs needs the option awslogs-group"
        )
    prefix = options.get("awslogs-stream-prefix")
    return LogSettings(
        group=options["awslogs-group"],
        # Without a prefix AWS takes the container's id, of which there is none here.
        stream=f"{prefix}/{container['name']}/{task_id}" if prefix else task_id,
        creates_group=options.get("awslogs-create-group") == "true",
    )


def _read_nofile(container: Mapping[str, Any]) -> tuple[int, int] | None:
    for limit in container.get("ulimits") or []:
        if limit["name"] == "nofile":
            return limit["softLimit"], limit["hardLimit"]
    return None


def _amount(text: object, large_unit: str, factor: int) -> float:
    """A size in small units: "1024" is one, and "1 GB" or "1 vCPU" is `factor` of them."""
    found = _SIZE.fullmatch(str(text))
    if found is None or found["unit"].lower() not in ("", large_unit):
        raise CannotStartError(f"ClientException: invalid size {text!r}")
    return float(found["number"]) * (factor if found["unit"] else 1)


def lets_tasks_in(trust_policy: Mapping[str, Any]) -> bool:
    """Whether the role's trust policy names the service whose tasks want to assume it."""
    statements = trust_policy.get("Statement", [])
    for statement in [statements] if isinstance(statements, dict) else statements:
        principal = statement.get("Principal") or {}
        services = principal.get("Service", []) if isinstance(principal, dict) else []
        if statement.get("Effect") == "Allow" and _SERVICE in (
            [services] if isinstance(services, str) else services
        ):
            return True
    return False
