"""What the sweeper does for a federation every minute, and what it leaves alone."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from stepgrid_core.errors import Unavailable
from stepgrid_core.federation.backlog import backlog_of
from stepgrid_core.federation.endings import (
    ORPHAN_SECONDS,
    Aim,
    Ending,
    note_ended,
    note_ending,
)
from stepgrid_core.federation.nodes import ONLINE_SECONDS
from stepgrid_core.federation.records import FederatedTask, Node
from stepgrid_core.federation.run_rows import kill_run
from stepgrid_core.federation.service import Federation
from stepgrid_core.federation.upkeep import (
    MOST_ENTRIES,
    finish_endings,
    look_after,
    take_over,
    tidy_backlog,
)
from stepgrid_core.memory import MemoryFederationTable
from stepgrid_core.ports import NoLogin, NoSigner
from stepgrid_core.records import Session
from stepgrid_core.recovery import sweep
from tests.unit.hospitals import World


@pytest.fixture
def world() -> World:
    return World()


def session_of(world: World, task_id: int = 1) -> Session:
    task = world.registry.find(FederatedTask, task_id)
    assert task is not None
    session = world.memory.table.read_session(task.session_id)
    assert session is not None
    return session


def orphan(world: World) -> Session:
    """As a creation leaves it that dies before its last step."""
    world.create_task("ann")
    session = session_of(world)
    entity = world.table.read("task", 1)
    assert entity is not None
    assert world.table.delete(entity)
    return session


def minutes(world: World, number: float) -> None:
    for _ in range(int(number)):
        world.memory.clock.advance(60)
        sweep(world.federation.grid, partial(take_over, world.federation))
        look_after(world.federation)


def backlogs(world: World) -> list[int]:
    return [id for place in (1, 2, 3) for id in world.table.list_ids(backlog_of(place, 1))]


class TestOrphans:
    def test_a_session_of_no_task_is_cleared_away(self, world: World) -> None:
        """It held quota and backlogs, and nobody could see it."""
        session = orphan(world)
        assert backlogs(world) == [1000, 1001, 1002]
        minutes(world, ORPHAN_SECONDS / 60 + 1)
        left = world.memory.table.read_session(session.session_id)
        assert left is not None
        assert left.deleted
        assert backlogs(world) == []
        assert world.memory.payloads.list_keys() == []
        assert world.memory.table.read_usage(session.owner, session.lane).tasks == 0
        assert world.table.read_all("ending") == []

    def test_one_that_is_just_being_made_is_left_alone(self, world: World) -> None:
        session = orphan(world)
        minutes(world, ORPHAN_SECONDS / 60 - 2)
        assert world.memory.table.read_session(session.session_id) == session
        assert backlogs(world) == [1000, 1001, 1002]

    def test_its_deadline_does_not_close_it_half(self, world: World) -> None:
        world.create_task("ann", timeout_seconds=90)
        session = session_of(world)
        entity = world.table.read("task", 1)
        assert entity is not None
        assert world.table.delete(entity)
        minutes(world, ORPHAN_SECONDS / 60 + 1)
        left = world.memory.table.read_session(session.session_id)
        assert left is not None
        assert left.deleted
        assert backlogs(world) == []

    def test_a_task_keeps_its_session(self, world: World) -> None:
        world.create_task("ann")
        minutes(world, ORPHAN_SECONDS / 60 + 2)
        assert session_of(world).verdict is None
        assert len(world.sync(1)["runs"]) == 1

    @pytest.mark.parametrize("fields", [{}, {"client_token": "t"}])
    def test_the_same_request_later_makes_a_task(self, world: World, fields: Any) -> None:
        """Whether the sweeper was there before it or comes after it."""
        world.create_task("ann", **fields)
        entity = world.table.read("task", 1)
        assert entity is not None
        world.table.delete(entity)
        world.memory.clock.advance(ORPHAN_SECONDS - 10)
        assert world.create_task("ann", **fields)["id"] == 2
        minutes(world, 10)
        assert backlogs(world) == [2000, 2001, 2002]
        assert session_of(world, 2).verdict is None

    def test_other_sessions_are_none_of_its_business(self, world: World) -> None:
        session = replace(orphan(world), federation=None)
        world.memory.clock.advance(ORPHAN_SECONDS)
        assert not take_over(world.federation, session)


class TestEndings:
    def test_a_kill_that_was_cut_off_is_finished(self, world: World) -> None:
        """Whoever noted it has died before the first row."""
        world.create_task("ann")
        note_ending(world.federation, Ending(1, Aim.KILL))
        assert finish_endings(world.federation) == 1
        assert world.json("GET", "/api/task/1/status", "ann") == {"status": "killed by user"}
        assert backlogs(world) == []
        assert finish_endings(world.federation) == 0

    def test_a_deletion_that_was_cut_off_is_finished(self, world: World) -> None:
        world.create_task("ann")
        session = session_of(world)
        note_ending(world.federation, Ending(1, Aim.KILL))
        note_ending(world.federation, Ending(1, Aim.DELETE))
        note_ending(world.federation, Ending(1, Aim.KILL))
        assert finish_endings(world.federation) == 1
        assert world.ask("GET", "/api/task/1", "ann").status == 404
        left = world.memory.table.read_session(session.session_id)
        assert left is not None
        assert left.deleted

    def test_a_note_of_a_task_that_is_gone_goes(self, world: World) -> None:
        for aim in Aim:
            note_ending(world.federation, Ending(9, aim, "of-nothing"))
            assert finish_endings(world.federation) == 1
            assert world.table.read_all("ending") == []

    def test_who_has_killed_leaves_the_note_of_who_deletes(self, world: World) -> None:
        note_ending(world.federation, Ending(1, Aim.DELETE))
        note_ended(world.federation, 1, Aim.KILL)
        assert [each.id for each in world.table.read_all("ending")] == [1]

    def test_a_killed_task_stays_as_it_is(self, world: World) -> None:
        """The note is taken off with the answer."""
        world.create_task("ann")
        world.json("POST", "/api/kill/task", "root", {"id": 1})
        assert world.table.read_all("ending") == []


class TestBacklogs:
    def test_an_ended_run_is_taken_out(self, world: World) -> None:
        """Its node is away; one node's list is looked at in a minute."""
        world.create_task("ann")
        for index in (0, 2):
            assert kill_run(world.federation.grid, session_of(world), index)
        assert backlogs(world) == [1000, 1001, 1002]
        minutes(world, 3)
        assert backlogs(world) == [1001]

    def test_all_of_a_long_list_is_looked_at_in_time(self, world: World) -> None:
        world.create_task("ann", 1)
        assert kill_run(world.federation.grid, session_of(world), 0)
        others = range(2_000, 2_000 + 3 * MOST_ENTRIES)
        world.table.put_in(backlog_of(1, 1), others)
        world.table.put_in(backlog_of(1, 1), [1000])
        minutes(world, 3 * 5)
        assert 1000 not in backlogs(world)
        assert len(backlogs(world)) == 3 * MOST_ENTRIES

    def test_without_nodes_there_is_nothing_to_look_at(self, world: World) -> None:
        empty = Federation(world.federation.grid, MemoryFederationTable(), NoSigner(), NoLogin())
        assert tidy_backlog(empty) == 0
        assert look_after(empty) == 0


class TestNodes:
    def test_one_that_fell_silent_is_told_of(self, world: World) -> None:
        """Once."""
        world.sync(1)
        world.memory.clock.advance(ONLINE_SECONDS + 1)
        assert look_after(world.federation) == 1
        node = world.registry.find(Node, 1)
        assert node is not None
        assert not node.online
        assert look_after(world.federation) == 0


class Broken(MemoryFederationTable):
    """Of one kind nothing can be read."""

    def read_all(self, kind: str) -> list[Any]:
        if kind == "node":
            raise Unavailable("no nodes today")
        return super().read_all(kind)


def test_one_fault_does_not_keep_the_rest_from_being_done(world: World) -> None:
    table = Broken()
    federation = replace(world.federation, table=table)
    table.create("ending", 9, {"aim": "kill", "session_id": ""})
    assert look_after(federation) == 1
    assert table.read_all("ending") == []
