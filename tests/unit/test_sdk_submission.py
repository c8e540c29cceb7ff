"""What `Grid.submit` sends, and what it refuses before it sends anything."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from stepgrid import (
    Conflict,
    DependencyFailed,
    FailureReason,
    InvalidRequest,
    NotFound,
    RequestTooLarge,
)
from stepgrid.submission import INLINE_INPUT_BYTES
from stepgrid_core.packing import MAX_CHUNK_BYTES
from tests.unit.sdk_fakes import World

NAN = float("nan")


def test_small_sessions_travel_in_the_request() -> None:
    """One POST carries the tasks, whatever JSON they are, exactly as they were given."""
    tasks = [1, "zwei\n", None, [3.5, True], {"k": {"é": "\u2028"}}, "\U0001f600"]
    world = World()
    session = world.grid.submit("square", tasks, name="mine", tags={"a": "b"}, max_attempts=1)
    assert [sent.path for sent in world.transport.sent] == ["/v1/sessions"]
    body = world.transport.sent[0].body
    assert body["tasks"] == tasks
    assert body["options"] == {"name": "mine", "tags": {"a": "b"}, "max_attempts": 1}
    assert session.status().tasks == len(tasks)


def test_sessions_to_depend_on_travel_by_their_ids() -> None:
    """Given as sessions or as ids; a session that depends on none says nothing of it."""
    world = World()
    first, second = world.grid.submit("square", [1]), world.grid.submit("square", [2])
    last = world.grid.submit("square", [3], depends_on=[first, second.id])
    bodies = [sent.body for sent in world.transport.asked("POST", "/sessions")]
    assert "depends_on" not in bodies[0]
    assert bodies[-1]["depends_on"] == [first.id, second.id]
    assert last.status().depends_on == [first.id, second.id]
    assert last.results() == [9]
    assert list(world.grid.map("square", [4], depends_on=[last])) == [16]


def test_a_session_whose_dependency_failed_says_so() -> None:
    """Its tasks raise DependencyFailed, with the id of the one that did not succeed."""
    world = World()
    first = world.grid.submit("square", ["no number"], max_attempts=1)
    first.wait()
    last = world.grid.submit("square", [1], depends_on=[first])
    with pytest.raises(DependencyFailed, match=first.id):
        last.results()
    (letter,) = last.dead_letters()
    assert letter.reason is FailureReason.DEPENDENCY_FAILED
    assert first.id in (last.status().reason or "")


def test_tasks_may_be_a_generator() -> None:
    """Any iterable does, also one that has no length and can be gone through once."""
    world = World()
    assert world.grid.submit("square", (n for n in range(3))).results() == [0, 1, 4]


@pytest.mark.parametrize("tasks", [[], (), iter(()), (n for n in range(0))])
def test_no_tasks_are_refused(tasks: Any) -> None:
    """A session without tasks is refused before any request."""
    world = World()
    with pytest.raises(InvalidRequest, match="needs at least one task"):
        world.grid.submit("square", tasks)
    assert world.transport.sent == []


@pytest.mark.parametrize(
    "bad",
    [{1, 2}, NAN, float("inf"), b"bytes", object(), {"deep": [NAN]}, {(1, 2): 3}, "\ud800"],
)
def test_a_task_that_is_not_json_is_named(bad: Any) -> None:
    """The index of the first bad task is in the message, and nothing was sent."""
    world = World()
    with pytest.raises(InvalidRequest, match="task 2 is not JSON"):
        world.grid.submit("square", [0, 1, bad, bad])
    assert world.transport.sent == []


def test_a_huge_task_is_named() -> None:
    """One that no chunk can hold is refused before anything is sent, with its index."""
    world = World()
    with pytest.raises(RequestTooLarge, match="task 1 has"):
        world.grid.submit("square", [0, "x" * MAX_CHUNK_BYTES])
    assert world.transport.sent == []


def test_an_endless_task_is_refused() -> None:
    """A list that contains itself."""
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(InvalidRequest, match="task 0 is not JSON"):
        World().grid.submit("square", [loop])


def test_an_error_of_the_generator_is_the_callers() -> None:
    """What the caller's own iterable raises comes out as it is, and nothing was sent."""

    def tasks() -> Iterator[int]:
        yield 1
        raise ZeroDivisionError

    world = World()
    with pytest.raises(ZeroDivisionError):
        world.grid.submit("square", tasks())
    assert world.transport.sent == []


@pytest.mark.parametrize("one", ["a string", b"bytes", {"a": "task"}])
def test_one_task_in_the_place_of_many(one: Any) -> None:
    """A string or a dict is iterable, and surely not meant as a list of tasks."""
    with pytest.raises(InvalidRequest, match="give a list"):
        World().grid.submit("square", one)


