"""What the broker answers, and what it refuses: one container at a time, on the virtual clock."""

import base64
import json
from typing import Any

import pytest

from stepgrid_core.broker import (
    ACTIONS,
    LEASE_SECONDS,
    LEND_AFTER_END_SECONDS,
    RENEW_AFTER_SECONDS,
    SHARD_PAGE,
    answer,
)
from stepgrid_core.cancellation import cancel
from stepgrid_core.contract import SessionUpdate
from stepgrid_core.errors import Unavailable
from stepgrid_core.names import CHUNKS_PER_SHARD
from stepgrid_core.ports import LentCredentials
from stepgrid_core.records import MAX_IDLE_LOSSES, Session
from stepgrid_core.states import ChunkState, EventKind, SessionState, TaskState
from stepgrid_core.steering import update_session
from tests.unit.broker_world import FIRST, OUTPUT, OWNER, SECOND, World, code, ended


@pytest.fixture
def world() -> World:
    return World()


class TestTickets:
    @pytest.mark.parametrize("action", ACTIONS)
    def test_strangers_learn_nothing(self, world: World, action: str) -> None:
        """Unknown sessions, wrong tickets and other sessions' tickets get the same words."""
        other = world.submit("fargate", token="other")
        plain = world.submit("lambda")
        mine = world.session
        shown = [
            (mine.session_id, ""),
            (mine.session_id, mine.ticket[:-1]),
            (mine.session_id, f"{mine.ticket} "),
            (mine.session_id, other.ticket),
            (plain.session_id, mine.ticket),
            (plain.session_id, ""),
            ("00000000-0000-0000-0000-000000000000", mine.ticket),
            ("", ""),
            ("x" * 100_000, mine.ticket),
            ("\ud800", "\ud800"),
        ]
        answers = [
            json.dumps(world.ask(action, session_id=session_id, ticket=ticket))
            for session_id, ticket in shown
        ]
        assert set(answers) == {answers[0]}
        assert code(json.loads(answers[0])) == "not_found"

    def test_sessions_of_functions_have_none(self, world: World) -> None:
        """So no ticket opens them, an empty one neither."""
        assert world.submit("lambda").ticket == ""
        assert len(world.session.ticket) >= 32

    def test_each_session_has_its_own(self, world: World) -> None:
        """Even the same one, were it submitted elsewhere."""
        assert World().session.ticket != world.session.ticket


class TestOpen:
    def test_a_container_is_told_its_session(self, world: World) -> None:
        """Facts and bucket; not the ticket, which it has."""
        answered = world.ask("open")
        assert answered["facts"]["session_id"] == world.session.session_id
        assert answered["facts"]["container"] is None
        bucket = world.grid.settings.bucket
        assert (answered["bucket"], answered["over"]) == (bucket, False)
        assert world.session.ticket not in json.dumps(answered)

    def test_a_late_one_is_told_that_there_is_nothing_to_do(self, world: World) -> None:
        """The session is over."""
        cancel(world.grid, OWNER, [world.session.session_id])
        assert world.ask("open")["over"] is True

    def test_its_use_is_noted(self, world: World) -> None:
        """From when it began until it was last heard of."""
        began = world.memory.clock.now()
        world.memory.clock.advance(5)
        world.ask("open", started_at=began)
        world.memory.clock.advance(7)
        world.ask("leave", started_at=began)
        (use,) = world.grid.table.read_containers(world.session.session_id)
        assert (use.token, use.started_at, use.seen_at) == (FIRST, began, began + 12)
        assert use.size == world.session.container

    @pytest.mark.parametrize("said", [-1e300, 0, 1e300, float("nan"), float("inf")])
    def test_nobody_began_before_the_session_or_later_than_now(
        self, world: World, said: float
    ) -> None:
        """Whatever a container says, what it costs is a time of this session."""
        world.memory.clock.advance(5)
        world.ask("open", started_at=said)
        (use,) = world.grid.table.read_containers(world.session.session_id)
        assert world.session.created_at <= use.started_at <= use.seen_at


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


class TestEnds:
    def test_the_last_commit_closes_the_session(self, world: World) -> None:
        """At once: nobody waits for the Map."""
        for number in range(4):
            assert world.stored.verdict is None
            world.end(world.claim(puller=number))
        assert world.stored.verdict is SessionState.FINISHED
        assert world.stored.counts == {
            **dict.fromkeys(TaskState, 0),
            TaskState.FINISHED: 4,
        }
        assert world.memory.events.published[-1].kind is EventKind.FINISHED

    def test_progress_is_told(self) -> None:
        """In tenths, as of a session of functions."""
        world = World(tasks=10)
        world.memory.clock.advance(10)
        for number in range(9):
            world.end(world.claim(puller=number))
        percents = [
            event.percent
            for event in world.memory.events.published
            if event.kind is EventKind.PROGRESSED
        ]
        assert percents == [10 * n for n in range(1, 10)]

    def test_its_end_wakes_whoever_waits(self) -> None:
        """The slots of its lane are free."""
        world = World(container={"count": 64}, tasks=64)
        world.submit("fargate", 4, token="next", container={"count": 64})
        other = world.grid.table.list_waiting(world.session.lane, None, 10)
        assert len(other) == 1
        for number in range(64):
            world.end(world.claim(puller=number))
        assert world.memory.dispatcher.woken == [world.session.lane]


class TestLending:
    def test_credentials_are_lent_while_there_is_something_to_store(self, world: World) -> None:
        """Also shortly after the end, and not later."""
        assert world.ask("lend")["access_key_id"] == "key"
        cancel(world.grid, OWNER, [world.session.session_id])
        closed_at = world.stored.closed_at
        assert closed_at is not None
        world.memory.clock.advance(closed_at + LEND_AFTER_END_SECONDS - world.memory.clock.now())
        assert "error" not in world.ask("lend")
        world.memory.clock.advance(1)
        assert code(world.ask("lend")) == "invalid_request"

    def test_a_lender_that_is_silent_is_said_to_be(self, world: World) -> None:
        """The container may ask again."""

        class Silent:
            def lend(self, session: Session) -> LentCredentials:
                raise Unavailable("no answer")

        question = {
            "session_id": world.session.session_id,
            "ticket": world.session.ticket,
            "container": FIRST,
            "action": "lend",
        }
        assert code(answer(world.grid, Silent(), question)) == "unavailable"

    def test_small_inputs_are_handed_out(self, world: World) -> None:
        """They are in the table, where no container looks."""
        text = base64.b64decode(world.ask("blob")["blob"])
        assert b"0\n1\n2\n3\n" in text
