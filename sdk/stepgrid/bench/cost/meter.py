"""Runs one session and finds out all that it used of AWS.

    client counts --> run the session --> client counts    what the client sent
    log lines of the functions, until all have come        what the functions sent, their time
    the execution's history                                transitions, children

Nothing is estimated but the time of EXPRESS executions, which AWS tells nobody: it is taken from
the invocations in them. Calls that only measure are not counted.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stepgrid.client import Grid
from stepgrid.retry import Clock, Deadline
from stepgrid.session import Session
from stepgrid_core.contract import SessionDescription
from stepgrid_core.errors import ConfigurationError, DeadlineExceeded, StepgridError

from .bill import API, Usage
from .executions import BURST, BURST_ROUTE, ExecutionUse, is_over, read_execution
from .past import SKEW_SECONDS, PastUse, look_back
from .sums import add_up, of_part, session_seconds
from .tally_log import API_FUNCTION, CONTAINER, RECORDER, RELAY, WORKER, Invocation, TallyLog

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
        self._logs = client("logs")
        self._stack_name = stack_name
        self._log = TallyLog(self._logs, stack_name, now)
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
        usage = add_up(sent, counted, self._read_execution(status), session_seconds(status))
        return SessionCost(session.id, status.tasks, status.chunks, status.route, usage, counted)

    def look_back(self, status: SessionDescription) -> PastUse:
        """What a session has used since it was made; see past.look_back."""
        log = TallyLog(self._logs, self._stack_name, status.timings.created_at - SKEW_SECONDS)
        return look_back(status, log, self._states)

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
        runs = len(of_part(found, WORKER)) + len(of_part(found, RELAY))
        if runs < status.chunks and len(of_part(found, CONTAINER)) < _pullers(status):
            return False
        if status.route == BURST_ROUTE:
            return True
        return bool(of_part(found, RECORDER)) and is_over(self._states, status.execution or "")

    def _read_execution(self, status: SessionDescription) -> ExecutionUse:
        if status.route == BURST_ROUTE:
            return BURST
        return read_execution(self._states, status.execution or "")


def _pullers(status: SessionDescription) -> float:
    """Processes of its containers, of which each writes a line; infinite where there are none."""
    return sum(max(1, int(each.vcpu)) for each in status.containers) or math.inf


def _but(invocations: Iterable[Invocation], part: str) -> list[Invocation]:
    return [each for each in invocations if each.part != part]


def subtract(after: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    """What was counted between two snapshots."""
    grown = {name: count - before.get(name, 0) for name, count in after.items()}
    return {name: count for name, count in grown.items() if count}


def _missing(session_id: str, found: Sequence[Invocation]) -> StepgridError:
    if not found:
        return ConfigurationError(HOW_TO_COUNT)
    return DeadlineExceeded(
        f"after {PATIENCE_SECONDS:.0f} s the logs hold only {len(found)} invocations of session "
        f"{session_id}; measure again"
    )
