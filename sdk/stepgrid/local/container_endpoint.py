"""What a container asks its host for: the credentials of its role, and what task it belongs to.

ECS answers this on a link-local address; here it is a server on loopback. Every task has addresses
that nobody can guess, and its credentials ask for a token besides. Knows nothing of processes.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import botocore.exceptions

from stepgrid.local.container_specs import (
    CPU_UNITS_PER_VCPU,
    CannotStartError,
    ContainerSpec,
    TaskSpec,
    lets_tasks_in,
)

HOST = "127.0.0.1"
#: botocore asks anew 15 minutes before the end: what it gets then must last longer.
FRESH_FOR = timedelta(minutes=20)


class RoleCredentials:
    """Credentials of a task's role, made anew before they end."""

    def __init__(self, sts: Any, role_arn: str, session_name: str) -> None:
        self._sts = sts
        self._asked = {"RoleArn": role_arn, "RoleSessionName": session_name}
        self._lock = threading.Lock()
        self._current: dict[str, Any] = {}

    def answer(self) -> dict[str, str]:
        """As the credentials endpoint of ECS answers."""
        with self._lock:
            if not self._are_fresh():
                self._current = self._sts.assume_role(**self._asked)["Credentials"]
            current = self._current
        return {
            "RoleArn": self._asked["RoleArn"],
            "AccessKeyId": current["AccessKeyId"],
            "SecretAccessKey": current["SecretAccessKey"],
            "Token": current["SessionToken"],
            "Expiration": current["Expiration"].astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def _are_fresh(self) -> bool:
        end = self._current.get("Expiration")
        return end is not None and end - datetime.now(UTC) > FRESH_FOR


def assume_role(iam: Any, sts: Any, task: TaskSpec) -> RoleCredentials | None:
    """Credentials of the task's role, None if it has none. Raises CannotStartError.

    The emulator lets the root's key assume every role of a service; ECS assumes only those that
    name it.
    """
    if task.role_arn is None:
        return None
    refused = f"ECS was unable to assume the role '{task.role_arn}' that was provided for this task"
    try:
        role = iam.get_role(RoleName=task.role_arn.rpartition("/")[2])["Role"]
        if not lets_tasks_in(_document(role["AssumeRolePolicyDocument"])):
            raise CannotStartError(f"{refused}: its trust policy does not name ECS tasks")
        credentials = RoleCredentials(sts, task.role_arn, task.task_id)
        credentials.answer()
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        raise CannotStartError(f"{refused}: {error}") from error
    return credentials


def _document(policy: Mapping[str, Any] | str) -> Mapping[str, Any]:
    document: Mapping[str, Any] = json.loads(unquote(policy)) if isinstance(policy, str) else policy
    return document


@dataclass
class TaskAddresses:
    """Where the containers of one task ask."""

    task: TaskSpec
    credentials: RoleCredentials | None
    path: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    def knows(self, token: str | None) -> bool:
        """Whether it is the token of this task."""
        return secrets.compare_digest((token or "").encode(), self.token.encode())

    def environment(self, url: str, container: ContainerSpec) -> dict[str, str]:
        """The variables that lead a container here."""
        number = self.task.containers.index(container)
        found = {"ECS_CONTAINER_METADATA_URI_V4": f"{url}/v4/{self.path}/{number}"}
        if self.credentials is not None:
            found |= {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}/credentials/{self.path}",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN": self.token,
            }
        return found

    def metadata(self, container: ContainerSpec) -> dict[str, Any]:
        """Of one container."""
        return {
            "DockerId": f"{self.task.task_id}-{self.task.containers.index(container)}",
            "Name": container.name,
            "DockerName": container.name,
            "Image": container.image,
            "Labels": {
                "com.amazonaws.ecs.cluster": self.task.cluster_arn,
                "com.amazonaws.ecs.container-name": container.name,
                "com.amazonaws.ecs.task-arn": self.task.arn,
                "com.amazonaws.ecs.task-definition-family": self.task.family,
                "com.amazonaws.ecs.task-definition-version": str(self.task.revision),
            },
            "DesiredStatus": "RUNNING",
            "KnownStatus": "RUNNING",
            "Limits": {"CPU": self.task.vcpu * CPU_UNITS_PER_VCPU},
            "Type": "NORMAL",
        }

    def task_metadata(self) -> dict[str, Any]:
        """Of the task."""
        limits: dict[str, float] = {"CPU": self.task.vcpu}
        if self.task.memory_mib is not None:
            limits["Memory"] = self.task.memory_mib
        return {
            "Cluster": self.task.cluster_arn,
            "TaskARN": self.task.arn,
            "Family": self.task.family,
            "Revision": str(self.task.revision),
            "DesiredStatus": "RUNNING",
            "KnownStatus": "RUNNING",
            "Limits": limits,
            "LaunchType": "FARGATE",
            "Containers": [self.metadata(container) for container in self.task.containers],
        }


class ContainerEndpoint:
    """The server, from its making until `close`."""

    def __init__(self) -> None:
        self._tasks: dict[str, TaskAddresses] = {}
        self._server = ThreadingHTTPServer((HOST, 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://{HOST}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def add(self, addresses: TaskAddresses) -> None:
        self._tasks[addresses.path] = addresses

    def remove(self, addresses: TaskAddresses) -> None:
        self._tasks.pop(addresses.path, None)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, token: str | None) -> tuple[int, dict[str, Any]]:
        """Status and body for a GET."""
        match path.strip("/").split("/"):
            case ["credentials", name] if name in self._tasks:
                return self._credentials(self._tasks[name], token)
            case ["v4", name, number] if name in self._tasks and number.isdecimal():
                containers = self._tasks[name].task.containers
                if int(number) < len(containers):
                    return 200, self._tasks[name].metadata(containers[int(number)])
            case ["v4", name, _, "task"] if name in self._tasks:
                return 200, self._tasks[name].task_metadata()
        return 404, {"message": "not found"}

    def _credentials(self, task: TaskAddresses, token: str | None) -> tuple[int, dict[str, Any]]:
        if task.credentials is None or not task.knows(token):
            return 401, {"code": "AccessDenied", "message": "the authorization token is wrong"}
        try:
            return 200, dict(task.credentials.answer())
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            return 500, {"code": "AssumeRoleFailed", "message": str(error)}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = endpoint.answer(self.path, self.headers.get("Authorization"))
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Say nothing: addresses are secrets."""

        return Handler
