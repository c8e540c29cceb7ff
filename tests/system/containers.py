"""What system tests do with containers: find their processes, end them, and read what they told."""

import contextlib
import json
import time
from collections.abc import Callable
from typing import Any

import psutil

from stepgrid.local import LocalCloud
from stepgrid.local.process_tree import MARK_VARIABLE

PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.05


def wait_until(is_so: Callable[[], Any]) -> Any:
    """Look until it is so; fails after a minute. Answers what was seen."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (seen := is_so()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(POLL_SECONDS)
    return seen


def containers_of(session_id: str) -> list[psutil.Process]:
    """The first processes of a session's containers, as far as their package was fetched."""
    return [
        process
        for process in psutil.process_iter()
        if _variable(process, "STEPGRID_SESSION_ID") == session_id
        and _command(process)[-2:] == ["-m", "stepgrid_core.container"]
    ]


def agents_of(cloud: LocalCloud) -> list[psutil.Process]:
    """The container agent of this local cloud."""
    pid = cloud.status().pid
    assert pid is not None
    mark = psutil.Process(pid).environ()[MARK_VARIABLE]
    return [
        process
        for process in psutil.process_iter()
        if _variable(process, MARK_VARIABLE) == mark
        and "stepgrid.local.container_agent" in _command(process)
    ]


def _variable(process: psutil.Process, name: str) -> str | None:
    with contextlib.suppress(psutil.Error):
        return process.environ().get(name)
    return None


def _command(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []


def worker_lines(cloud: LocalCloud, session_id: str, message: str) -> list[dict[str, Any]]:
    """What the worker library logged about a session."""
    found = cloud.client("logs").filter_log_events(
        logGroupName="/aws/lambda/stepgrid-local-worker", filterPattern=f'"{session_id}"'
    )
    lines = [json.loads(event["message"]) for event in found["events"]]
    return [line for line in lines if line.get("message") == message]
