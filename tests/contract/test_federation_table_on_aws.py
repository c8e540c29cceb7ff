"""AwsFederationTable alone: answers in parts, reads that are consistent, and memory's twin."""

import itertools
import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepgrid_core.aws.federation_table import AwsFederationTable
from stepgrid_core.aws.transactions import CONFLICT_TRIES
from stepgrid_core.errors import Unavailable
from stepgrid_core.memory import MemoryFederationTable
from stepgrid_core.ports import FederationTable, Marks

from .aws_stack import AwsStack

Hook = Callable[..., Any]


def watched(stack: AwsStack, event: str, hook: Hook) -> AwsFederationTable:
    """A table whose requests go through the hook, over a resource that is handed in."""
    resource = boto3.resource("dynamodb")
    resource.meta.client.meta.events.register_first(event, hook)
    return AwsFederationTable(stack.create_table(), resource)


# --- answers in parts -----------------------------------------------------------------------------


class Unfinished:
    """Answers the first so many batches with "nothing of it was done"."""

    def __init__(self, times: int, answer: Callable[[Any], dict[str, Any]]) -> None:
        self._left = times
        self._answer = answer
        self.requests = 0

    def __call__(self, request: Any, **_: Any) -> AWSResponse | None:
        self.requests += 1
        self._left -= 1
        if self._left < 0:
            return None
        text = json.dumps(self._answer(json.loads(request.body)["RequestItems"])).encode()
        return AWSResponse(request.url, 200, {}, _Body(text))


class _Body:
    def __init__(self, text: bytes) -> None:
        self._text = text

    def stream(self) -> Any:
        yield self._text


def no_write(asked: Any) -> dict[str, Any]:
    return {"UnprocessedItems": asked}


def no_read(asked: Any) -> dict[str, Any]:
    return {"Responses": {}, "UnprocessedKeys": asked}


def test_writes_that_are_left_undone_are_sent_again(stack: AwsStack) -> None:
    """Until all of them are done."""
    unfinished = Unfinished(2, no_write)
    table = watched(stack, "before-send.dynamodb.BatchWriteItem", unfinished)
    table.put_in("tasks", [1, 2, 3])
    table.take_out("tasks", [2])
    assert table.list_ids("tasks") == [1, 3]
    assert unfinished.requests == 2 + 2


def test_reads_that_are_left_undone_are_asked_for_again(stack: AwsStack) -> None:
    """Until all of them are there."""
    unfinished = Unfinished(2, no_read)
    table = watched(stack, "before-send.dynamodb.BatchGetItem", unfinished)
    table.create("node", 1, {})
    table.create("node", 2, {})
    assert [entity.id for entity in table.read_many("node", [2, 1])] == [2, 1]
    assert unfinished.requests == 3


def test_a_table_without_capacity_is_told_of(stack: AwsStack) -> None:
    """Who asks gets an answer in time, and may send the same again."""
    unfinished = Unfinished(1_000, no_write)
    table = watched(stack, "before-send.dynamodb.BatchWriteItem", unfinished)
    with pytest.raises(Unavailable, match="no capacity"):
        table.put_in("tasks", [1])
    assert unfinished.requests == CONFLICT_TRIES


