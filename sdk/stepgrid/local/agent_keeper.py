"""Keeps the container agent alive while the emulator lives.

The agent is a child of the emulator's process, and holds the reading end of a pipe from it as its
standard input: however the emulator ends, the agent learns it. It starts with the first cluster, so
a project without one does not pay for it. Its log goes where the emulator's goes. Knows nothing of
ECS.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from stepgrid.local.emulator import HOST, PASSED_VARIABLES
from stepgrid.local.process_tree import MARK_VARIABLE

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
#: One that lived this long did not fail at its start.
STEADY_SECONDS = 10.0

_PASSED = (
    *PASSED_VARIABLES,
    MARK_VARIABLE,
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_EC2_METADATA_DISABLED",
    "TMPDIR",
)


def start_keeper(wanted: threading.Event, environment: Mapping[str, str]) -> None:
    """Start the agent when it is wanted, and again whenever it ends; in a daemon thread.

    environment: the emulator's own. TMPDIR in it is the scratch folder of the local cloud.
    """
    if "TMPDIR" not in environment or "GATEWAY_PORT" not in environment:
        raise RuntimeError("the emulator was not started with emulator_environment()")
    threading.Thread(
        target=_keep, args=(wanted, environment), daemon=True, name="agent-keeper"
    ).start()


def agent_command(environment: Mapping[str, str]) -> list[str]:
    """How the agent of the emulator with this environment is started."""
    url = f"http://{HOST}:{environment['GATEWAY_PORT']}"
    folder = Path(environment["TMPDIR"]) / "containers"
    program = [sys.executable, "-m", "stepgrid.local.container_agent"]
    return [*program, "--endpoint-url", url, "--folder", str(folder)]


def agent_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What the agent gets of the emulator's environment: no key, no setting of the emulator."""
    return {name: environment[name] for name in _PASSED if name in environment}


def _keep(wanted: threading.Event, environment: Mapping[str, str]) -> None:
    wanted.wait()
    pause_seconds = FIRST_PAUSE_SECONDS
    while True:
        begun = time.monotonic()
        process = subprocess.Popen(  # noqa: S603 - a program of our own
            agent_command(environment),
            cwd=os.getcwd(),
            env=agent_environment(environment),
            stdin=subprocess.PIPE,
        )
        process.wait()
        if time.monotonic() - begun >= STEADY_SECONDS:
            pause_seconds = FIRST_PAUSE_SECONDS
        time.sleep(pause_seconds)
        pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)
