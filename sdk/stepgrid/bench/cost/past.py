"""Finds out what a session of the past, or one that runs, has used of AWS.

    lines of the functions since it was made --> requests, units, GB-seconds
    its execution's history                  --> transitions, children

It waits for nothing: what is there is read once. What the client did by itself nobody has noted:
transfers by presigned URL, and calls before there was a session.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import ClientError

from stepgrid_core.contract import SessionDescription
from stepgrid_core.errors import ConfigurationError

from .bill import API, Usage
from .executions import BURST, BURST_ROUTE, NONE_STARTED, ExecutionUse, read_execution
from .sums import add_up, of_part, session_seconds
from .tally_log import API_FUNCTION, TallyLog

#: Clocks of two machines may differ by so much.
SKEW_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class PastUse:
    """What a session has used, as far as it was noted."""

    usage: Usage
    counted: bool  #: functions have told what they sent; else requests are not in it


def look_back(status: SessionDescription, log: TallyLog, states: Any) -> PastUse:
    """`states`: a boto3 client of Step Functions.

    Raises ConfigurationError for credentials that may not look.
    """
    with _rights():
        found = [each for each in log.read_new() if each.session_id == status.session_id]
        execution = _read_execution(status, states)
    calls = len(of_part(found, API_FUNCTION))
    sent = {f"{API}.calls": calls} if calls else {}
    usage = add_up(sent, found, execution, session_seconds(status))
    return PastUse(usage, counted=bool(found))


def with_tasks(usage: Usage, task_seconds: float | None, memory_mib: int) -> Usage:
    """With the time of tasks in a function that wrote no line of it."""
    own = (task_seconds or 0.0) * memory_mib / 1024
    return replace(usage, function_gb_seconds=usage.function_gb_seconds + own)


def _read_execution(status: SessionDescription, states: Any) -> ExecutionUse:
    """Its newest one. AWS forgets histories after 90 days."""
    if status.execution is None:
        return NONE_STARTED
    if status.route == BURST_ROUTE:
        return BURST
    try:
        return read_execution(states, status.execution)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
            raise
        return NONE_STARTED


@contextmanager
def _rights() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if not error.response["Error"]["Code"].startswith("AccessDenied"):
            raise
        raise ConfigurationError(
            "requests are in the logs of the stack, which these credentials may not read: that "
            "takes an operator's"
        ) from error
