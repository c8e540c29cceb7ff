"""The promises over the broker's way, under any order of claims, runs, deaths, stops and sweeps.

Several containers hold chunks at once; the machine lets them claim, run and die in turns. It drives
the real pullers and the real broker over the ports in memory.
"""

import contextlib
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from stepgrid.testing import EnvironmentDied, InMemoryGrid
from stepgrid.testing.containers import make_puller
from stepgrid.testing.runner import InlineRunner
from stepgrid_core.cancellation import cancel
from stepgrid_core.compute_plane import Claim
from stepgrid_core.container.puller import Puller
from stepgrid_core.container_loss import ContainerEnd, container_ended
from stepgrid_core.contract import SessionUpdate, SubmitRequest
from stepgrid_core.data_plane import read_outcomes
from stepgrid_core.errors import Conflict
from stepgrid_core.invocation import Invocation, facts_of
from stepgrid_core.loss import settle
from stepgrid_core.outputs import read_output
from stepgrid_core.records import Session, count
from stepgrid_core.states import TERMINAL_EVENTS, TERMINAL_SESSIONS, SessionState, TaskState
from stepgrid_core.steering import update_session
from tests.faults.agreement import agreed_counts
from tests.submitting import submit

OWNER = "owner"
KINDS = ("ok", "ok", "ok", "raise", "poison", "slow")
CAUSES = ("", "SpotInterruption", "Essential container in task exited")
#: Containers that are there at once: their places, not their tokens.
PLACES = st.integers(0, 3)


