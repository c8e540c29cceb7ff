"""Logs and executions as boto3's clients show them, for what reads them."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from stepgrid_core.request_tally import TALLY_MESSAGE


def tally_event(at_ms: int = 0, **fields: Any) -> dict[str, Any]:
    """An event of a log with the line of one invocation."""
    line = {
        "message": TALLY_MESSAGE,
        "request_id": f"request-{at_ms}",
        "memory_mib": 1024,
        "milliseconds": 100.0,
        "requests": {},
        "units": {},
    }
    return {"timestamp": at_ms, "message": json.dumps(line | fields)}


@dataclass
class FakeLogs:
    """Events by group. paged: with a cursor after each page, as AWS; else from a time on.

    hidden_searches: so many find nothing yet. forbidden: nobody may read them.
    """

    events: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    page: int = 10_000
    paged: bool = True
    hidden_searches: int = 0
    forbidden: bool = False

    def filter_log_events(self, **request: Any) -> dict[str, Any]:
        group = request["logGroupName"]
        if self.forbidden:
            denied = {"Error": {"Code": "AccessDeniedException", "Message": "no"}}
            raise ClientError(denied, "FilterLogEvents")
        if group not in self.events:
            missing = {"Error": {"Code": "ResourceNotFoundException", "Message": "no group"}}
            raise ClientError(missing, "FilterLogEvents")
        self.hidden_searches -= 1
        if self.hidden_searches >= 0:
            return {"events": []}
        begin = int(request.get("nextToken", 0))
        found = [e for e in self.events[group] if e["timestamp"] >= request["startTime"]]
        answer: dict[str, Any] = {"events": found[begin : begin + self.page]}
        if self.paged and len(found) > begin + self.page:
            answer["nextToken"] = str(begin + self.page)
        return answer


@dataclass
class FakeStates:
    """One execution: its states in order, and the children of its Maps.

    Of those named Settle, which are tasks, the first is retried so often.
    """

    entered: Sequence[str] = ()
    children: Sequence[int] = ()
    running_looks: int = 0
    retries: int = 0
    forgotten: bool = False

    def describe_execution(self, executionArn: str) -> dict[str, str]:  # noqa: N803 - AWS's name
        self.running_looks -= 1
        return {"status": "RUNNING" if self.running_looks >= 0 else "SUCCEEDED"}

    def describe_map_run(self, mapRunArn: str) -> dict[str, Any]:  # noqa: N803 - AWS's name
        return {"executionCounts": {"total": int(mapRunArn)}}

    def get_paginator(self, operation: str) -> "FakePages":
        if self.forgotten:
            missing = {"Error": {"Code": "ExecutionDoesNotExist", "Message": "no"}}
            raise ClientError(missing, "GetExecutionHistory")
        if operation == "list_map_runs":
            runs = [{"mapRunArn": str(count)} for count in self.children]
            return FakePages([{"mapRuns": [run]} for run in runs])
        events = [{"type": "ExecutionStarted"}]
        for name in self.entered:
            kind = "Task" if name == "Settle" else "X"
            entered = {"type": f"{kind}StateEntered", "stateEnteredEventDetails": {"name": name}}
            events.append(entered)  # type: ignore[arg-type]
            if kind == "Task":
                events += [{"type": "TaskScheduled"}] * (1 + self.retries)
            events.append({"type": f"{kind}StateExited"})
        return FakePages([{"events": events[:3]}, {"events": events[3:]}])


@dataclass
class FakePages:
    pages: list[dict[str, Any]]

    def paginate(self, **_: Any) -> Iterator[dict[str, Any]]:
        return iter(self.pages)
