"""Starts algorithms: from a run's folders to how its process ended, in vantage6's words.

exit 0        completed       not started    start failed
other exits   crashed         no such image  non-existing Docker image
"""

import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from stepgrid.node.algorithms.commands import (
    LABEL,
    ContainerCommand,
    Start,
    docker_environment,
    make_container,
    make_process,
)
from stepgrid.node.algorithms.process import Command, Exit, run_command
from stepgrid.node.config import Docker
from stepgrid.node.folders import write_private
from stepgrid.node.statuses import COMPLETED, CRASHED, NO_IMAGE, START_FAILED

#: The docker command's own failures, as of its manual; the image's program was not started.
_DOCKER_FAILED = 125
_DOCKER_SECONDS = 30.0
MOST_LOG_BYTES = 16_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an algorithm ended."""

    status: str
    log: str


class Starter(Protocol):
    def start(self, start: Start, gone: threading.Event) -> Outcome: ...


class Starts:
    """Of one node. Threads share it."""

    def __init__(
        self, docker: Docker, require_pull: bool, owner: str, own: Mapping[str, str]
    ) -> None:
        """owner: names the node on this machine; own: the node's environment."""
        self._docker = docker
        self._require_pull = require_pull
        self._owner = owner
        self._own = own

    def start(self, start: Start, gone: threading.Event) -> Outcome:
        """Until its end, which `gone` hastens."""
        if not start.algorithm.container:
            return _outcome(*_run(make_process(start, self._own), gone))
        missing = self._fetch(start, gone)
        if missing is not None:
            return Outcome(NO_IMAGE, missing)
        return self._run_container(
            make_container(start, self._docker, self._owner, self._own), gone
        )

    def _run_container(self, made: ContainerCommand, gone: threading.Event) -> Outcome:
        write_private(made.env_file, made.env_text.encode())
        ended, log = _run(made.run, gone)
        if gone.is_set() or (ended.code or 0) < 0:
            self._call_docker(made.kill)  # it does not end with the command that started it
        if ended.code == _DOCKER_FAILED:
            return Outcome(START_FAILED, log)
        return _outcome(ended, log)

    def _fetch(self, start: Start, gone: threading.Event) -> str | None:
        """Pull it; why there is none to run, or None."""
        pulled, log = _run(self._docker_command(start, "pull"), gone)
        if pulled.code == 0:
            return None
        inspect = self._docker_command(start, "image", "inspect")
        if not self._require_pull and _run(inspect, gone)[0].code == 0:
            return None
        return f"the image {start.image} could not be pulled: {pulled.error or log}"

    def _docker_command(self, start: Start, *words: str) -> Command:
        argv = (self._docker.command, *words, start.image)
        return Command(argv, docker_environment(self._own), start.site.folder)

    def remove_left(self) -> None:
        """Containers that an earlier process of this node left."""
        found = self._call_docker(
            (self._docker.command, "ps", "--all", "--quiet", "--filter",
             f"label={LABEL}={self._owner}")
        )  # fmt: skip
        if found.split():
            self._call_docker((self._docker.command, "rm", "--force", *found.split()))

    def _call_docker(self, argv: Sequence[str]) -> str:
        """What it prints; nothing where it fails: Docker may be gone, or the container."""
        with suppress(OSError, subprocess.TimeoutExpired):
            return subprocess.run(  # noqa: S603 - of node.yaml
                argv,
                env=docker_environment(self._own),
                capture_output=True,
                text=True,
                timeout=_DOCKER_SECONDS,
                check=False,
            ).stdout
        return ""


def _run(command: Command, gone: threading.Event) -> tuple[Exit, str]:
    try:
        return run_command(command, gone, MOST_LOG_BYTES)
    except OSError as error:
        return Exit(None, str(error)), ""


def _outcome(ended: Exit, log: str) -> Outcome:
    if ended.code is None:
        return Outcome(START_FAILED, f"the algorithm could not be started: {ended.error}")
    if ended.code < 0:
        return Outcome(CRASHED, f"{log}\nthe algorithm was killed by signal {-ended.code}")
    if ended.code > 0:
        return Outcome(CRASHED, f"{log}\nthe algorithm ended with exit code {ended.code}")
    return Outcome(COMPLETED, log)
