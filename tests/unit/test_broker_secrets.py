"""What the broker gives nobody: answers to malformed questions, and secrets."""

import json
import logging
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

import broker as broker_function
from stepgrid_core.broker import (
    ACTIONS,
)
from stepgrid_core.description import describe
from stepgrid_core.invocation import facts_of
from stepgrid_core.memory import MemoryLender
from stepgrid_core.ports import LentCredentials
from stepgrid_core.records import Chunk, Shard, count
from stepgrid_core.states import ChunkState
from stepgrid_core.telemetry import logger
from tests.json_values import json_values
from tests.unit.broker_world import FIRST, OWNER, SECOND, World, code


@pytest.fixture
def world() -> World:
    return World()


#: What a question may hold under its names, honest and not.
VALUES = json_values | st.sampled_from([0, 1, -1, 16, 10**30, 1e308, FIRST, "abcdef"])

FIELDS = [field.name for field in fields(Chunk)]

NAMES = (
    "container",
    "index",
    "record",
    "url",
    "puller",
    "after",
    "nonce",
    "shard",
    "slot",
    "old",
    "new",
    "started_at",
)


class TestMalformedQuestions:
    @given(json_values)
    def test_anything_is_answered(self, question: Any) -> None:
        """Nothing that is JSON makes the function fail, and nothing is told."""
        world = World()
        before = world.shards
        answered = broker_function.handle(question, world.grid, MemoryLender())
        assert code(answered) in ("invalid_request", "not_found")
        assert world.shards == before

    @given(
        st.sampled_from([*ACTIONS, "nonsense", "__class__"]),
        st.dictionaries(st.sampled_from(NAMES), VALUES),
    )
    def test_no_question_harms(self, action: str, given_values: dict[str, Any]) -> None:
        """With a good ticket either: others' rows stay, counts add up, and the answer is JSON."""
        world = World(tasks=20)
        held = world.claim(SECOND)
        question = {"action": action, "puller": 0, "shard": 0, "slot": 0, **given_values}
        for _ in range(2):
            answered = world.ask(**question)
            assert isinstance(json.dumps(answered), str)
        assert world.shards[0].chunks[0] == Shard.read(held["shard"]).chunks[0]
        counts = count(chunk for shard in world.shards for chunk in shard.chunks)
        assert sum(counts.values()) == 20
        assert min(counts.values()) >= 0

    @given(st.dictionaries(st.sampled_from(FIELDS), VALUES, min_size=1))
    def test_whatever_is_written_can_be_read(self, changes: dict[str, Any]) -> None:
        """A row that a container made is one that the session can be described by."""
        world = World(tasks=3)
        world.swap(world.claim(), **changes)
        shown = describe(world.grid, OWNER, world.session.session_id)
        assert sum(shown.counts.model_dump().values()) == 3

    @pytest.mark.parametrize(
        "container", ["", "short", "aaaa-aaaa-aaaa", "a|b|cdefgh", "aaaaaaaa\n", "a" * 65, "é" * 9]
    )
    def test_a_container_has_a_name_of_its_own(self, world: World, container: str) -> None:
        """One that would be part of every other's, or break a row, is refused."""
        assert code(world.ask("open", container)) == "invalid_request"
        assert code(world.claim(container)) == "invalid_request"

    @pytest.mark.parametrize("puller", [-1, 10_000, "0", None, 1.5])
    def test_pullers_are_numbers(self, world: World, puller: Any) -> None:
        """Of four digits, as there is room for in a token."""
        assert code(world.claim(puller=puller)) == "invalid_request"
        assert set(world.states()) == {ChunkState.PENDING}


class Lines(logging.Handler):
    """All that is logged, as text."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += f"{record.getMessage()} {vars(record)}\n"


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler, level = Lines(), logger.log_level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.setLevel(level)
    logger.removeHandler(handler)


class TestSecrets:
    def test_a_ticket_is_nowhere_to_be_seen(self, lines: Lines) -> None:
        """Not in descriptions, lists, results, events, lines, or the facts of other sessions."""
        world = World()
        ticket = world.session.ticket
        function = broker_function.handle
        who = {"session_id": world.session.session_id, "ticket": ticket, "container": FIRST}
        claim = world.claim()
        back = {"state": ChunkState.PENDING, "token": "", "lease_until": 0}
        assert ticket not in json.dumps([claim, world.swap(claim, **back)])
        for action in ("open", "look", "lend", "blob", "leave", "nonsense"):
            question = {**who, "action": action, "puller": 0, "shard": 0, "slot": 0}
            assert ticket not in json.dumps(function(question, world.grid, MemoryLender()))
        world.memory.run()
        with world.memory.client(OWNER) as client:
            session = client.session(world.session.session_id)
            told = [
                repr(session),
                session.status().model_dump_json(),
                session.plan().model_dump_json(),
                *(each.model_dump_json() for each in session.tasks()),
                *(each.model_dump_json() for each in client.sessions()),
                *(repr(each) for each in session.stream()),
            ]
        told += [repr(event) for event in world.memory.events.published]
        told += [repr(world.session), repr(world.stored), lines.text]
        assert not any(ticket in text for text in told)

    def test_workers_of_functions_get_no_ticket(self, world: World) -> None:
        """Their facts may hold the whole session, which has none."""
        single = world.submit("lambda", 1, token="single")
        facts = facts_of(single).as_dict()
        assert facts["session"]["ticket"] == ""
        assert facts["container"] is None
        assert facts_of(world.session).session is None

    def test_a_questions_answer_is_of_its_session(self, world: World) -> None:
        """Nothing in it belongs to another one."""
        other = world.submit("fargate", token="other")
        secrets = (other.session_id, other.ticket)
        answers = [
            world.ask(action, puller=0, shard=0, slot=0) for action in ACTIONS if action != "swap"
        ]
        assert not any(secret in json.dumps(answers) for secret in secrets)


def test_facts_and_credentials_have_no_secret_in_their_repr(world: World) -> None:
    """Whoever logs them tells nothing."""
    lent = LentCredentials("id", "very-secret", "very-long-token", 1.0)
    assert "very" not in repr(lent)
    assert world.session.ticket not in repr(facts_of(world.session))