def two_a_page(params: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A copy in full, as boto3's own hook makes it: values are converted in place."""
    return {**deepcopy(params), "Limit": min(params.get("Limit", 2), 2)}


def test_all_pages_are_read(stack: AwsStack) -> None:
    """Of a kind, of a list from either end, and of a count."""
    table = watched(stack, "provide-client-params.dynamodb.Query", two_a_page)
    ids = list(range(1, 8))
    for id in ids:
        table.create("node", id, {})
    table.put_in("tasks", ids)
    assert [entity.id for entity in table.read_all("node")] == ids
    assert table.list_ids("tasks") == ids
    assert table.list_ids("tasks", limit=5) == [1, 2, 3, 4, 5]
    assert table.list_ids("tasks", after=6, limit=3, newest_first=True) == [5, 4, 3]
    assert table.count("tasks") == 7


# --- reads ----------------------------------------------------------------------------------------


def test_every_read_is_strongly_consistent(stack: AwsStack) -> None:
    """Who was removed is not seen a moment longer."""
    seen: list[bool] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        batches = params.get("RequestItems", {}).values()
        seen.extend(one.get("ConsistentRead", False) for one in batches or [params])

    table = watched(stack, "provide-client-params.dynamodb", note)
    reads: list[Callable[[], object]] = [
        lambda: table.read("node", 1),
        lambda: table.read_many("node", [1]),
        lambda: table.read_all("node"),
        lambda: table.find("node:1"),
        lambda: table.list_ids("tasks"),
        lambda: table.count("tasks"),
    ]
    for read in reads:
        read()
    assert seen == [True] * len(reads)


def test_kinds_names_and_lists_of_one_word_are_apart(stack: AwsStack) -> None:
    """They are in one table, beside the sessions."""
    table = AwsFederationTable(stack.create_table())
    table.next_id("L#x")
    table.create("L#x", 1, {}, Marks(("x",), ("x", "L#x")))
    table.create("x", 2, {})
    assert [entity.id for entity in table.read_all("x")] == [2]
    assert table.list_ids("x") == [1]
    assert table.find("x") == 1


# --- as memory does -------------------------------------------------------------------------------

KINDS = ("node", "user")
IDS = st.integers(1, 3)
MARKS = st.builds(
    Marks,
    names=st.lists(st.sampled_from("abc"), max_size=3),
    lists=st.lists(st.sampled_from("xy"), max_size=2),
)
WORDS = st.dictionaries(st.text("né\0", max_size=2), st.integers(), max_size=1)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("create"), st.sampled_from(KINDS), IDS, WORDS, MARKS),
        st.tuples(st.just("replace"), st.sampled_from(KINDS), IDS, WORDS, MARKS, MARKS),
        st.tuples(st.just("replace stale"), st.sampled_from(KINDS), IDS, WORDS, MARKS, MARKS),
        st.tuples(st.just("delete"), st.sampled_from(KINDS), IDS, MARKS),
        st.tuples(st.just("put in"), st.sampled_from("xy"), st.lists(IDS)),
        st.tuples(st.just("take out"), st.sampled_from("xy"), st.lists(IDS)),
    ),
    max_size=12,
)


class Story:
    """Steps on one table, in a room of its own; `answers` is all that could be seen."""

    def __init__(self, table: FederationTable, room: str) -> None:
        self._table = table
        self._room = room
        self._first: dict[tuple[str, int], Any] = {}
        self.answers: list[Any] = []

    def take(self, step: tuple[Any, ...]) -> None:
        verb, kind, *rest = step
        act = getattr(self, f"_{verb.replace(' ', '_')}")
        self.answers.append(act(self._name(kind), *rest))
        self.answers.append(self._look())

    def _name(self, name: str) -> str:
        return f"{self._room}:{name}"

    def _marks(self, marks: Marks) -> Marks:
        names, lists = map(self._name, marks.names), map(self._name, marks.lists)
        return Marks(tuple(names), tuple(lists))

    def _shown(self, entity: Any) -> Any:
        return entity and (entity.id, entity.version, entity.values)

    def _create(self, kind: str, id: int, values: Any, marks: Marks) -> Any:
        created = self._table.create(kind, id, values, self._marks(marks))
        self._first.setdefault((kind, id), created)
        return self._shown(created)

    def _replace(self, kind: str, id: int, values: Any, added: Marks, removed: Marks) -> Any:
        return self._change(self._table.read(kind, id), values, added, removed)

    def _replace_stale(self, kind: str, id: int, values: Any, added: Marks, removed: Marks) -> Any:
        return self._change(self._first.get((kind, id)), values, added, removed)

    def _change(self, old: Any, values: Any, added: Marks, removed: Marks) -> Any:
        if old is None:
            return None
        marks = self._marks(added), self._marks(removed)
        return self._shown(self._table.replace(old, values, *marks))

    def _delete(self, kind: str, id: int, marks: Marks) -> Any:
        old = self._table.read(kind, id)
        return old and self._table.delete(old, self._marks(marks))

    def _put_in(self, listed: str, ids: list[int]) -> None:
        self._table.put_in(listed, ids)

    def _take_out(self, listed: str, ids: list[int]) -> None:
        self._table.take_out(listed, ids)

    def _look(self) -> Any:
        kinds, names, lists = (map(self._name, words) for words in (KINDS, "abc", "xy"))
        return (
            [list(map(self._shown, self._table.read_all(kind))) for kind in kinds],
            [self._table.find(name) for name in names],
            [self._table.list_ids(listed) for listed in lists],
        )


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_it_answers_as_memory_does(
    aws_table: AwsFederationTable, rooms: "itertools.count[int]", steps: list[Any]
) -> None:
    """Whatever is asked for, in whatever order."""
    room = str(next(rooms))
    ours, twin = Story(aws_table, room), Story(MemoryFederationTable(), room)
    for step in steps:
        ours.take(step)
        twin.take(step)
    assert ours.answers == twin.answers


@pytest.fixture
def aws_table(stack: AwsStack) -> AwsFederationTable:
    return AwsFederationTable(stack.create_table())


@pytest.fixture
def rooms() -> "itertools.count[int]":
    """Each example has a room, so that one table is enough for all."""
    return itertools.count()
