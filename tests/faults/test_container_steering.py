"""Containers of a session that is cancelled, paused or late, or whose broker is silent."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from stepgrid.testing import EnvironmentDied
from stepgrid.testing.containers import MemoryBroker
from stepgrid_core.broker import LEASE_SECONDS
from stepgrid_core.cancellation import cancel
from stepgrid_core.container.puller import PAUSES_SECONDS
from stepgrid_core.contract import SessionUpdate
from stepgrid_core.errors import Unavailable
from stepgrid_core.invocation import facts_of
from stepgrid_core.loss import settle
from stepgrid_core.ports import ExecutionState
from stepgrid_core.states import ChunkState, SessionState
from stepgrid_core.steering import update_session
from tests.faults.agreement import agreed_counts
from tests.faults.fleet import DIED, FIRST, OWNER, SECOND, SPOT_TAKEN, Fleet, Patience, SilentBroker


class TestSteering:
    @pytest.mark.parametrize("task", range(6))
    def test_nothing_starts_after_a_cancel(self, task: int) -> None:
        """What was finished stays, counts add up, and the container goes."""
        fleet = Fleet(chunk_size=3)
        started: list[int] = []

        def cancel_it() -> None:
            cancel(fleet.grid, OWNER, [fleet.session.session_id])
            started.append(sum(fleet.starts.values()))

        fleet.meanwhile[task] = cancel_it
        fleet.puller(FIRST).pull(fleet.runner)
        assert sum(fleet.starts.values()) == started[0]
        assert fleet.stored.verdict is SessionState.CANCELLED
        assert not fleet.end(FIRST).wanted
        counts = agreed_counts(fleet.memory, OWNER, fleet.session.session_id)
        assert counts.finished + counts.cancelled == 6
        assert fleet.puller(SECOND).pull(fleet.runner) == 0

    @pytest.mark.parametrize("task", range(4))
    def test_a_pause_lets_containers_run_dry(self, task: int) -> None:
        """They end and have no successor; resumed, the session is finished by others."""
        fleet = Fleet()

        def pause() -> None:
            self.update(fleet, paused=True)

        fleet.meanwhile[task] = pause
        fleet.memory.dispatcher.started.clear()
        fleet.puller(FIRST).pull(fleet.runner)
        assert sum(fleet.starts.values()) < 6
        assert not fleet.end(FIRST, cause=SPOT_TAKEN).wanted
        assert fleet.puller(SECOND).pull(fleet.runner) == 0
        fleet.memory.dispatcher.stop(fleet.session)
        self.update(fleet, paused=False)
        fleet.heal()
        fleet.check_finished()

    @pytest.mark.parametrize("task", range(4))
    def test_a_pause_costs_no_task_its_work(self, task: int) -> None:
        """The execution is left alone, since it would take its containers along."""
        fleet = Fleet()
        execution = []

        def pause() -> None:
            self.update(fleet, paused=True)
            execution.append(fleet.grid.dispatcher.look(fleet.session))

        fleet.meanwhile[task] = pause
        fleet.puller(FIRST).pull(fleet.runner)
        assert execution == [ExecutionState.RUNNING]
        assert set(fleet.starts.values()) == {1}
        assert fleet.rows()[task // 2].state is ChunkState.ENDED

    @pytest.mark.parametrize("cause", [DIED, SPOT_TAKEN])
    def test_containers_from_before_a_pause_begin_nothing(self, cause: str) -> None:
        """Resumed, the session has slots for those of its new execution alone."""
        fleet = Fleet()
        old = facts_of(fleet.session)

        def pause_and_resume() -> None:
            self.update(fleet, paused=True)
            self.update(fleet, paused=False)

        fleet.meanwhile[1] = pause_and_resume
        assert fleet.puller(FIRST).pull(fleet.runner) == 1
        assert not fleet.end(FIRST, cause=cause).wanted
        assert settle(fleet.grid, old) == []
        assert settle(fleet.grid, facts_of(fleet.stored)) == [0]
        assert sum(fleet.starts.values()) == 2
        fleet.heal()
        fleet.check_finished()

    def test_a_paused_session_has_no_further_round(self) -> None:
        """Whatever a lost container gave back: it would be started, and told to go, for ever."""
        fleet = Fleet()
        fleet.poison = {0}
        fleet.meanwhile[0] = lambda: self.update(fleet, paused=True)
        with pytest.raises(EnvironmentDied):
            fleet.puller(FIRST).pull(fleet.runner)
        assert not fleet.end(FIRST).wanted
        assert settle(fleet.grid, facts_of(fleet.session)) == []

    def update(self, fleet: Fleet, **changes: Any) -> None:
        update = SessionUpdate.model_validate(changes)
        update_session(fleet.grid, OWNER, fleet.session.session_id, update)

    @pytest.mark.parametrize("task", range(6))
    def test_a_deadline_ends_what_is_left(self, task: int) -> None:
        """What was finished before stays; nobody starts another container."""
        fleet = Fleet(timeout_seconds=60, task_timeout_seconds=10)
        fleet.meanwhile[task] = lambda: fleet.memory.clock.advance(61)
        fleet.puller(FIRST).pull(fleet.runner)
        fleet.heal()
        assert fleet.stored.verdict is SessionState.FAILED or task == 5
        counts = agreed_counts(fleet.memory, OWNER, fleet.session.session_id)
        assert counts.finished >= task
        assert counts.finished + counts.failed == 6
        assert not fleet.end(FIRST).wanted


class TestSilence:
    def test_a_claim_whose_answer_was_lost_is_found_again(self) -> None:
        """No chunk is lost by it, and none is run twice."""
        fleet = Fleet()
        asked: Counter[str] = Counter()

        def silent(question: Mapping[str, Any]) -> bool:
            asked[question["action"]] += 1
            return question["action"] == "claim" and asked["claim"] % 2 == 1

        broker = SilentBroker(MemoryBroker(fleet.grid), silent)
        puller = replace(fleet.puller(FIRST, broker=broker), stopping=Patience(fleet.memory))
        puller.pull(fleet.runner)
        fleet.check_finished()
        assert {row.losses for row in fleet.rows()} == {0}
        assert set(fleet.starts.values()) == {1}

    @pytest.mark.parametrize("lost", range(1, 8))
    def test_a_look_whose_answer_was_lost_costs_no_claim(self, lost: int) -> None:
        """It may have renewed the lease; what comes next is written all the same."""
        fleet = Fleet(chunk_size=6)
        looks: list[float] = []

        def silent(question: Mapping[str, Any]) -> bool:
            if question["action"] == "look":
                looks.append(fleet.memory.clock.now())
            return question["action"] == "look" and len(looks) == lost

        for task in range(6):
            fleet.meanwhile[task] = lambda: fleet.memory.clock.advance(15)
        puller = fleet.puller(FIRST, broker=SilentBroker(MemoryBroker(fleet.grid), silent))
        puller.pull(fleet.runner)
        fleet.check_finished()
        assert set(fleet.starts.values()) == {1}
        assert len(looks) >= 5

    def test_a_broker_that_stays_silent_is_given_up(self) -> None:
        """After more than a minute; the container has failed, and what it held is given back."""
        fleet = Fleet()
        silent = SilentBroker(MemoryBroker(fleet.grid), lambda asked: asked["action"] == "claim")
        patience = Patience(fleet.memory)
        puller = replace(fleet.puller(FIRST, broker=silent), stopping=patience)
        with pytest.raises(Unavailable):
            puller.pull(fleet.runner)
        assert patience.pauses == list(PAUSES_SECONDS)
        assert sum(PAUSES_SECONDS) > LEASE_SECONDS
        assert fleet.end(FIRST).wanted
        fleet.heal()
        fleet.check_finished()

    def test_who_is_stopped_meanwhile_asks_no_more(self) -> None:
        """It has little time left."""
        fleet = Fleet()
        silent = SilentBroker(MemoryBroker(fleet.grid), lambda asked: asked["action"] == "claim")
        patience = Patience(fleet.memory)
        puller = replace(fleet.puller(FIRST, broker=silent), stopping=patience)
        patience.begin()
        assert puller.claim() is None
        assert len(patience.pauses) == 1