def test_unknown_options_are_refused_with_the_close_one() -> None:
    """A misspelt option is found before anything is sent."""
    world = World()
    with pytest.raises(InvalidRequest, match="'max_attempt'; did you mean 'max_attempts'"):
        world.grid.submit("square", [1], max_attempt=3)
    with pytest.raises(InvalidRequest, match="'xyzzy'; there are name, tags"):
        world.grid.submit("square", [1], xyzzy=3)
    assert world.transport.sent == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_attempts": 0}, "option max_attempts: .*not 0"),
        ({"priority": "high"}, "option priority: .*not 'high'"),
        ({"tags": {"a": "x" * 300}}, r"option tags\.a"),
        ({"backend": "abacus"}, "option backend"),
    ],
)
def test_options_out_of_range_are_named(options: dict[str, Any], words: str) -> None:
    """Name, rule and value are in the message."""
    world = World()
    with pytest.raises(InvalidRequest, match=words):
        world.grid.submit("square", [1], **options)
    assert world.transport.sent == []


@pytest.mark.parametrize("worker", ["", "Square", "a b", "../x", None, 5])
def test_impossible_worker_names(worker: Any) -> None:
    """A name that no worker can have is refused without a request."""
    world = World()
    with pytest.raises(InvalidRequest, match=r"grid\.workers\(\)"):
        world.grid.submit(worker, [1])
    assert world.transport.sent == []


def test_unknown_worker() -> None:
    """A name that this grid does not have."""
    with pytest.raises(NotFound, match="there is no worker 'cube'"):
        World().grid.submit("cube", [1])


def test_the_same_token_is_the_same_session() -> None:
    """A program that repeats itself gets its session again; other tasks are a Conflict."""
    grid = World().grid
    first = grid.submit("square", [1, 2], client_token="today")
    assert grid.submit("square", [1, 2], client_token="today").id == first.id
    with pytest.raises(Conflict):
        grid.submit("square", [1, 3], client_token="today")
    with pytest.raises(InvalidRequest, match="client_token"):
        grid.submit("square", [1], client_token="no spaces please")


def test_each_call_has_a_token_of_its_own() -> None:
    """Two submits of the same tasks are two sessions."""
    grid = World().grid
    assert grid.submit("square", [1]).id != grid.submit("square", [1]).id


@pytest.mark.parametrize("surplus", [0, 1])
def test_the_limit_of_the_request(surplus: int) -> None:
    """Up to 32 KiB the tasks are in the request, one byte more makes an upload."""
    text = "x" * (INLINE_INPUT_BYTES - 3 + surplus)  # two quotes and a line break
    world = World()
    session = world.grid.submit("square", [{"t": text[6:]}])
    assert len(world.objects.puts) == surplus
    assert session.results() == [{"t": text[6:]}]


def test_large_sessions_are_uploaded() -> None:
    """The file goes to the payload store by one PUT; the request says what it is."""
    tasks = [{"n": n, "pad": "x" * 20} for n in range(2_000)]
    world = World()
    session = world.grid.submit("square", tasks)
    assert [sent.path for sent in world.transport.sent] == ["/v1/uploads", "/v1/sessions"]
    assert len(world.objects.puts) == 1
    given = world.transport.sent[1].body["input"]
    lines = [json.dumps(task, separators=(",", ":")).encode() + b"\n" for task in tasks]
    assert given["sha256"] == hashlib.sha256(b"".join(lines)).hexdigest()
    assert given["size"] == sum(map(len, lines))
    assert (given["tasks"], given["stride"], len(given["offsets"])) == (2_000, 1, 2_000)
    assert session.results() == tasks


@pytest.mark.parametrize("count", [10_000, 10_001, 20_001])
def test_offsets_stay_few(count: int) -> None:
    """Ten thousand offsets at most, and every task comes back in its place."""
    world = World()
    session = world.grid.submit("square", range(count), task_seconds=0.001)
    assert len(world.transport.sent[1].body["input"]["offsets"]) <= 10_000
    assert session.results() == [n * n for n in range(count)]


@pytest.mark.parametrize("chunk_size", [1, 3, 7, 128, 9_999, 12_345, 25_000])
def test_a_wished_chunk_size_is_kept(chunk_size: int) -> None:
    """Where ten thousand chunks are enough for it, the grid cuts exactly as was wished."""
    count = 12_345
    world = World(autorun=False)
    session = world.grid.submit("square", range(count), chunk_size=chunk_size)
    wanted = chunk_size if -(-count // chunk_size) <= 10_000 else 2
    assert session.status().chunk_size == min(wanted, count)