class Fargate(RuleBasedStateMachine):
    """One session, and containers that come and go as they please."""

    @initialize(
        kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=40),
        chunk_size=st.integers(1, 8),
        max_attempts=st.integers(1, 3),
        timeout_seconds=st.sampled_from([120, 3600]),
    )
    def build(
        self, kinds: list[str], chunk_size: int, max_attempts: int, timeout_seconds: int
    ) -> None:
        self.kinds, self.max_attempts = kinds, max_attempts
        self.memory = InMemoryGrid({"work": self.work}, autorun=False, fargate=True)
        self.grid = self.memory.wiring
        self.starts: Counter[int] = Counter()
        self.seen: dict[int, dict[str, Any]] = {}
        self.verdict: SessionState | None = None
        self.cancelled = False
        self.die_in: int | None = None
        self.interrupt: list[Callable[[], object]] = []
        self.tokens = 0
        self.pullers: dict[int, Puller] = {}
        self.claims: dict[int, tuple[Invocation, Claim]] = {}
        request = {
            "client_token": "token",
            "worker": "work",
            "tasks": [{"n": n, "kind": kind} for n, kind in enumerate(kinds)],
            "options": {
                "backend": "fargate",
                "chunk_size": chunk_size,
                "max_attempts": max_attempts,
                "timeout_seconds": timeout_seconds,
                "task_timeout_seconds": 20,
            },
        }
        self.session = submit(self.grid, OWNER, SubmitRequest.model_validate(request))
        self.memory.dispatcher.started.clear()

    def work(self, task: dict[str, Any], _: object) -> int:
        assert not self.cancelled, "a task started after its cancel was answered"
        self.starts[task["n"]] += 1
        self.memory.clock.advance(0.4)
        if self.interrupt:
            self.interrupt.pop()()
        if self.die_in is not None:
            self.die_in -= 1
            if self.die_in < 0:
                raise EnvironmentDied
        if task["kind"] == "poison":
            raise EnvironmentDied
        if task["kind"] == "raise":
            raise ValueError("as asked")
        if task["kind"] == "slow":
            self.memory.clock.advance(30)
        return int(task["n"])

    def puller(self, place: int) -> Puller:
        if place not in self.pullers:
            self.tokens += 1
            self.pullers[place] = make_puller(self.grid, self.session, f"{self.tokens:08x}")
        return self.pullers[place]

    @rule(place=PLACES)
    def claim(self, place: int) -> None:
        """A container asks for a chunk and does not begin with it yet."""
        if place not in self.claims:
            claimed = self.puller(place).claim()
            if claimed is not None:
                self.claims[place] = claimed

    @rule(place=PLACES, die_in=st.none() | st.integers(0, 12), noticed=st.booleans())
    def run(self, place: int, die_in: int | None, noticed: bool) -> None:
        """It runs what it claimed, however long ago that was; perhaps it dies."""
        claimed = self.claims.pop(place, None)
        if claimed is None:
            return
        self.die_in = die_in
        runner = InlineRunner("work", self.work, self.memory.clock)
        try:
            self.puller(place).run(claimed, runner)
        except EnvironmentDied:
            self.die_in = None
            self.vanish(place, noticed=noticed, cause="Essential container in task exited")
        self.die_in = None

    @rule(place=PLACES, inside=st.sampled_from(["cancel", "end", "stop", "lease", "other"]))
    def interfere(self, place: int, inside: str) -> None:
        """While a task of it runs, something happens."""
        acts: dict[str, Callable[[], object]] = {
            "cancel": self.cancel,
            "end": lambda: self.tell_end(place, "Essential container in task exited"),
            "stop": self.puller(place).stopping.begin,
            "lease": lambda: self.memory.clock.advance(61),
            "other": lambda: self.run(3, None, noticed=True) if place != 3 else None,
        }
        self.interrupt = [acts[inside]]
        self.run(place, None, noticed=True)
        self.interrupt = []

    @rule(place=PLACES, noticed=st.booleans(), cause=st.sampled_from(CAUSES))
    def vanish(self, place: int, noticed: bool, cause: str) -> None:
        """A container is gone, and somebody hears of it or nobody does."""
        if noticed:
            self.tell_end(place, cause)
        self.pullers.pop(place, None)
        self.claims.pop(place, None)

    @rule(place=PLACES, cause=st.sampled_from(CAUSES))
    def tell_end(self, place: int, cause: str) -> None:
        """Also of one that lives on."""
        end = ContainerEnd(
            self.puller(place).container, "States.TaskFailed" if cause else "", cause
        )
        container_ended(self.grid, facts_of(self.session), end)

    @rule(place=PLACES)
    def stop(self, place: int) -> None:
        """SIGTERM: what it holds it hands back, when it comes to it."""
        self.puller(place).stopping.begin()

    @rule()
    def cancel(self) -> None:
        before = self.counts()
        cancel(self.grid, OWNER, [self.session.session_id])
        self.cancelled = True
        assert self.counts()[TaskState.FINISHED] >= before[TaskState.FINISHED]
        assert self.stored.verdict in TERMINAL_SESSIONS

    @rule(paused=st.booleans())
    def pause_or_resume(self, paused: bool) -> None:
        with contextlib.suppress(Conflict):  # it is over already
            update = SessionUpdate.model_validate({"paused": paused})
            update_session(self.grid, OWNER, self.session.session_id, update)

    @rule()
    def end_map(self) -> None:
        settle(self.grid, facts_of(self.session))

    @rule(seconds=st.sampled_from([1.0, 30.0, 61.0, 400.0]))
    def pass_time(self, seconds: float) -> None:
        self.memory.clock.advance(seconds)

    @rule()
    def sweep(self) -> None:
        self.memory.sweep()
        self.memory.dispatcher.started.clear()

    @property
    def stored(self) -> Session:
        session = self.grid.table.read_session(self.session.session_id)
        assert session is not None
        return session

    def counts(self) -> dict[TaskState, int]:
        shards = self.grid.table.read_shards(self.session.session_id)
        return count(chunk for shard in shards for chunk in shard.chunks)

    @invariant()
    def counts_add_up(self) -> None:
        assert sum(self.counts().values()) == self.session.tasks
        assert min(self.counts().values()) >= 0
        if self.stored.counts is not None:
            assert self.stored.counts == self.counts()

    @invariant()
    def counts_and_states_agree(self) -> None:
        agreed_counts(self.memory, OWNER, self.session.session_id)

    @invariant()
    def visible_results_never_change(self) -> None:
        now = self.outcomes()
        for index, outcome in self.seen.items():
            assert now.get(index) == outcome
        self.seen.update(now)
        for index, outcome in now.items():
            if outcome["state"] == "finished":
                assert outcome["result"] == index

    @invariant()
    def verdicts_never_change(self) -> None:
        if self.verdict is not None:
            assert self.stored.verdict is self.verdict
        self.verdict = self.stored.verdict

    @invariant()
    def poison_is_started_at_most_max_attempts_times(self) -> None:
        for index, starts in self.starts.items():
            if self.kinds[index] == "poison":
                assert starts <= self.max_attempts, index

    def outcomes(self) -> dict[int, dict[str, Any]]:
        found = {}
        for shard in self.grid.table.read_shards(self.session.session_id):
            for slot in range(len(shard.chunks)):
                for line in read_outcomes(read_output(self.grid, self.session, shard, slot)):
                    if line["state"] in ("finished", "failed"):
                        found[line["i"]] = json.loads(json.dumps(line))
        return found

    def teardown(self) -> None:
        """Left alone with the sweeper, the session ends, and that is told."""
        if not hasattr(self, "grid"):
            return
        self.pause_or_resume(paused=False)
        self.memory.dispatcher.stop(self.stored)
        for _ in range(30):
            self.memory.run()
            self.memory.clock.advance(400)
            self.memory.sweep()
        assert self.stored.verdict in TERMINAL_SESSIONS
        assert any(event.kind in TERMINAL_EVENTS for event in self.memory.events.published)
        assert self.grid.table.due_sessions(self.memory.clock.now() + 1e9, 10) == []
        assert self.grid.table.read_lane(self.session.lane).used == 0
        self.counts_add_up()
        self.visible_results_never_change()
        self.poison_is_started_at_most_max_attempts_times()


TestContainerPromises = Fargate.TestCase
TestContainerPromises.settings = settings(max_examples=60, stateful_step_count=30)
