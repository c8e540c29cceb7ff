"""Swaps of rows at the broker: what a worker may write, and what nobody may."""

from typing import Any

import pytest

from stepgrid_core.states import ChunkState
from tests.unit.broker_world import OUTPUT, SECOND, World, code, ended


@pytest.fixture
def world() -> World:
    return World()


class TestSwaps:
    @pytest.mark.parametrize(
        "changes",
        [
            {"suspect": 0, "suspect_starts": 1},
            {"failed": 1, "output": OUTPUT, "milliseconds": 5},
            {"retrying": 1, "output": OUTPUT},
            {"state": ChunkState.PENDING, "token": "", "lease_until": 0, "idle_losses": 1},
            {
                "state": ChunkState.ENDED,
                "token": "",
                "lease_until": 0,
                "failed": 1,
                "output": OUTPUT,
            },
            {"state": ChunkState.EXPIRED, "token": "", "lease_until": 0},
            {"state": ChunkState.UNREADABLE, "token": "", "lease_until": 0},
            {"state": ChunkState.LOST, "token": "", "lease_until": 0},
        ],
    )
    def test_a_worker_may(self, world: World, changes: dict[str, Any]) -> None:
        """Mark, publish, hand back and end a row that it holds."""
        answered = world.swap(world.claim(), **changes)
        assert answered["won"]
        row = answered["shard"]["chunks"][0]
        assert {name: row[name] for name in changes} == changes

    @pytest.mark.parametrize(
        "changes",
        [
            {"tasks": 2},
            {"attempt": 2},
            {"attempt": 0},
            {"token": "aaaaaaaa0000ffffff"},
            {"token": ""},
            {"token": "|||"},
            {"lease_until": 2**40},
            {"lease_until": 0},
            {"state": ChunkState.HELD, "token": "", "lease_until": 0},
            {"state": ChunkState.CANCELLED, "token": "", "lease_until": 0},
            {"state": ChunkState.PENDING},
            {"state": "nonsense"},
            {"state": None},
            {"state": ["R"]},
            {"finished": 1},
            {"finished": 2, "output": OUTPUT},
            {"finished": -1, "output": OUTPUT},
            {"finished": 1, "failed": 1, "output": OUTPUT},
            {"finished": 1, "retrying": 1, "output": OUTPUT},
            {"finished": 1.0, "output": OUTPUT},
            {"finished": True, "output": OUTPUT},
            {"finished": "1", "output": OUTPUT},
            {"retrying": 2},
            {"retrying": -1},
            {"losses": -1},
            {"idle_losses": "0|9"},
            {"suspect": 1},
            {"suspect": "0|1"},
            {"suspect_starts": None},
            {"milliseconds": "1|2"},
            {"milliseconds": 2**60},
            {"output": {**OUTPUT, "digest": "a|b"}},
            {"output": {**OUTPUT, "digest": "x" * 100}},
            {"output": {**OUTPUT, "digest": 7}},
            {"output": {**OUTPUT, "size": -1}},
            {"output": {**OUTPUT, "key": "inputs/x"}},
            {"output": "results/x"},
            {"state": ChunkState.ENDED, "token": "", "lease_until": 0},
        ],
    )
    def test_nobody_may(self, world: World, changes: dict[str, Any]) -> None:
        """Change what it was given, write what no worker writes, or what the table cannot keep."""
        claim = world.claim()
        before = world.shards
        assert code(world.swap(claim, **changes)) == "invalid_request"
        assert world.shards == before

    def test_a_foreign_row_is_not_its_own(self, world: World) -> None:
        """Not even for another container of the session that knows all of it."""
        claim = world.claim()
        assert code(world.end(claim, SECOND)) == "invalid_request"
        assert world.states()[0] is ChunkState.RUNNING

    def test_a_row_must_be_held(self, world: World) -> None:
        """Pending and ended ones are nobody's."""
        claim = world.claim()
        idle = {"chunk": 1, "slot": 1, "shard": claim["shard"]}
        assert code(world.end(idle)) == "invalid_request"
        done = {**claim, "shard": world.end(claim)["shard"]}
        assert code(world.swap(done, state=ChunkState.PENDING)) == "invalid_request"

    def test_a_row_that_was_made_up_is_refused(self, world: World) -> None:
        """It has other tasks than the plan, or is not what is stored: then the swap is lost."""
        claim = world.claim()
        row = claim["shard"]["chunks"][0]
        larger = {**row, "tasks": 1000}
        place = {"shard": 0, "slot": 0}
        new = {**larger, "finished": 999, "output": OUTPUT}
        assert code(world.ask("swap", **place, old=larger, new=new)) == "invalid_request"
        guessed = {**row, "attempt": 5}
        answered = world.ask("swap", **place, old=guessed, new={**guessed, **ended(claim)})
        assert answered["won"] is False
        assert world.states()[0] is ChunkState.RUNNING

    def test_what_is_settled_stays_so(self) -> None:
        """A later write of the same attempt takes no outcome back."""
        world = World(tasks=4, chunk_size=4)
        published = world.swap(world.claim(), finished=2, failed=1, output=OUTPUT)
        claim = {"chunk": 0, "slot": 0, "shard": published["shard"]}
        assert code(world.swap(claim, finished=1)) == "invalid_request"
        assert code(world.swap(claim, failed=0)) == "invalid_request"

    def test_a_swap_asked_again_is_won_again(self, world: World) -> None:
        """Its answer may have been lost."""
        claim = world.claim()
        assert world.end(claim) == world.end(claim)

    @pytest.mark.parametrize(
        "place",
        [
            {"shard": 0, "slot": 4},
            {"shard": 1, "slot": 0},
            {"shard": -1, "slot": 0},
            {"shard": 0, "slot": -1},
            {"shard": 0, "slot": 10**9},
            {"shard": 0, "slot": "0"},
            {"shard": 0, "slot": 0.0},
            {"shard": None, "slot": 0},
            {"slot": 0},
        ],
    )
    def test_places_are_those_of_the_session(self, world: World, place: dict[str, Any]) -> None:
        """No other shard, no other slot, and no memory for one that cannot be."""
        row = world.claim()["shard"]["chunks"][0]
        assert code(world.ask("swap", **place, old=row, new=row)) == "invalid_request"
        assert code(world.ask("look", **place)) == "invalid_request"
