"""What pause and resume do to a session and to those who wait."""

from typing import Any

import pytest

from stepgrid_core.admission import start
from stepgrid_core.cancellation import cancel
from stepgrid_core.contract import SessionUpdate
from stepgrid_core.description import describe
from stepgrid_core.errors import Conflict, NotFound
from stepgrid_core.states import SessionState
from stepgrid_core.steering import update_session
from tests.unit.admission_bench import OWNER, RIVAL, Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_paused_nothing_more_starts_and_what_runs_is_finished(bench: Bench) -> None:
    """Paused during its second task: that one has its result, the other two wait for `resume`."""
    session = bench.submit("paused", tasks=4)
    bench.inside = [lambda: bench.update(session, paused=True), lambda: None]
    bench.memory.run()
    shown = describe(bench.memory.wiring, OWNER, session.session_id)
    assert (shown.counts.finished, shown.counts.pending) == (2, 2)
    assert (shown.paused, shown.slots) == (True, 0)
    bench.update(session, paused=False)
    bench.memory.run()
    assert bench.state(session) is SessionState.FINISHED


def test_paused_between_admission_and_start_it_does_not_start(bench: Bench) -> None:
    """The pause came too early to hold what the start releases: the start holds it again."""
    admitted = bench.submit("paused", tasks=2)
    bench.update(admitted, paused=True)
    start(bench.memory.wiring, admitted)
    bench.memory.run()
    assert bench.ran == []
    bench.update(admitted, paused=False)
    bench.memory.run()
    assert bench.state(admitted) is SessionState.FINISHED


def test_a_paused_session_lets_others_in(bench: Bench) -> None:
    """Its slots are theirs, and it gets in line again when it is resumed."""
    first = bench.fill()
    bench.submit("second", tasks=2)
    bench.update(first, paused=True)
    bench.memory.run()
    assert bench.ran == ["second"]
    bench.update(first, paused=False)
    bench.memory.run()
    assert bench.ran == ["second", "first"]


def test_paused_while_it_waits_it_is_passed(bench: Bench) -> None:
    """And resumed it has the place that its age and priority give it."""
    bench.fill()
    one, other = bench.submit("one", tasks=2), bench.submit("other", tasks=2)
    bench.update(one, paused=True)
    bench.update(other, paused=True)
    bench.update(other, paused=False)
    bench.update(one, paused=False)
    bench.memory.run()
    assert bench.ran == ["first", "one", "other"]


def test_a_paused_session_can_be_cancelled(bench: Bench) -> None:
    """All of its tasks are counted as pending."""
    session = bench.submit("paused", tasks=3)
    bench.update(session, paused=True)
    counts = cancel(bench.memory.wiring, OWNER, [session.session_id])[session.session_id]
    assert counts.cancelled_pending == 3
    with pytest.raises(Conflict, match="cancelled"):
        bench.update(session, paused=False)


def test_a_paused_session_keeps_its_deadline(bench: Bench) -> None:
    """Else it would outlast its own data."""
    session = bench.submit("paused", timeout_seconds=60)
    bench.update(session, paused=True)
    bench.memory.clock.advance(61)
    bench.memory.sweep()
    assert bench.state(session) is SessionState.FAILED


def test_pausing_again_changes_nothing(bench: Bench) -> None:
    """Nor does resuming what is not paused."""
    session = bench.submit("session")
    bench.update(session, paused=False)
    for _ in range(2):
        bench.update(session, paused=True)
    for _ in range(2):
        bench.update(session, paused=False)
    bench.memory.run()
    assert bench.state(session) is SessionState.FINISHED


@pytest.mark.parametrize("change", [{"paused": True}, {"priority": 1}])
def test_a_session_of_somebody_else_is_not_found(bench: Bench, change: dict[str, Any]) -> None:
    """As one that is not there."""
    session = bench.submit("mine")
    with pytest.raises(NotFound):
        update_session(
            bench.memory.wiring, RIVAL, session.session_id, SessionUpdate.model_validate(change)
        )
