"""Run the SAM CLI against the emulator: build the project, deploy the stack.

Knows commands, their environment and their failures. When to build or deploy is not decided here.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepgrid.local.errors import DeploymentError
from stepgrid.local.storage import LocalPaths

STACK_NAME = "stepgrid-local"
#: The section of samconfig.toml that the local cloud deploys by.
CONFIG_ENVIRONMENT = "local"
COMMAND_TIMEOUT_SECONDS = 900.0
SHOWN_LOG_LINES = 15


@dataclass(frozen=True)
class AwsAccess:
    """Where and as whom AWS calls are made."""

    endpoint_url: str
    region: str
    access_key_id: str
    secret_access_key: str


def deployment_parameters(project_dir: Path) -> dict[str, str]:
    """The template's parameters: samconfig's for the local cloud, and what fits this machine.

    The functions run in this very interpreter, on this processor: packages must be made for them.
    Each running chunk is a process of this machine, so there are few unless samconfig wants more.
    A parameter that the template does not have is ignored by the SAM CLI.
    """
    at_once = max(4, os.cpu_count() or 1)
    concurrency = {"DefaultConcurrency": str(at_once), "WorkerConcurrency": str(2 * at_once)}
    machine = {
        "PythonRuntime": f"python{sys.version_info.major}.{sys.version_info.minor}",
        "Architecture": machine_architecture(platform.machine()),
    }
    return concurrency | _configured_parameters(project_dir) | machine


def machine_architecture(machine: str) -> str:
    """Lambda's name for the processor: x86_64 or arm64."""
    return "arm64" if machine.lower() in {"arm64", "aarch64"} else "x86_64"


def _configured_parameters(project_dir: Path) -> dict[str, str]:
    """`parameter_overrides` of `[local.deploy.parameters]` in samconfig.toml, if any."""
    config = project_dir / "samconfig.toml"
    if not config.is_file():
        return {}
    section: Any = tomllib.loads(config.read_text(encoding="utf-8"))
    for key in (CONFIG_ENVIRONMENT, "deploy", "parameters"):
        section = section.get(key, {})
    overrides = section.get("parameter_overrides", [])
    pairs = overrides.split() if isinstance(overrides, str) else overrides
    return {name: value.strip('"') for name, _, value in (pair.partition("=") for pair in pairs)}


def sam_environment(paths: LocalPaths, access: AwsAccess | None) -> dict[str, str]:
    """The user's environment (pip needs its settings) without anything that leads to real AWS."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    loopback = "127.0.0.1,localhost"
    environment = kept | {
        # The SAM CLI looks for `python3.X` and its pip there.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)]),
        "NO_PROXY": ",".join(filter(None, [kept.get("NO_PROXY"), loopback])),
        "no_proxy": ",".join(filter(None, [kept.get("no_proxy"), loopback])),
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_POLL_DELAY": "0.2",
        "__SAM_CLI_APP_DIR": str(paths.sam_home),
        "AWS_CONFIG_FILE": str(paths.absent),
        "AWS_SHARED_CREDENTIALS_FILE": str(paths.absent),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    if access is None:
        return environment
    return environment | {
        "AWS_ENDPOINT_URL": access.endpoint_url,
        "AWS_DEFAULT_REGION": access.region,
        "AWS_ACCESS_KEY_ID": access.access_key_id,
        "AWS_SECRET_ACCESS_KEY": access.secret_access_key,
    }


def build_command(paths: LocalPaths, parameters: Mapping[str, str]) -> list[str]:
    return [
        "build",
        *_config_options(paths),
        *("--template-file", str(paths.project_dir / "template.yaml")),
        *("--build-dir", str(paths.build_dir)),
        *("--cached", "--cache-dir", str(paths.cache_dir)),
        "--parallel",
        *_parameter_options(parameters),
    ]


def deploy_command(paths: LocalPaths, parameters: Mapping[str, str], region: str) -> list[str]:
    return [
        "deploy",
        *_config_options(paths),
        *("--template-file", str(paths.build_dir / "template.yaml")),
        *("--stack-name", STACK_NAME),
        "--resolve-s3",
        *("--region", region),
        *("--capabilities", "CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"),
        "--no-confirm-changeset",
        "--no-fail-on-empty-changeset",
        "--no-progressbar",
        *_parameter_options(parameters),
    ]


def _config_options(paths: LocalPaths) -> list[str]:
    config = paths.project_dir / "samconfig.toml"
    if not config.is_file():
        return []
    return ["--config-file", str(config), "--config-env", CONFIG_ENVIRONMENT]


def _parameter_options(parameters: Mapping[str, str]) -> list[str]:
    if not parameters:
        return []
    return ["--parameter-overrides", *(f"{name}={value}" for name, value in parameters.items())]


def run_sam(
    paths: LocalPaths, command: Sequence[str], access: AwsAccess | None, lock_descriptor: int
) -> None:
    """Run one SAM command in the project, its output to the SAM log.

    lock_descriptor is inherited: should this process be killed, the lock stays held until the
    SAM CLI has ended as well, so no other `up` works on the same files.
    Raises DeploymentError with the last lines of the output.
    """
    _silence_version_check(paths)
    with paths.sam_log.open("ab") as log:
        log.write(f"$ sam {' '.join(command)}\n".encode())
        log.flush()
        try:
            finished = subprocess.run(  # noqa: S603 - our own interpreter and a fixed module
                [sys.executable, "-m", "samcli", *command],
                cwd=paths.project_dir,
                env=sam_environment(paths, access),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[lock_descriptor],
                timeout=COMMAND_TIMEOUT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise _failure(paths, command, f"took over {COMMAND_TIMEOUT_SECONDS:.0f} s") from None
    if finished.returncode != 0:
        raise _failure(paths, command, f"ended with code {finished.returncode}")


def _failure(paths: LocalPaths, command: Sequence[str], what: str) -> DeploymentError:
    lines = paths.sam_log.read_text(encoding="utf-8", errors="replace").splitlines()
    shown = "\n".join(line for line in lines[-SHOWN_LOG_LINES:] if line.strip())
    message = f"`sam {command[0]}` {what}. Its last lines (all: {paths.sam_log}):\n{shown}"
    return DeploymentError(message, paths.sam_log)


def _silence_version_check(paths: LocalPaths) -> None:
    """Tell the SAM CLI that it has just looked for a newer version: it would ask the network."""
    paths.sam_home.mkdir(parents=True, exist_ok=True)
    settings = {"lastVersionCheck": time.time(), "telemetryEnabled": False}
    (paths.sam_home / "metadata.json").write_text(json.dumps(settings), encoding="utf-8")
