"""What the broker answers, and what it refuses: one container at a time, on the virtual clock."""

import base64
import json

import pytest

from stepgrid_core.broker import ACTIONS, LEND_AFTER_END_SECONDS, answer
from stepgrid_core.cancellation import cancel
from stepgrid_core.errors import Unavailable
from stepgrid_core.ports import LentCredentials
from stepgrid_core.records import Session
from stepgrid_core.states import EventKind, SessionState, TaskState
from tests.unit.broker_world import FIRST, OWNER, World, code


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
