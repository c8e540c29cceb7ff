"""What Step Functions does with an execution, step by step and in memory.

    dispatch --> for each chunk: claim token --> run_chunk --> "again"? --> ...
                                   died? --> lose --> "again"? --> ...
             --> settle --> chunks left? --> another round

The order of the steps is the test's: `step` does one, `run` all that there are.
"""

import itertools
from collections.abc import Mapping

from stepgrid_core.admission import admit_waiting
from stepgrid_core.compute_plane import run_chunk
from stepgrid_core.dependencies import release_dependents
from stepgrid_core.invocation import Invocation, facts_of
from stepgrid_core.loss import lose, settle
from stepgrid_core.memory import MemoryDispatcher, VirtualClock
from stepgrid_core.ports import Dispatch, ExecutionState
from stepgrid_core.records import Session
from stepgrid_core.wiring import Grid

from .containers import Containers
from .runner import EnvironmentDied, Handler, InlineRunner

ENVIRONMENT_SECONDS = 900.0


class Executions:
    """Runs the executions that a MemoryDispatcher was asked to start."""

    def __init__(
        self,
        grid: Grid,
        dispatcher: MemoryDispatcher,
        clock: VirtualClock,
        handlers: Mapping[str, Handler],
    ) -> None:
        self._grid = grid
        self._dispatcher = dispatcher
        self._clock = clock
        self._handlers = handlers
        self._tokens = (f"token-{number:06d}" for number in itertools.count())
        # The first eight characters tell containers apart, see records.puller_token.
        containers = (f"{number:08x}" for number in itertools.count())
        self._containers = Containers(grid, lambda: next(containers))
        self._running = False

    def run(self) -> None:
        """Run all that was started, and all that starts meanwhile; does nothing inside itself."""
        if self._running:
            return
        self._running = True
        try:
            given = self._dispatcher
            while given.started or given.woken or given.released:
                if given.released:
                    release_dependents(self._grid, given.released.pop(0))
                elif given.woken:
                    admit_waiting(self._grid, given.woken.pop(0))
                else:
                    self._execute(self._dispatcher.started.pop(0))
        finally:
            self._running = False

    def _execute(self, dispatch: Dispatch) -> None:
        if dispatch.session.container is None:
            self._run_chunks(dispatch)
        else:
            self._run_containers(dispatch.session, len(dispatch.chunks))
        name = (dispatch.session.session_id, dispatch.number)
        self._dispatcher.states[name] = ExecutionState.ENDED

    def _run_chunks(self, dispatch: Dispatch) -> None:
        chunks, lines = list(dispatch.chunks), dispatch.lines
        while chunks:
            for place, chunk in enumerate(chunks):
                self._child(dispatch, chunk, lines[place] if lines else None)
            lines = None
            is_map = dispatch.session.route == "map" or dispatch.number > 1
            chunks = settle(self._grid, facts_of(dispatch.session)) if is_map else []

    def _run_containers(self, session: Session, chunks: int) -> None:
        wanted = session.containers_for(chunks)
        while wanted:
            for _ in range(wanted):
                self._containers.run(session, lambda: self._runner(session.worker))
            wanted = len(settle(self._grid, facts_of(session)))

    def _child(self, dispatch: Dispatch, chunk: int, lines: str | None) -> None:
        outcome = "again"
        while outcome == "again":
            invocation = Invocation(facts_of(dispatch.session), chunk, next(self._tokens), lines)
            outcome = self.invoke(invocation)

    def invoke(self, invocation: Invocation) -> str:
        """One worker invocation; a death is recorded as the state machine would."""
        try:
            return self.invoke_unrecorded(invocation)
        except EnvironmentDied:
            return lose(self._grid, invocation, "Runtime.ExitError")

    def invoke_unrecorded(self, invocation: Invocation) -> str:
        """One worker invocation; a death is raised to the caller, and nobody takes note of it."""
        return self.invoke_on(self._grid, invocation)

    def invoke_on(self, grid: Grid, invocation: Invocation) -> str:
        """One worker invocation whose world is another grid, for example one with faults."""
        runner = self._runner(invocation.facts.worker)
        started = self._clock.monotonic()

        def time_left() -> float:
            return ENVIRONMENT_SECONDS - (self._clock.monotonic() - started)

        return run_chunk(grid, invocation, runner, time_left)

    def _runner(self, worker: str) -> InlineRunner:
        return InlineRunner(worker, self._handlers[worker], self._clock)
