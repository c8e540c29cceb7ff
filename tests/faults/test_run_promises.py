"""The promises to federated tasks, under any order of nodes, deaths, repeats, kills and sweeps."""

from dataclasses import dataclass

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from stepgrid_core.cancellation import cancel
from stepgrid_core.data_plane import TaskFault
from stepgrid_core.federation.run_rows import (
    RunOutcome,
    claim_of,
    claim_run,
    fail_untouched,
    finish_run,
    give_back_run,
    kill_run,
    read_result,
    read_run,
    read_runs,
    renew_run,
)
from stepgrid_core.records import Session, count
from stepgrid_core.states import TERMINAL_EVENTS, TERMINAL_SESSIONS, ChunkState, TaskState
from tests.faults.agreement import agreed_counts
from tests.federated import OWNER, federate, federated_grid

LEASES = (60.0, 900.0)
NODES = ("a" * 32, "b" * 32, "node00000001")


@dataclass(frozen=True)
class Held:
    """A claim as a node knows it, good or not."""

    session: Session
    index: int
    claim: str


class Federation(RuleBasedStateMachine):
    """Tasks of up to 40 organizations, whose nodes do as they please."""

    sessions = Bundle("sessions")
    claims = Bundle("claims")

    @initialize()
    def build(self) -> None:
        self.memory, _ = federated_grid()
        self.grid = self.memory.wiring
        self.made: list[Session] = []
        self.claimants: dict[tuple[str, int, str], str] = {}
        self.outcomes: dict[tuple[str, int], RunOutcome] = {}
        self.accepted: dict[tuple[str, int], RunOutcome] = {}
        self.cancelled: set[str] = set()
        self.verdicts: dict[str, object] = {}

    @rule(
        target=sessions,
        organizations=st.sampled_from([1, 2, 3, 17, 40]),
        max_attempts=st.integers(1, 3),
        timeout_seconds=st.none() | st.just(5_000.0),
        large=st.booleans(),
    )
    def create(
        self, organizations: int, max_attempts: int, timeout_seconds: float | None, large: bool
    ) -> Session:
        number = len(self.made)
        session = federate(
            self.grid,
            organizations,
            session_id=f"{number:08x}-0000-0000-0000-000000000000",
            task_id=number + 1,
            inputs=[f"{k}" * (20_000 if large else 1) for k in range(organizations)],
            timeout_seconds=timeout_seconds,
            max_attempts=max_attempts,
        )
        self.made.append(session)
        return session

    @rule(
        target=claims,
        session=sessions,
        index=st.integers(0, 39),
        node=st.sampled_from(NODES),
        lease_seconds=st.sampled_from(LEASES),
    )
    def claim(self, session: Session, index: int, node: str, lease_seconds: float) -> object:
        index %= session.chunks
        row = claim_run(self.grid, session, index, node, lease_seconds)
        if row is None:
            return multiple()
        assert session.session_id not in self.cancelled, "a run began after its cancel was answered"
        claim = claim_of(row)
        whose = self.claimants.setdefault((session.session_id, index, claim), node)
        assert whose == node, "two nodes have one claim"
        return Held(session, index, claim)

    @rule(held=claims, lease_seconds=st.sampled_from(LEASES))
    def renew(self, held: Held, lease_seconds: float) -> None:
        good = renew_run(self.grid, held.session, held.index, held.claim, lease_seconds)
        row = read_run(self.grid, held.session, held.index)
        assert good is (row.state is ChunkState.RUNNING and claim_of(row) == held.claim)

    @rule(
        held=claims,
        result=st.sampled_from(["small", "x" * 20_000, None]),
        milliseconds=st.sampled_from([1.0, 2.5]),
    )
    def finish(self, held: Held, result: str | None, milliseconds: float) -> None:
        """True exactly for the first of a good claim, and for its repeats."""
        fault = TaskFault("crashed", "last words") if result is None else None
        place = (held.session.session_id, held.index)
        before = read_run(self.grid, held.session, held.index)
        good = before.state is ChunkState.RUNNING and claim_of(before) == held.claim
        state = TaskState.FAILED if fault else TaskState.FINISHED
        outcome = RunOutcome(state, result, fault)
        same_claim = before.state is ChunkState.ENDED and claim_of(before) == held.claim
        taken = finish_run(
            self.grid,
            held.session,
            held.index,
            held.claim,
            result=result,
            fault=fault,
            milliseconds=milliseconds,
        )
        assert taken is (good or (same_claim and self.accepted.get(place) == outcome))
        if good:
            self.accepted[place] = outcome

    @rule(held=consumes(claims))
    def give_back(self, held: Held) -> None:
        give_back_run(self.grid, held.session, held.index, held.claim)

    @rule(session=sessions, index=st.integers(0, 39))
    def kill_one(self, session: Session, index: int) -> None:
        index %= session.chunks
        was_open = not read_run(self.grid, session, index).terminal
        assert kill_run(self.grid, session, index) is was_open

    @rule(session=sessions)
    def fail_rest(self, session: Session) -> None:
        waiting = [
            index
            for index, row in enumerate(read_runs(self.grid, session))
            if row.state is ChunkState.PENDING
        ]
        assert fail_untouched(self.grid, session, "a sibling crashed") == waiting

    @rule(session=sessions)
    def cancel(self, session: Session) -> None:
        before = count(read_runs(self.grid, session))
        counts = cancel(self.grid, OWNER, [session.session_id])[session.session_id]
        after = count(read_runs(self.grid, session))
        gained = after[TaskState.CANCELLED] - before[TaskState.CANCELLED]
        assert counts.total_cancelled_tasks == gained
        assert after[TaskState.FINISHED] == before[TaskState.FINISHED]
        self.cancelled.add(session.session_id)

    @rule(seconds=st.sampled_from([1.0, 61.0, 901.0, 86_400.0]))
    def pass_time(self, seconds: float) -> None:
        self.memory.clock.advance(seconds)

    @rule()
    def sweep(self) -> None:
        self.memory.sweep()

    @invariant()
    def counts_add_up(self) -> None:
        for session in self.made:
            counts = agreed_counts(self.memory, OWNER, session.session_id)
            assert sum(counts.model_dump().values()) == session.tasks

    @invariant()
    def a_session_is_closed_by_its_last_run(self) -> None:
        """And its verdict and counts never change."""
        for session in self.made:
            stored = self.grid.table.read_session(session.session_id)
            assert stored is not None
            over = all(row.terminal for row in read_runs(self.grid, session))
            assert (stored.verdict in TERMINAL_SESSIONS) is over
            if over:
                told = (stored.verdict, stored.counts)
                assert self.verdicts.setdefault(session.session_id, told) == told

    @invariant()
    def outcomes_never_change(self) -> None:
        """And what a node was told was taken is what is read."""
        for session in self.made:
            for index in range(session.chunks):
                outcome = read_result(self.grid, session, index)
                place = (session.session_id, index)
                assert place not in self.outcomes or self.outcomes[place] == outcome
                if outcome is not None:
                    self.outcomes[place] = outcome
                    assert self.accepted.get(place, outcome) == outcome

    @invariant()
    def nothing_is_dispatched(self) -> None:
        assert self.memory.dispatcher.started == []

    @invariant()
    def no_run_is_lost_too_often(self) -> None:
        for session in self.made:
            for row in read_runs(self.grid, session):
                assert row.losses <= session.max_attempts
                assert (row.losses < session.max_attempts) or row.state is ChunkState.LOST

    def teardown(self) -> None:
        """Nodes that come at last end whatever is open, and each end is told."""
        if not hasattr(self, "made"):
            return
        for session in self.made:
            for index in range(session.chunks):
                self._end(session, index)
        self.memory.sweep()
        ended = {e.session_id for e in self.memory.events.published if e.kind in TERMINAL_EVENTS}
        assert ended == {session.session_id for session in self.made}
        assert self.memory.table.due_sessions(self.memory.clock.now() + 1e12, 10) == []

    def _end(self, session: Session, index: int) -> None:
        while not read_run(self.grid, session, index).terminal:
            self.memory.clock.advance(1_000)
            row = claim_run(self.grid, session, index, "c" * 32, 60)
            if row is not None:
                claim = claim_of(row)
                assert finish_run(
                    self.grid, session, index, claim, result="at last", fault=None, milliseconds=1
                )


TestRunPromises = Federation.TestCase
TestRunPromises.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
