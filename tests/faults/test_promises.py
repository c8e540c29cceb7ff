"""The promises, under any order of submits, workers, deaths, duplicates, cancels and sweeps.

The machine drives the real control and compute planes over the in-memory ports. Every rule is
something that may happen at any time; after each of them every promise is checked.
"""

import contextlib
import json
from collections import Counter

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from stepgrid.testing import EnvironmentDied, InMemoryGrid
from stepgrid_core.budgets import Usage
from stepgrid_core.cancellation import cancel
from stepgrid_core.contract import SessionUpdate, SubmitRequest
from stepgrid_core.data_plane import read_outcomes
from stepgrid_core.description import DEADLINE_GRACE_SECONDS, describe
from stepgrid_core.errors import Conflict, QuotaExceeded
from stepgrid_core.invocation import Invocation, facts_of
from stepgrid_core.loss import lose, settle
from stepgrid_core.outputs import read_output
from stepgrid_core.records import count
from stepgrid_core.states import TERMINAL_EVENTS, TERMINAL_SESSIONS, ChunkState, TaskState
from stepgrid_core.steering import update_session
from tests.faults.agreement import agreed_counts
from tests.submitting import submit

OWNER, STRANGER = "owner", "stranger"
TASK_SECONDS = 0.4
#: Of each worker; a session wants as many as it has chunks.
SLOTS = 12
#: The owner's quota of open sessions and of the tasks in them.
MOST_SESSIONS, MOST_TASKS = 5, 200
WORKERS = ("work", "other-work")
KINDS = ("ok", "ok", "ok", "ok", "raise", "poison", "slow")


