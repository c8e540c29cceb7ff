"""What the grid tells about a session: when, once each, and at what price."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from stepgrid.testing import InMemoryGrid
from stepgrid_core.contract import SubmitRequest
from stepgrid_core.errors import Unavailable
from stepgrid_core.invocation import facts_of
from stepgrid_core.memory import MemoryStateTable
from stepgrid_core.progress import Commit, crossed, is_look_due, report_progress, step
from stepgrid_core.records import Chunk, Session, Shard
from stepgrid_core.session_events import SessionEvent
from stepgrid_core.states import EventKind
from tests.contract.samples import ended, make_all_shards, make_session, with_rows
from tests.submitting import submit

OWNER = "owner"


def run(tasks: int, seconds: float, chunk_size: int = 1, **settings: Any) -> InMemoryGrid:
    """A session whose tasks take so long each, one after the other."""

    def work(task: object, context: object) -> None:
        memory.clock.advance(seconds)

    memory = InMemoryGrid({"work": work}, autorun=False, settings=settings)
    submit(memory.wiring, OWNER, request(tasks, chunk_size))
    memory.run()
    return memory


def request(tasks: int, chunk_size: int = 1) -> SubmitRequest:
    return SubmitRequest.model_validate(
        {
            "client_token": "t",
            "worker": "work",
            "tasks": [0] * tasks,
            "options": {"chunk_size": chunk_size},
        }
    )


def told(memory: InMemoryGrid) -> list[str]:
    """The events of the only session, in the order in which they were published."""
    return [event.event_id.partition(":")[2] for event in memory.events.published]


STEPS = [f"progressed:{percent}" for percent in range(10, 100, 10)]


@pytest.mark.parametrize(
    ("tasks", "shards"), [(10, 1), (16, 1), (40, 3), (100, 7), (160, 10), (400, 25)]
)
def test_a_long_session_tells_each_tenth_once(tasks: int, shards: int) -> None:
    """Accepted, started, nine steps in their order, and the end: whatever its size."""
    memory = run(tasks, seconds=3)
    session = memory.events.published[0].session
    assert session.shards == shards
    assert told(memory) == ["accepted", "started", *STEPS, "finished"]


@pytest.mark.parametrize("tasks", [10, 40, 400])
def test_a_short_session_tells_no_progress(tasks: int) -> None:
    """Within two seconds there are no events but these, and no request for any other."""
    memory = run(tasks, seconds=1.9 / tasks)
    assert told(memory) == ["accepted", "started", "finished"]


@pytest.mark.parametrize("tasks", [10, 40, 400])
def test_only_the_end_is_told_where_that_was_asked_for(tasks: int) -> None:
    """The parameter SessionEvents=terminal leaves out the rest."""
    assert told(run(tasks, seconds=3, session_events="terminal")) == ["finished"]


def test_progress_carries_the_counts_of_its_moment() -> None:
    """At least `percent` of the tasks are settled, and the counts add up."""
    for event in run(40, seconds=3).events.published:
        assert sum(event.counts.values()) == 40
        if event.percent is not None:
            assert event.counts["finished"] * 100 >= 40 * event.percent


def test_events_of_a_session_rise() -> None:
    """The sequence restores the order of events that were shuffled."""
    sequences = [event.sequence for event in run(20, seconds=3).events.published]
    assert sequences == [0, 1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]


def test_a_repeated_submit_is_no_news() -> None:
    """The same token and tasks are the same session: it is accepted once, and has one start."""
    memory = InMemoryGrid({"work": lambda task, context: None}, autorun=False)
    for _ in range(3):
        submit(memory.wiring, OWNER, request(4))
        memory.clock.advance(1)
    assert told(memory).count("accepted") == 1
    assert set(told(memory)) == {"accepted", "started"}


class _DeafBus:
    """An event bus that takes nothing."""

    def publish(self, events: Sequence[SessionEvent]) -> None:
        raise Unavailable("no room on the bus")


def test_a_deaf_bus_hinders_no_submit_and_no_run() -> None:
    """Events are hints: without them the session runs to its end, and the sweeper tells it."""
    memory = InMemoryGrid({"work": lambda task, context: memory.clock.advance(3)}, autorun=False)
    deaf = replace(memory.wiring, events=_DeafBus())
    session = submit(deaf, OWNER, request(3))
    for shard in memory.table.read_shards(session.session_id):
        row = ended(shard.chunks[0])
        commit = Commit(facts_of(session), shard.chunks[0], with_rows(shard, row), 0, 0)
        memory.clock.advance(10)
        report_progress(deaf, commit)
    assert memory.events.published == []
    memory.run()
    assert told(memory)[-1] == "finished"


class _BrokenTable(MemoryStateTable):
    def raise_progress(self, session_id: str, percent: int) -> Session | None:
        raise Unavailable("the table does not answer")


def test_a_table_that_does_not_answer_costs_only_the_progress() -> None:
    """A commit that counts is not undone by what could not be told of it."""
    memory = InMemoryGrid({"work": lambda task, context: None}, autorun=False)
    session = make_session(tasks=4, chunk_size=2)
    (shard,) = make_all_shards(session)
    row = ended(shard.chunks[0])
    memory.clock.advance(10)
    commit = Commit(facts_of(session), shard.chunks[0], with_rows(shard, row), 0, 0)
    report_progress(replace(memory.wiring, table=_BrokenTable()), commit)
    assert memory.events.published == []


@pytest.mark.parametrize(
    ("part", "whole", "percent"),
    [(0, 7, 0), (1, 10, 10), (19, 100, 10), (99, 100, 90), (7, 7, 100)],
)
def test_steps_are_rounded_down(part: int, whole: int, percent: int) -> None:
    """A step is reached when all of it is."""
    assert step(part, whole) == percent


def test_a_step_is_crossed_by_one_commit_only() -> None:
    """Of 30 commits, nine cross a step and one ends the session."""
    found = [crossed(done, done + 1, 30) for done in range(30)]
    assert [percent for percent in found if percent] == [*range(10, 101, 10)]


@pytest.mark.parametrize("shards", range(2, 10))
def test_few_shards_are_read_about_twenty_times(shards: int) -> None:
    """Looks are spread over all shards, so that their number hardly depends on it."""
    facts = facts_of(make_session(tasks=16 * shards, chunk_size=1))
    one = tuple(Chunk(1) for _ in range(16))
    over = [tuple(map(ended, one[:n])) + one[n:] for n in range(1, 17)]
    looks = sum(is_look_due(Shard("s", 0, chunks), facts) for chunks in over)
    assert 14 <= looks * shards <= 24


def test_kinds_and_terminal_states_have_the_same_words() -> None:
    """A session's verdict is an event's kind."""
    assert [kind.value for kind in EventKind][-3:] == ["finished", "failed", "cancelled"]
