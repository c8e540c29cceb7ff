"""Read logs as lines: the emulator's own log file, and what functions wrote to CloudWatch Logs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

POLL_INTERVAL_SECONDS = 0.5


def file_lines(path: Path, follow: Callable[[], bool]) -> Iterator[str]:
    """The lines of a file; after the last one, wait for more while `follow()` is true."""
    if not path.exists():
        return
    unfinished = ""
    with path.open(encoding="utf-8", errors="replace") as file:
        for part in _parts(file, follow):
            unfinished += part
            if unfinished.endswith("\n"):
                yield unfinished.rstrip("\n")
                unfinished = ""
    if unfinished:
        yield unfinished


def _parts(file: TextIO, follow: Callable[[], bool]) -> Iterator[str]:
    """What readline gives, where a line may come in several parts while it is written."""
    while True:
        if part := file.readline():
            yield part
        elif follow():
            time.sleep(POLL_INTERVAL_SECONDS)
        else:
            return


def function_log_group(lambda_client: Any, function_name: str) -> str:
    """Where the function's output goes: the group it names, or Lambda's default for it."""
    configuration = lambda_client.get_function_configuration(FunctionName=function_name)
    default = f"/aws/lambda/{function_name}"
    return str(configuration.get("LoggingConfig", {}).get("LogGroup") or default)


def group_lines(logs_client: Any, group: str, follow: Callable[[], bool]) -> Iterator[str]:
    """The messages of a log group, oldest first; then wait for more while `follow()` is true."""
    # By content, not by event id, which the emulator leaves out: the n-th equal line is the n-th.
    seen: Counter[tuple[int, str, str]] = Counter()
    since_ms = 0
    while True:
        found: Counter[tuple[int, str, str]] = Counter()
        for event in _events_since(logs_client, group, since_ms):
            line = (event["timestamp"], event.get("logStreamName", ""), event["message"])
            found[line] += 1
            since_ms = event["timestamp"]
            if found[line] > seen[line]:
                yield str(event["message"]).rstrip("\n")
        seen = found or seen
        if not follow():
            return
        time.sleep(POLL_INTERVAL_SECONDS)


def _events_since(logs_client: Any, group: str, since_ms: int) -> list[dict[str, Any]]:
    try:
        pages = logs_client.get_paginator("filter_log_events").paginate(
            logGroupName=group, startTime=since_ms
        )
        events = [event for page in pages for event in page["events"]]
    except logs_client.exceptions.ResourceNotFoundException:
        # The group is made with the first line.
        return []
    return sorted(events, key=lambda event: event["timestamp"])