class Grid(RuleBasedStateMachine):
    """One owner's sessions on a grid whose parts die as they please."""

    sessions = Bundle("sessions")

    @initialize()
    def build(self) -> None:
        self.memory = InMemoryGrid(
            dict.fromkeys(WORKERS, self.work),
            autorun=False,
            settings={
                "worker_concurrency": SLOTS,
                "owner_sessions": MOST_SESSIONS,
                "owner_tasks": MOST_TASKS,
            },
        )
        self.grid = self.memory.wiring
        self.starts: Counter[str] = Counter()
        self.kinds: dict[str, str] = {}
        self.attempts: dict[str, int] = {}
        self.commons: dict[str, object] = {}
        self.dependencies: dict[str, tuple[str, ...]] = {}
        self.seen: dict[str, dict[int, dict[str, object]]] = {}
        self.answered: set[str] = set()
        self.cancelled: Counter[str] = Counter()
        self.verdicts: dict[str, object] = {}
        self.tokens = 0
        self.die_in: int | None = None
        self.interrupt: list[object] = []

    def work(self, task: dict[str, object], context: object) -> object:
        """The worker's function: what the task says, and what the machine has planned."""
        task_id = context.task_id  # type: ignore[attr-defined]
        session = task_id.rpartition("_")[0]
        assert session not in self.answered, "a task started after its cancel was answered"
        self._may_have_started(session)
        assert context.common == self.commons[session]  # type: ignore[attr-defined]
        self.starts[task_id] += 1
        self.memory.clock.advance(TASK_SECONDS)
        if self.interrupt:
            self.interrupt.pop()()  # type: ignore[operator]
        if self.die_in is not None:
            self.die_in -= 1
            if self.die_in < 0:
                self.die_in = None
                raise EnvironmentDied
        if task["kind"] == "poison":
            raise EnvironmentDied
        if task["kind"] == "raise":
            raise ValueError("as asked")
        if task["kind"] == "slow":
            self.memory.clock.advance(30)
        return task["n"]

    def _may_have_started(self, session_id: str) -> None:
        """Only if all that it depends on has finished well."""
        for name in self.dependencies[session_id]:
            ended = self.grid.table.read_session(name)
            assert ended is not None
            assert ended.counts is not None
            assert ended.counts[TaskState.FINISHED] == ended.tasks

    @rule(
        target=sessions,
        # what depends on a session starts only if all of its tasks have results
        kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=70)
        | st.lists(st.just("ok"), min_size=1, max_size=20),
        chunk_size=st.none() | st.integers(1, 9),
        max_attempts=st.integers(1, 3),
        timeout_seconds=st.sampled_from([60, 3600]),
        worker=st.sampled_from(WORKERS),
        common=st.none() | st.integers(0, 1),
        after=st.lists(st.integers(0, 20), max_size=2),
    )
    def submit(
        self,
        kinds: list[str],
        chunk_size: int | None,
        max_attempts: int,
        timeout_seconds: int,
        worker: str,
        common: int | None,
        after: list[int],
    ) -> object:
        """Accepted, and the same once more; or refused over the quota, and then without a trace."""
        self.tokens += 1
        known = list(self.dependencies)
        depends_on = [known[number % len(known)] for number in after if known]
        request = SubmitRequest.model_validate(
            {
                "client_token": f"token-{self.tokens}",
                "worker": worker,
                "common": common,
                "depends_on": depends_on,
                "tasks": [{"n": n, "kind": kind} for n, kind in enumerate(kinds)],
                "options": {
                    "chunk_size": chunk_size,
                    # on few slots, chunks that the plan chooses have many sizes
                    "max_concurrency": 3 if chunk_size is None else None,
                    "max_attempts": max_attempts,
                    "timeout_seconds": timeout_seconds,
                    "task_timeout_seconds": 20,
                },
            }
        )
        before = self._everything_stored()
        try:
            session = submit(self.grid, OWNER, request)
        except QuotaExceeded:
            assert self._everything_stored() == before
            return multiple()
        again = submit(self.grid, OWNER, request)
        assert again.session_id == session.session_id
        self.commons[session.session_id] = common
        self.dependencies[session.session_id] = session.depends_on
        for n, kind in enumerate(kinds):
            self.kinds[f"{session.session_id}_{n}"] = kind
            self.attempts[f"{session.session_id}_{n}"] = max_attempts
        return session.session_id

    @rule(session=sessions, chunk=st.integers(0, 70), die_in=st.none() | st.integers(0, 12))
    def invoke(self, session: str, chunk: int, die_in: int | None) -> None:
        """A worker gets a chunk, perhaps one that another has, had or that is over; it may die."""
        stored = self.grid.table.read_session(session)
        assert stored is not None
        if not stored.dispatches and stored.depends_on:
            return  # it was never started, and so nobody calls a worker for it
        facts = facts_of(stored)
        self.die_in = die_in
        self.tokens += 1
        invocation = Invocation(facts, chunk % facts.chunks, f"free-{self.tokens}")
        try:
            self.memory.executions.invoke_unrecorded(invocation)
        except EnvironmentDied:
            if self.tokens % 2:
                lose(self.grid, invocation, "Runtime.ExitError")
        self.die_in = None

    @rule(session=sessions, chunk=st.integers(0, 70), inside=st.sampled_from(["cancel", "twin"]))
    def interfere(self, session: str, chunk: int, inside: str) -> None:
        """While a task runs, its session is cancelled, or the same chunk is invoked once more."""
        other = self.cancel if inside == "cancel" else self._twin(chunk)
        self.interrupt = [lambda: other(session)]
        self.invoke(session, chunk, None)
        self.interrupt = []

    def _twin(self, chunk: int):  # type: ignore[no-untyped-def]
        return lambda session: self.invoke(session, chunk, None)

    @rule()
    def run_executions(self) -> None:
        self.memory.run()

    @rule(session=sessions)
    def end_map(self, session: str) -> None:
        stored = self.grid.table.read_session(session)
        assert stored is not None
        settle(self.grid, facts_of(stored))

    @rule(session=sessions)
    def cancel(self, session: str) -> None:
        before = self._counts(session)
        counts = cancel(self.grid, OWNER, [session])[session]
        after = self._counts(session)
        gained = after[TaskState.CANCELLED] - before[TaskState.CANCELLED]
        assert counts.total_cancelled_tasks == gained
        assert after[TaskState.FINISHED] >= before[TaskState.FINISHED], "a finished task was lost"
        stored = self.grid.table.read_session(session)
        assert stored is not None
        assert stored.verdict in TERMINAL_SESSIONS
        self.answered.add(session)

    @rule(session=sessions, paused=st.booleans())
    def pause_or_resume(self, session: str, paused: bool) -> None:
        """Nothing that was settled is lost by it, and one that is over stays as it is."""
        before = self._counts(session)
        self._update(session, paused=paused)
        after = self._counts(session)
        assert after[TaskState.FINISHED] >= before[TaskState.FINISHED]
        stored = self.grid.table.read_session(session)
        assert stored is not None
        assert stored.verdict is not None or stored.paused is paused

    @rule(session=sessions, priority=st.integers(0, 9))
    def set_priority(self, session: str, priority: int) -> None:
        self._update(session, priority=priority)

    def _update(self, session: str, **changes: int | bool) -> None:
        with contextlib.suppress(Conflict):  # it is over already
            update_session(self.grid, OWNER, session, SessionUpdate.model_validate(changes))

    @rule(session=sessions)
    def cancel_by_stranger(self, session: str) -> None:
        before = self._counts(session)
        assert cancel(self.grid, STRANGER, [session])[session].total_cancelled_tasks == 0
        assert self._counts(session) == before

    @rule(session=sessions)
    def ask(self, session: str) -> None:
        """Once the deadline has passed, nobody is told that the session still runs."""
        shown = describe(self.grid, OWNER, session)
        overdue = self.memory.clock.now() >= shown.timings.deadline_at + DEADLINE_GRACE_SECONDS
        assert shown.state in TERMINAL_SESSIONS or not overdue

    @rule(seconds=st.sampled_from([1.0, 61.0, 400.0, 1000.0]))
    def pass_time(self, seconds: float) -> None:
        self.memory.clock.advance(seconds)

    @precondition(lambda self: self.tokens)
    @rule()
    def sweep(self) -> None:
        self.memory.sweep()

    def _everything_stored(self) -> object:
        usage, objects = self.grid.table.read_usage(OWNER, ""), self.memory.payloads.list_keys()
        lanes = [self.grid.table.read_lane(worker) for worker in WORKERS]
        return self._all(), usage, objects, lanes, len(self.memory.dispatcher.started)

    def _counts(self, session: str) -> dict[TaskState, int]:
        shards = self.grid.table.read_shards(session)
        return count(chunk for shard in shards for chunk in shard.chunks)

    @invariant()
    def counts_add_up(self) -> None:
        for session in self._all():
            assert sum(self._counts(session.session_id).values()) == session.tasks
            if session.counts is not None:
                assert session.counts == self._counts(session.session_id)

    @invariant()
    def budgets_are_kept(self) -> None:
        """Open sessions hold no more slots than there are; paused, waiting and closed ones none."""
        still_open = [session for session in self._all() if session.verdict is None]
        assert len(still_open) <= MOST_SESSIONS
        assert sum(session.tasks for session in still_open) <= MOST_TASKS
        for worker in WORKERS:
            theirs = [session for session in still_open if session.worker == worker]
            assert sum(session.slots for session in theirs) <= SLOTS
            queue = self.grid.table.list_waiting(worker, None, 100)
            waiting = [session.session_id for session in theirs if session.waiting]
            # The entry of one that is overdue may have been dropped before it was ended.
            assert {entry.session_id for entry in queue} <= set(waiting)
        for session in still_open:
            if session.paused or session.waiting or session.blocked:
                assert session.slots == 0
            if session.blocked:
                assert (session.waiting, session.dispatches) == (False, 0)

    @invariant()
    def nothing_starts_without_slots(self) -> None:
        """No chunk of a session that was started and then lost its slots can be claimed."""
        for session in self._all():
            if session.verdict is None and (session.paused or session.waiting):
                shards = self.grid.table.read_shards(session.session_id)
                # One that ran while its session was paused is held a minute after it comes back.
                assert not session.dispatches or all(
                    chunk.attempt
                    for shard in shards
                    for chunk in shard.chunks
                    if chunk.state is ChunkState.PENDING
                )

    @invariant()
    def counts_and_states_agree(self) -> None:
        for session in self._all():
            agreed_counts(self.memory, OWNER, session.session_id)

    @invariant()
    def visible_results_never_change(self) -> None:
        for session in self._all():
            seen = self.seen.setdefault(session.session_id, {})
            now = self._outcomes(session)
            for index, outcome in seen.items():
                assert now.get(index) == outcome
            seen.update(now)
            for index, outcome in now.items():
                if outcome["state"] == "finished":
                    assert outcome["result"] == index

    @invariant()
    def verdicts_never_change(self) -> None:
        for session in self._all():
            if session.verdict is not None:
                assert (
                    self.verdicts.setdefault(session.session_id, session.verdict) is session.verdict
                )

    @invariant()
    def poison_is_started_at_most_max_attempts_times(self) -> None:
        for task_id, starts in self.starts.items():
            if self.kinds[task_id] == "poison":
                assert starts <= self.attempts[task_id], task_id

    def _all(self) -> list:  # type: ignore[type-arg]
        return list(self.grid.table.list_sessions(OWNER, None, None, 1000).items)

    def _outcomes(self, session) -> dict[int, dict[str, object]]:  # type: ignore[no-untyped-def]
        found = {}
        for shard in self.grid.table.read_shards(session.session_id):
            for slot in range(len(shard.chunks)):
                for line in read_outcomes(read_output(self.grid, session, shard, slot)):
                    if line["state"] in ("finished", "failed"):
                        found[line["i"]] = json.loads(json.dumps(line))
        return found

    def teardown(self) -> None:
        """Left alone with the sweeper, every accepted session ends, and is announced."""
        if not hasattr(self, "grid"):
            return
        for session in self._all():
            self._update(session.session_id, paused=False)
        for _ in range(40):
            self.memory.run()
            self.memory.clock.advance(400)
            self.memory.sweep()
        published = self.memory.events.published
        announced = {each.session_id for each in published if each.kind in TERMINAL_EVENTS}
        for session in self._all():
            state = describe(self.grid, OWNER, session.session_id).state
            assert state in TERMINAL_SESSIONS
            assert session.session_id in announced
            self._everything_has_its_outcome(session)
            self._failed_only_with_a_reason(session.session_id)
        self.poison_is_started_at_most_max_attempts_times()
        assert self.grid.table.due_sessions(self.memory.clock.now() + 1e9, 10) == []
        assert [self.grid.table.list_waiting(worker, None, 10) for worker in WORKERS] == [[], []]
        assert self.grid.table.read_usage(OWNER, "") == Usage()
        assert [self.grid.table.read_lane(worker).used for worker in WORKERS] == [0, 0]

    def _failed_only_with_a_reason(self, session_id: str) -> None:
        """A session that was never started for its dependency names one that did not succeed."""
        shown = describe(self.grid, OWNER, session_id)
        if shown.reason is not None:
            named = [name for name in self.dependencies[session_id] if name in shown.reason]
            ends = [self.grid.table.read_session(name) for name in named]
            assert any(end.counts[TaskState.FINISHED] < end.tasks for end in ends)

    def _everything_has_its_outcome(self, session) -> None:  # type: ignore[no-untyped-def]
        """Where nothing was cancelled and no deadline passed, innocent tasks have their results."""
        for index, outcome in self._outcomes(session).items():
            if outcome["state"] == "failed" and self.kinds[f"{session.session_id}_{index}"] == "ok":
                assert outcome["error"]["type"] == "WorkerLost"  # type: ignore[index]


TestPromises = Grid.TestCase
TestPromises.settings = settings(max_examples=60, stateful_step_count=25)
