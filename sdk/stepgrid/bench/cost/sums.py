"""From what each invocation counted to what a session used. Pure."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from stepgrid_core.contract import SessionDescription

from .bill import EXPRESS_GB, EXPRESS_STEP_SECONDS, Usage
from .executions import BURST, ExecutionUse
from .tally_log import CONTAINER, RELAY, WORKER, Invocation


def add_up(
    sent: Mapping[str, int],
    invocations: Sequence[Invocation],
    execution: ExecutionUse,
    session_seconds: float,
) -> Usage:
    """What the client sent, the functions counted and Step Functions ran, as one usage.

    session_seconds: from submit to end, which is the time of a burst's one execution; other EXPRESS
    executions are as long as the invocation in them. Containers count as requests alone: their time
    is billed by the container (session_bill), and what they ask of the broker by its own lines.
    """
    requests: Counter[str] = Counter(sent)
    units: defaultdict[str, float] = defaultdict(float)
    for each in invocations:
        requests.update(each.requests)
        for unit, amount in each.units.items():
            units[unit] += amount
    runs = [each.milliseconds / 1000 for each in invocations if each.part in (WORKER, RELAY)]
    express = [session_seconds] if execution == BURST else runs[: execution.express_executions]
    functions = [each for each in invocations if each.part != CONTAINER]
    called = sum(each.requests.get("lambda.Invoke", 0) for each in of_part(invocations, RELAY))
    return Usage(
        requests=dict(requests),
        units=dict(units),
        invocations=len(functions) + called,  # registered functions write no lines
        state_transitions=execution.state_transitions,
        express_executions=execution.express_executions,
        function_gb_seconds=sum(map(_gb_seconds, functions)),
        express_gb_seconds=sum(map(_express_gb_seconds, express)),
    )


def of_part(invocations: Iterable[Invocation], part: str) -> list[Invocation]:
    return [each for each in invocations if each.part == part]


def _gb_seconds(invocation: Invocation) -> float:
    return invocation.memory_mib / 1024 * math.ceil(invocation.milliseconds) / 1000


def _express_gb_seconds(seconds: float) -> float:
    return math.ceil(seconds / EXPRESS_STEP_SECONDS) * EXPRESS_STEP_SECONDS * EXPRESS_GB


def session_seconds(status: SessionDescription) -> float:
    return (status.timings.closed_at or status.timings.created_at) - status.timings.created_at
