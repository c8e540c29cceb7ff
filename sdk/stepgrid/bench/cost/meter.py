"""Runs one session and finds out all that it used of AWS.

    client counts --> run the session --> client counts    what the client sent
    log lines of the functions, until all have come        what the functions sent, their time
    the execution's history                                transitions, children

Nothing is estimated but the time of EXPRESS executions, which AWS tells nobody: it is taken from
the invocations in them. Calls that only measure are not counted.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stepgrid.client import Grid
from stepgrid.retry import Clock, Deadline
from stepgrid.session import Session
from stepgrid_core.contract import SessionDescription
from stepgrid_core.errors import ConfigurationError, DeadlineExceeded, StepgridError

from .bill import API, EXPRESS_GB, EXPRESS_STEP_SECONDS, Usage
from .executions import BURST, ExecutionUse, is_over, read_execution
from .tally_log import API_FUNCTION, RECORDER, RELAY, WORKER, Invocation, TallyLog

BURST_ROUTE = "burst"
#: Lines reach CloudWatch within seconds; an execution ends seconds after its session.
PATIENCE_SECONDS, LOOK_SECONDS = 120.0, 0.5
HOW_TO_COUNT = (
    "no function has told what it sent: deploy the grid with CountRequests=on, or run "
    "`stepgrid local up --count-requests`"
)


@dataclass(frozen=True, slots=True)
class SessionCost:
    """One session, and what it used."""

    session_id: str
    tasks: int
    chunks: int
    route: str
    usage: Usage
    #: what each invocation counted, those of the API first and in order
    invocations: tuple[Invocation, ...]


def exhaust(session: Session) -> None:
    """Take the results one by one, while the session runs, and keep none."""
    for _ in session:
        pass


class CostMeter:
    """Measures sessions of one grid, one after the other; nobody else should use it meanwhile."""

    def __init__(
        self, grid: Grid, stack_name: str, client: Callable[[str], Any], clock: Clock, now: float
    ) -> None:
        """client: boto3 clients by the name of the service, with an operator's rights. now: epoch
        seconds; what functions wrote before is not looked at."""
        self._grid = grid
        self._states = client("stepfunctions")
        self._log = TallyLog(client("logs"), stack_name, now)
        self._clock = clock

    def measure(
        self,
        worker: str,
        tasks: Iterable[Any],
        take: Callable[[Session], Any] = exhaust,
        **options: Any,
    ) -> SessionCost:
        """Run a session and have `take` take its results.

        Raises ConfigurationError if the grid's functions don't count, DeadlineExceeded if their
        lines don't come, and whatever a session may raise.
        """
        self._log.read_new()
        before = self._grid.request_counts.snapshot()
        session = self._grid.submit(worker, tasks, **options)
        take(session)
        sent = subtract(self._grid.request_counts.snapshot(), before)
        status = session.status()  # from here on nothing counts
        calls = sum(count for name, count in sent.items() if name.startswith(API))
        found = self._wait_for(status, calls + 1)
        # A function writes its line before it answers, so the last call's line is the last one.
        counted = (*of_part(found, API_FUNCTION)[:calls], *_but(found, API_FUNCTION))
        usage = add_up(sent, counted, self._read_execution(status), _seconds(status))
        return SessionCost(session.id, status.tasks, status.chunks, status.route, usage, counted)

    def _wait_for(self, status: SessionDescription, calls: int) -> list[Invocation]:
        """All lines of the session, and of uploads, which belong to none yet."""
        found: list[Invocation] = []
        deadline = Deadline.after(self._clock, PATIENCE_SECONDS)
        ours = (status.session_id, None)
        while True:
            found += [each for each in self._log.read_new() if each.session_id in ours]
            if len(of_part(found, API_FUNCTION)) >= calls and self._is_complete(status, found):
                return found
            if deadline.passed:
                raise _missing(status.session_id, found)
            self._clock.sleep(LOOK_SECONDS)

    def _is_complete(self, status: SessionDescription, found: Sequence[Invocation]) -> bool:
        """Every chunk was run, and the execution that made them run is over and settled."""
        if len(of_part(found, WORKER)) + len(of_part(found, RELAY)) < status.chunks:
            return False
        if status.route == BURST_ROUTE:
            return True
        return bool(of_part(found, RECORDER)) and is_over(self._states, status.execution or "")

    def _read_execution(self, status: SessionDescription) -> ExecutionUse:
        if status.route == BURST_ROUTE:
            return BURST
        return read_execution(self._states, status.execution or "")


def add_up(
    sent: Mapping[str, int],
    invocations: Sequence[Invocation],
    execution: ExecutionUse,
    session_seconds: float,
) -> Usage:
    """What the client sent, the functions counted and Step Functions ran, as one usage.

    session_seconds: from submit to end, which is the time of a burst's one execution; other EXPRESS
    executions are as long as the invocation in them.
    """
    requests: Counter[str] = Counter(sent)
    units: defaultdict[str, float] = defaultdict(float)
    for each in invocations:
        requests.update(each.requests)
        for unit, amount in each.units.items():
            units[unit] += amount
    runs = [each.milliseconds / 1000 for each in invocations if each.part in (WORKER, RELAY)]
    express = [session_seconds] if execution == BURST else runs[: execution.express_executions]
    called = sum(each.requests.get("lambda.Invoke", 0) for each in of_part(invocations, RELAY))
    return Usage(
        requests=dict(requests),
        units=dict(units),
        invocations=len(invocations) + called,  # registered functions write no lines
        state_transitions=execution.state_transitions,
        express_executions=execution.express_executions,
        function_gb_seconds=sum(map(_gb_seconds, invocations)),
        express_gb_seconds=sum(map(_express_gb_seconds, express)),
    )


def of_part(invocations: Iterable[Invocation], part: str) -> list[Invocation]:
    return [each for each in invocations if each.part == part]


def _but(invocations: Iterable[Invocation], part: str) -> list[Invocation]:
    return [each for each in invocations if each.part != part]


def subtract(after: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    """What was counted between two snapshots."""
    grown = {name: count - before.get(name, 0) for name, count in after.items()}
    return {name: count for name, count in grown.items() if count}


def _gb_seconds(invocation: Invocation) -> float:
    return invocation.memory_mib / 1024 * math.ceil(invocation.milliseconds) / 1000


def _express_gb_seconds(seconds: float) -> float:
    return math.ceil(seconds / EXPRESS_STEP_SECONDS) * EXPRESS_STEP_SECONDS * EXPRESS_GB


def _seconds(status: SessionDescription) -> float:
    return (status.timings.closed_at or status.timings.created_at) - status.timings.created_at


def _missing(session_id: str, found: Sequence[Invocation]) -> StepgridError:
    if not found:
        return ConfigurationError(HOW_TO_COUNT)
    return DeadlineExceeded(
        f"after {PATIENCE_SECONDS:.0f} s the logs hold only {len(found)} invocations of session "
        f"{session_id}; measure again"
    )
