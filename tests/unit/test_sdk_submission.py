"""What `Grid.submit` sends, and what it refuses before it sends anything."""

import hashlib
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from stepgrid import Conflict, Grid, InvalidRequest, NotFound, RequestTooLarge
from stepgrid.objects import LinkRefused
from stepgrid.submission import INLINE_INPUT_BYTES, MAX_CHUNK_BYTES, align
from stepgrid.uploads import URLS_AT_ONCE, upload
from stepgrid_core.data_plane import Packed, pack
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


def test_wishes_that_can_not_be_granted_leave_the_offsets_fine() -> None:
    """Chunks over 16 MiB: the grid must be able to cut smaller ones."""
    packed = Packed(stride=4, tasks=40_000, size=40_000 * 10_000, offsets=[0])
    align(packed, 9_999, io.BytesIO())
    assert packed.stride == 4


# --- uploads in parts


def parts_of(world: World, data: bytes, part_bytes: int) -> Any:
    return upload(world.grid.connection, io.BytesIO(data), len(data), part_bytes)


@pytest.mark.parametrize("size", [11, 29, 30, 31])
def test_parts_make_the_file(size: int) -> None:
    """A large file goes up in parts; their ETags are in order, whichever was first."""
    world = World()
    data = bytes(range(size))
    uploaded = parts_of(world, data, 10)
    parts = -(-size // 10)
    assert len(world.objects.puts) == len(uploaded.etags) == parts
    key = world.objects.puts[0].removeprefix("memory:").split("#")[0]
    world.memory.payloads.complete_multipart(key, uploaded.multipart_id, uploaded.etags)
    assert world.memory.payloads.get(key) == data


def test_one_part_is_one_put() -> None:
    """A file that fits into a part needs no multipart upload."""
    world = World()
    assert parts_of(world, b"0123456789", 10).multipart_id is None


def test_urls_are_asked_for_as_they_are_needed() -> None:
    """Many parts need several askings, all for the same upload."""
    world = World()
    uploaded = parts_of(world, bytes(2 * URLS_AT_ONCE + 1), 1)
    asked = [sent.body for sent in world.transport.sent]
    assert [body["first_part"] for body in asked] == [1, URLS_AT_ONCE + 1, 2 * URLS_AT_ONCE + 1]
    assert {body["upload_id"] for body in asked[1:]} == {uploaded.upload_id}
    assert len(uploaded.etags) == 2 * URLS_AT_ONCE + 1


def test_expired_upload_urls_are_renewed_once() -> None:
    """A part whose URL has expired gets another one; one that is refused again is an error."""
    world = World()
    world.objects.refusals = 1
    data = bytes(range(45))
    uploaded = parts_of(world, data, 10)
    key = world.objects.puts[0].removeprefix("memory:").split("#")[0]
    world.memory.payloads.complete_multipart(key, uploaded.multipart_id, uploaded.etags)
    assert world.memory.payloads.get(key) == data
    world.objects.refusals = 2
    with pytest.raises(LinkRefused):
        parts_of(world, data, 10)


def test_an_expired_url_of_a_whole_file_is_renewed() -> None:
    """A new upload is begun in the place of the one that came too late."""
    world = World()
    refused: list[str] = []

    class ExpiredOnce:
        def put(self, url: str, data: bytes) -> str:
            if not refused:
                refused.append(url)
                raise LinkRefused("it has expired")
            return world.objects.put(url, data)

        def get(self, url: str) -> bytes:
            return world.objects.get(url)

    grid = Grid(transport=world.transport, objects=ExpiredOnce(), clock=world.memory.clock)
    assert grid.submit("square", range(9_999)).results()[-1] == 9_998**2
    assert len(world.transport.asked("POST", "/uploads")) == 2


def test_a_session_of_parts() -> None:
    """The grid completes the upload when the session is submitted."""
    world = World()
    tasks = ["x" * 1_000_000 for _ in range(17)]
    session = world.grid.submit("square", [{"text": text} for text in tasks], chunk_size=1)
    assert len(world.objects.puts) == 2
    assert len(world.transport.asked("POST", "/sessions")[0].body["input"]["etags"]) == 2
    assert session.status().counts.finished == 17


def test_align_keeps_what_fits() -> None:
    """A stride that divides the wished chunk size is left as it is."""
    file = io.BytesIO()
    packed = pack(range(100), file, most_offsets=50)
    align(packed, 6, file)
    assert packed.stride == 2
    align(packed, 7, file)
    assert (packed.stride, len(packed.offsets)) == (7, 15)
    lines = file.getvalue().splitlines(keepends=True)
    assert packed.offsets == [sum(map(len, lines[:first])) for first in range(0, 100, 7)]
