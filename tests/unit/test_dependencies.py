"""Sessions that depend on others: when they start, and what becomes of them when one fails."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from stepgrid_core.contract import MAX_DEPENDENCIES, SubmitRequest
from stepgrid_core.dependencies import DEPENDENTS_PAGE, REASON_BYTES, release, release_dependents
from stepgrid_core.description import describe, list_sessions
from stepgrid_core.errors import Conflict, InvalidRequest, NotFound
from stepgrid_core.invocation import Invocation, facts_of
from stepgrid_core.outputs import delete_session, list_tasks
from stepgrid_core.ports import StateTable
from stepgrid_core.records import Session
from stepgrid_core.result_pages import read_results
from stepgrid_core.states import EventKind, FailureReason, SessionState
from tests.unit.admission_bench import OWNER, RIVAL, Bench, shown, stop


@pytest.fixture
def bench() -> Bench:
    return Bench()


# --- all is well ----------------------------------------------------------------------------------


def test_it_starts_when_all_have_finished(bench: Bench) -> None:
    """Until then it is pending, says that it is blocked, and holds neither slots nor a place."""
    first, second = bench.submit("first"), bench.submit("second")
    last = bench.submit("last", after=[first, second])
    before = shown(bench, last)
    assert (before.blocked, before.waiting, before.slots) == (True, False, 0)
    assert (before.state, before.execution) == (SessionState.PENDING, None)
    assert before.depends_on == [first.session_id, second.session_id]
    bench.memory.run()
    assert bench.ran == ["first", "second", "last"]
    after = shown(bench, last)
    assert (after.state, after.blocked, after.reason) == (SessionState.FINISHED, False, None)


def test_one_of_two_is_not_enough(bench: Bench) -> None:
    """Whoever closes the first looks, and leaves it to whoever closes the second."""
    first, paused = bench.submit("first"), bench.submit("paused")
    last = bench.submit("last", after=[first, paused])
    bench.update(paused, paused=True)
    bench.memory.run()
    assert bench.ran == ["first"]
    assert shown(bench, last).blocked
    bench.update(paused, paused=False)
    bench.memory.run()
    assert bench.ran == ["first", "paused", "last"]


def test_what_has_finished_already_is_not_waited_for(bench: Bench) -> None:
    """It starts as any other."""
    first = bench.submit("first")
    bench.memory.run()
    last = bench.submit("last", after=[first])
    assert (last.blocked, last.slots) == (False, 1)
    bench.memory.run()
    assert bench.state(last) is SessionState.FINISHED


def test_a_chain_runs_in_order(bench: Bench) -> None:
    """However urgent its last part is."""
    first = bench.submit("first", priority=0)
    second = bench.submit("second", after=[first])
    bench.submit("third", after=[second], priority=9)
    bench.memory.run()
    assert bench.ran == ["first", "second", "third"]


def test_a_diamond_runs_its_middle_before_its_end(bench: Bench) -> None:
    """Each session once."""
    top = bench.submit("top")
    left, right = bench.submit("left", after=[top]), bench.submit("right", after=[top])
    bottom = bench.submit("bottom", after=[left, right, top])
    bench.memory.run()
    assert bench.ran == ["top", "left", "right", "bottom"]
    assert bench.state(bottom) is SessionState.FINISHED


def test_large_sessions_wait_too(bench: Bench) -> None:
    """Of many shards, which the submit stores apart from the session."""
    first = bench.submit("first", tasks=200)
    last = bench.submit("last", tasks=200, after=[first])
    bench.memory.run()
    assert shown(bench, last).counts.finished == 200


def test_many_may_wait_for_one(bench: Bench) -> None:
    """More than are listed at once."""
    first = bench.submit("first")
    many = [bench.submit(f"n{n}", after=[first]) for n in range(DEPENDENTS_PAGE + 3)]
    bench.memory.run()
    assert {bench.state(session) for session in many} == {SessionState.FINISHED}
    assert release_dependents(bench.memory.wiring, first.session_id) == len(many)


def test_one_may_wait_for_many(bench: Bench) -> None:
    """As many as a request may name, each of which tells it."""
    many = [bench.submit(f"n{n}") for n in range(MAX_DEPENDENCIES)]
    last = bench.submit("last", after=many)
    bench.memory.run()
    assert bench.state(last) is SessionState.FINISHED


def test_released_it_waits_for_room_as_any_other(bench: Bench) -> None:
    """By its priority and the age that it has had all the time."""
    first = bench.submit("first", tasks=2)
    last = bench.submit("last", after=[first])
    rival = bench.submit("rival", tasks=2)
    bench.memory.run()
    assert bench.ran == ["first", "last", "rival"]
    assert {bench.state(last), bench.state(rival)} == {SessionState.FINISHED}


# --- one of them fails ----------------------------------------------------------------------------


def expire(bench: Bench, session: Session) -> None:
    bench.memory.clock.advance(100)
    describe(bench.memory.wiring, OWNER, session.session_id)


def run(bench: Bench, session: Session) -> None:
    bench.memory.run()


FAILURES: dict[str, tuple[dict[str, Any], Callable[[Bench, Session], None], str]] = {
    "cancelled": ({}, stop, "was cancelled"),
    "expired": ({"timeout_seconds": 50}, expire, "failed with 5 failed tasks"),
    "partly failed": ({"fails": 3, "max_attempts": 1}, run, "finished with 3 failed tasks"),
    "failed in one": ({"fails": 1, "max_attempts": 1}, run, "finished with 1 failed task"),
}


@pytest.mark.parametrize("submitted", ["before", "after"])
@pytest.mark.parametrize("kind", FAILURES)
def test_a_failed_dependency_fails_it(bench: Bench, kind: str, submitted: str) -> None:
    """Whether it failed before or after the submit; session and tasks say which one, and how."""
    options, end, how = FAILURES[kind]
    first = bench.submit("first", tasks=5, **options)
    if submitted == "after":
        end(bench, first)
    last = bench.submit("last", tasks=2, after=[first])
    if submitted == "before":
        end(bench, first)
    bench.memory.run()
    reason = f"session {first.session_id}, which it depends on, {how}"
    description = shown(bench, last)
    assert (description.state, description.reason) == (SessionState.FAILED, reason)
    assert (description.counts.failed, description.blocked) == (2, False)
    grid = bench.memory.wiring
    for task in list_tasks(grid, OWNER, last.session_id, None, None).tasks:
        assert task.error == {"type": "DependencyFailed", "message": reason}
        assert task.reason is FailureReason.DEPENDENCY_FAILED
    for chunk in read_results(grid, OWNER, last.session_id).chunks:
        assert chunk.error == {"type": "DependencyFailed", "message": reason, "traceback": ""}
    assert "last" not in bench.ran
    assert bench.memory.table.read_usage(OWNER, "work").sessions == 0


def test_its_end_is_told(bench: Bench) -> None:
    """Accepted and failed, never started; the end with its reason."""
    first = bench.submit("first")
    last = bench.submit("last", after=[first])
    stop(bench, first)
    bench.memory.run()
    told = [e for e in bench.memory.events.published if e.session_id == last.session_id]
    assert [event.kind for event in told] == [EventKind.ACCEPTED, EventKind.FAILED]
    assert first.session_id in (told[-1].session.reason or "")


def test_a_failure_goes_through_a_chain(bench: Bench) -> None:
    """Each names the one that it depends on itself, and through it the first that failed."""
    first = bench.submit("first")
    middle = bench.submit("middle", after=[first], fails=1, max_attempts=1)
    last = bench.submit("last", after=[middle])
    end = bench.submit("end", after=[last])
    bench.memory.run()
    assert bench.ran == ["first", "middle"]
    said = f"session {middle.session_id}, which it depends on, finished with 1 failed task"
    assert shown(bench, last).reason == said
    assert shown(bench, end).reason == (
        f"session {last.session_id}, which it depends on, failed: {said}"
    )


def test_the_reason_of_a_long_chain_keeps_its_ends(bench: Bench) -> None:
    """It does not grow with the chain."""
    first = previous = bench.submit("first")
    before_last = first
    for number in range(40):
        before_last, previous = previous, bench.submit(f"n{number}", after=[previous])
    stop(bench, first)
    bench.memory.run()
    reason = shown(bench, previous).reason or ""
    assert reason.startswith(f"session {before_last.session_id}, which it depends on, failed")
    assert reason.endswith(f"session {first.session_id}, which it depends on, was cancelled")
    assert len(reason) <= REASON_BYTES


def test_a_failure_goes_through_a_chain_at_once(bench: Bench) -> None:
    """Functions that call each other are stopped by Lambda: one call carries it to the end."""
    first = bench.submit("first")
    chain = [first]
    for number in range(40):
        chain.append(bench.submit(f"n{number}", after=[chain[-1]]))
    bench.memory.dispatcher.started.clear()
    stop(bench, first)
    assert bench.memory.dispatcher.released == [first.session_id]
    assert release_dependents(bench.memory.wiring, first.session_id) == 40
    assert bench.state(chain[-1]) is SessionState.FAILED


def test_a_failed_part_of_a_diamond_fails_its_end_once(bench: Bench) -> None:
    """At once, while the other part still runs."""
    top = bench.submit("top")
    left = bench.submit("left", after=[top], fails=1, max_attempts=1)
    right = bench.submit("right", after=[top])
    bottom = bench.submit("bottom", after=[left, right])
    bench.memory.run()
    assert left.session_id in (shown(bench, bottom).reason or "")
    assert bench.state(right) is SessionState.FINISHED
    ends = [e for e in bench.memory.events.published if e.session_id == bottom.session_id]
    assert [event.kind for event in ends] == [EventKind.ACCEPTED, EventKind.FAILED]


def test_an_end_stands_though_its_dependency_was_deleted(bench: Bench) -> None:
    """What is left of a deleted session still says how it ended."""
    first = bench.submit("first")
    last = bench.submit("last", after=[first])
    memory = bench.memory
    memory.executions.invoke(Invocation(facts_of(first), 0, "token-0000-a"))
    memory.dispatcher.started.clear()
    memory.dispatcher.released.clear()
    delete_session(memory.wiring, OWNER, first.session_id)
    memory.clock.advance(61)
    memory.sweep()
    memory.run()
    assert bench.state(last) is SessionState.FINISHED


def test_a_dependency_that_is_gone_has_failed(bench: Bench) -> None:
    """Removed by its age, which only an administrator or a clock that is wrong brings about."""
    first = bench.submit("first")
    last = bench.submit("last", after=[first])
    gone = ForgetfulTable(bench.memory.table, first.session_id)
    release(replace(bench.memory.wiring, table=cast("StateTable", gone)), last)
    assert shown(bench, last).reason == (
        f"session {first.session_id}, which it depends on, has expired"
    )


class ForgetfulTable:
    """Has never heard of one session."""

    def __init__(self, table: StateTable, forgotten: str) -> None:
        self._table = table
        self._forgotten = forgotten

    def read_session(self, session_id: str) -> Session | None:
        return None if session_id == self._forgotten else self._table.read_session(session_id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)


# --- what may be named ----------------------------------------------------------------------------


def ids_that_lead_nowhere(bench: Bench) -> dict[str, str]:
    deleted = bench.submit("deleted")
    foreign = bench.submit("foreign", owner=RIVAL)
    bench.memory.run()
    delete_session(bench.memory.wiring, OWNER, deleted.session_id)
    return {
        "unknown": "0b54e6a1-6e4f-5c1a-9d2e-3f4a5b6c7d8e",
        "foreign": foreign.session_id,
        "deleted": deleted.session_id,
        "no id": "x" * 3000,
        "empty": "",
    }


@pytest.mark.parametrize("kind", ["unknown", "foreign", "deleted", "no id", "empty"])
def test_an_id_that_is_not_the_owners_is_not_found(bench: Bench, kind: str) -> None:
    """In the same words, and nothing is stored; also beside one that is right."""
    name = ids_that_lead_nowhere(bench)[kind]
    good = bench.submit("good")
    usage = bench.memory.table.read_usage(OWNER, "work")
    with pytest.raises(NotFound, match=r"there is no session .* of yours; it may have expired"):
        bench.submit("last", after=[good, name])
    assert len(list_sessions(bench.memory.wiring, OWNER, None, None).sessions) == 1
    assert bench.memory.table.read_usage(OWNER, "work") == usage
    assert bench.memory.table.list_dependents(good.session_id, None, 10) == []


def test_a_task_can_not_be_waited_for(bench: Bench) -> None:
    """The message names its session."""
    first = bench.submit("first")
    with pytest.raises(InvalidRequest, match=f"give '{first.session_id}'"):
        bench.submit("last", after=[f"{first.session_id}_0"])


def test_it_can_not_wait_for_itself(bench: Bench) -> None:
    """The id is known before the submit, from the token; it is refused whether it is there or
    not."""
    session = bench.submit("session")
    bench.memory.run()
    with pytest.raises(InvalidRequest, match="is this session itself"):
        bench.submit("session", after=[session])


def test_ids_count_once(bench: Bench) -> None:
    """Repeated ones mean the same session, also when the submit is repeated without them."""
    first = bench.submit("first")
    last = bench.submit("last", after=[first, first])
    assert last.depends_on == (first.session_id,)
    assert bench.submit("last", after=[first]).session_id == last.session_id


def test_too_many_are_refused(bench: Bench) -> None:
    """A transaction takes no more."""
    with pytest.raises(ValueError, match="at most 20"):
        bench.submit("last", after=["x"] * (MAX_DEPENDENCIES + 1))


def test_submitting_again_gives_the_same_session(bench: Bench) -> None:
    """Blocked, released, and after its dependency was deleted."""
    first = bench.submit("first")
    last = bench.submit("last", after=[first])
    assert bench.submit("last", after=[first]).blocked
    bench.memory.run()
    again = bench.submit("last", after=[first])
    assert (again.session_id, again.verdict) == (last.session_id, SessionState.FINISHED)
    delete_session(bench.memory.wiring, OWNER, first.session_id)
    assert bench.submit("last", after=[first]) == again


def test_other_dependencies_are_another_session(bench: Bench) -> None:
    """Under the same token that is a conflict; their order does not matter."""
    first, second = bench.submit("first"), bench.submit("second")
    bench.submit("last", after=[first, second])
    bench.submit("last", after=[second, first])
    for after in ([first], []):
        with pytest.raises(Conflict, match="use a new token"):
            bench.submit("last", after=after)


def test_a_repeated_submit_makes_good_what_was_lost(bench: Bench) -> None:
    """It looks at the dependencies as the sweeper would."""
    first = bench.submit("first")
    last = bench.submit("last", after=[first])
    bench.memory.dispatcher.started.clear()
    stop(bench, first)
    bench.memory.dispatcher.released.clear()
    bench.submit("last", after=[first])
    assert bench.state(last) is SessionState.FAILED


def test_a_request_without_dependencies_is_what_it_was() -> None:
    """Its digest too: a submit of an earlier version can be repeated."""
    request = {"client_token": "t", "worker": "work", "tasks": [1]}
    assert SubmitRequest.model_validate(request).depends_on == []
