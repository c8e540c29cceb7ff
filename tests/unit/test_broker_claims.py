"""Claims of chunks at the broker, and looks, which renew their leases."""

from typing import Any

import pytest

from stepgrid_core.broker import LEASE_SECONDS, RENEW_AFTER_SECONDS, SHARD_PAGE
from stepgrid_core.cancellation import cancel
from stepgrid_core.contract import SessionUpdate
from stepgrid_core.names import CHUNKS_PER_SHARD
from stepgrid_core.records import MAX_IDLE_LOSSES
from stepgrid_core.states import ChunkState, SessionState
from stepgrid_core.steering import update_session
from tests.unit.broker_world import FIRST, OWNER, SECOND, World


@pytest.fixture
def world() -> World:
    return World()


class TestClaims:
    def test_chunks_come_in_their_order(self, world: World) -> None:
        """Each once, until there are none."""
        claims = [world.claim(puller=number) for number in range(5)]
        assert [claim["chunk"] for claim in claims] == [0, 1, 2, 3, None]

    def test_no_two_pullers_get_the_same_chunk(self) -> None:
        """Of one container or of two, whatever they ask."""
        world = World(tasks=40)
        who = [(container, puller) for container in (FIRST, SECOND) for puller in range(4)]
        claims = [world.claim(*who[n % len(who)], after=n % 3)["chunk"] for n in range(40)]
        assert sorted(claims) == list(range(40))

    def test_a_puller_goes_on_where_it_was(self) -> None:
        """From the page of its last shard on, and then around."""
        page = SHARD_PAGE * CHUNKS_PER_SHARD
        world = World(tasks=page + 2)
        after = SHARD_PAGE
        claims = [world.claim(puller=number, after=after)["chunk"] for number in range(3)]
        assert claims == [page, page + 1, 0]

    @pytest.mark.parametrize("after", [99, 10**12])
    def test_a_hint_is_no_more_than_that(self, world: World, after: int) -> None:
        """One beyond the end finds what there is."""
        assert world.claim(after=after)["chunk"] == 0

    def test_a_claim_holds_for_its_lease(self, world: World) -> None:
        """Then whoever asks may have the chunk, and the loss is counted."""
        world = World(tasks=1)
        world.claim()
        world.memory.clock.advance(LEASE_SECONDS - 1)
        assert world.claim(SECOND)["chunk"] is None
        world.memory.clock.advance(2)
        taken = world.claim(SECOND)
        assert taken["chunk"] == 0
        row = taken["shard"]["chunks"][0]
        assert (row["attempt"], row["losses"], row["idle_losses"]) == (2, 1, 1)

    def test_the_same_question_finds_its_claim(self, world: World) -> None:
        """Its answer may have been lost: nothing is claimed twice, and no loss counted."""
        asked = {"puller": 0, "after": 0, "nonce": "abcdef"}
        first = world.ask("claim", **asked)
        assert world.ask("claim", **asked) == first
        assert first["shard"]["chunks"][0]["losses"] == 0
        assert world.states().count(ChunkState.RUNNING) == 1

    def test_a_container_started_twice_does_not_rob_itself(self, world: World) -> None:
        """Two with one token get different chunks, and keep them."""
        claims = [world.ask("claim", puller=0, nonce=nonce) for nonce in ("aaaaaa", "bbbbbb")]
        assert [claim["chunk"] for claim in claims] == [0, 1]
        assert world.end(claims[0])["won"]
        assert world.end(claims[1])["won"]

    def test_what_was_lost_too_often_is_passed_over(self) -> None:
        """Its tasks have failed, and the next chunk is handed out."""
        world = World(tasks=2)
        for _ in range(MAX_IDLE_LOSSES):
            assert world.claim()["chunk"] == 0
            world.memory.clock.advance(LEASE_SECONDS + 1)
        assert world.claim()["chunk"] == 1
        assert world.states()[0] is ChunkState.LOST

    def test_the_last_one_lost_ends_the_session(self) -> None:
        """Nobody else would: there is no chunk to commit."""
        world = World(tasks=1)
        for _ in range(MAX_IDLE_LOSSES):
            world.claim()
            world.memory.clock.advance(LEASE_SECONDS + 1)
        assert world.claim()["chunk"] is None
        assert world.stored.verdict is SessionState.FINISHED

    @pytest.mark.parametrize("how", ["paused", "waiting", "cancelling", "cancelled"])
    def test_nothing_is_claimed_of_a_session_that_rests(self, world: World, how: str) -> None:
        """Also where a chunk is pending still."""
        session_id = world.session.session_id
        if how == "paused":
            assert world.grid.table.pause(world.session, 0.0)
        elif how == "waiting":
            assert world.grid.table.enqueue(world.session, 0.0)
        elif how == "cancelling":
            world.grid.table.mark_cancelling(session_id, 0.0)
        else:
            cancel(world.grid, OWNER, [session_id])
        assert world.claim() == {"chunk": None}

    def test_a_resumed_session_goes_on(self, world: World) -> None:
        """With other containers: the slots of those that were there before are given away."""
        session_id = world.session.session_id
        update_session(world.grid, OWNER, session_id, SessionUpdate(paused=True))
        assert world.claim()["chunk"] is None
        update_session(world.grid, OWNER, session_id, SessionUpdate(paused=False))
        assert world.claim()["chunk"] is None
        now = world.stored.dispatches
        assert world.ask("claim", SECOND, puller=0, dispatch=now)["chunk"] == 0


class TestLooks:
    def look(self, world: World, claim: dict[str, Any], container: str = FIRST) -> dict[str, Any]:
        place = {"shard": claim["shard"]["number"], "slot": claim["slot"]}
        found: dict[str, Any] = world.ask("look", container, **place)["shard"]["chunks"]
        row: dict[str, Any] = found[claim["slot"]]
        return row

    def test_most_looks_write_nothing(self, world: World) -> None:
        """A lease is renewed when some of it is gone."""
        claim = world.claim()
        first = self.look(world, claim)["lease_until"]
        world.memory.clock.advance(RENEW_AFTER_SECONDS)
        assert self.look(world, claim)["lease_until"] == first
        world.memory.clock.advance(1)
        assert self.look(world, claim)["lease_until"] == first + RENEW_AFTER_SECONDS + 1

    def test_who_looks_keeps_its_claim(self, world: World) -> None:
        """For as long as it likes."""
        claim = world.claim()
        for _ in range(10):
            world.memory.clock.advance(LEASE_SECONDS / 2)
            assert self.look(world, claim)["state"] == ChunkState.RUNNING
        assert world.claim(SECOND)["chunk"] == 1

    def test_a_foreign_look_renews_nothing(self, world: World) -> None:
        """Another container sees the row, and that is all."""
        claim = world.claim()
        world.memory.clock.advance(LEASE_SECONDS - 1)
        before = claim["shard"]["chunks"][0]["lease_until"]
        assert self.look(world, claim, SECOND)["lease_until"] == before

    def test_a_renewal_whose_answer_was_lost_costs_no_claim(self, world: World) -> None:
        """The holder's next write is of the row as it was before, and wins; the lease stands."""
        claim = world.claim()
        world.memory.clock.advance(RENEW_AFTER_SECONDS + 1)
        renewed = self.look(world, claim)["lease_until"]
        marked = world.swap(claim, suspect=0, suspect_starts=1)
        assert marked["won"]
        assert marked["shard"]["chunks"][0]["lease_until"] == renewed
        again = {**claim, "shard": claim["shard"]}
        assert not world.end(again)["won"], "the row has moved on"
        assert world.end({**claim, "shard": marked["shard"]})["won"]
