"""Uploads: files go up while they are packed, a few parts at once, and leave nothing half done."""

import hashlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from stepgrid import Grid, InvalidRequest, NotFound, RequestTooLarge, Unavailable
from stepgrid.objects import LinkRefused
from stepgrid.uploads import (
    FIRST_URLS,
    MOST_URLS,
    PART_BYTES,
    PARTS_AT_ONCE,
    Uploaded,
    gather_parts,
    upload_parts,
)
from stepgrid_core.contract import MAX_PARTS, MIN_PART_BYTES
from tests.unit.sdk_fakes import Sent, World

#: Long enough that only a mistake can outlast it.
PATIENCE_SECONDS = 30


def parts_of(world: World, *parts: bytes) -> Uploaded:
    return upload_parts(world.grid.connection, parts)


def check_completed(world: World, uploaded: Uploaded, data: bytes) -> None:
    """What the grid puts together is the file."""
    key = world.objects.puts[0].removeprefix("memory:").split("#")[0]
    assert uploaded.multipart_id is not None
    etags = uploaded.etags or []
    world.memory.payloads.complete_multipart(key, uploaded.multipart_id, etags, len(data))
    assert world.memory.payloads.get(key) == data


@pytest.mark.parametrize(
    ("blocks", "parts"),
    [
        pytest.param([], [], id="none"),
        pytest.param([b"1"], [b"1"], id="less than a part"),
        pytest.param([b"12", b"34"], [b"1234"], id="one"),
        pytest.param([b"12", b"345", b"6"], [b"12345", b"6"], id="more than one"),
        pytest.param([b"123456789"], [b"123456789"], id="a large block"),
    ],
)
def test_blocks_become_parts(blocks: list[bytes], parts: list[bytes]) -> None:
    """All parts but the last have as many bytes as a part must have."""
    assert list(gather_parts(blocks, 4)) == parts


@pytest.mark.parametrize("count", [1, 2, PARTS_AT_ONCE, 3 * PARTS_AT_ONCE + 1])
def test_parts_make_the_file(count: int) -> None:
    """Their ETags are in order, whichever arrived first; the digest is that of the file."""
    world = World()
    parts = [b"part %d\n" % number for number in range(count)]
    uploaded = parts_of(world, *parts)
    assert len(world.objects.puts) == count
    check_completed(world, uploaded, b"".join(parts))
    assert uploaded.sha256 == hashlib.sha256(b"".join(parts)).hexdigest()


def test_parts_go_up_while_others_are_made() -> None:
    """The second part is not made before the first has arrived."""
    world = World()
    arrived = threading.Event()
    world.objects.after_put = lambda url: arrived.set()

    def parts() -> Iterator[bytes]:
        yield b"first"
        assert arrived.wait(PATIENCE_SECONDS)
        yield b"second"

    uploaded = upload_parts(world.grid.connection, parts())
    check_completed(world, uploaded, b"firstsecond")


def test_few_parts_are_held_at_once() -> None:
    """However slow the line: no part is made while as many as may be are under way."""
    world = World()
    lock = threading.Lock()
    made = arrived = 0

    def note(url: str) -> None:
        nonlocal arrived
        with lock:
            arrived += 1

    world.objects.before_put = note

    def parts() -> Iterator[bytes]:
        nonlocal made
        for number in range(20):
            with lock:
                assert made - arrived <= PARTS_AT_ONCE
                made += 1
            yield b"%d" % number

    upload_parts(world.grid.connection, parts())
    assert (made, arrived) == (20, 20)


def test_urls_are_asked_for_as_they_are_needed() -> None:
    """Few at first, then more each time, all for the same upload."""
    world = World()
    count = 9 * FIRST_URLS + MOST_URLS + 1
    uploaded = parts_of(world, *[b"x"] * count)
    asked = [sent.body for sent in world.transport.sent]
    numbers = [(body["first_part"], body["parts"]) for body in asked]
    assert numbers == [(1, 8), (9, 16), (25, 48), (73, 64), (137, 64)]
    assert {body["upload_id"] for body in asked[1:]} == {uploaded.upload_id}
    assert len(uploaded.etags or []) == count


def test_expired_urls_of_parts_are_renewed_once() -> None:
    """A part whose URL has expired gets another one; one that is refused again is an error."""
    world = World()
    world.objects.refusals = 1
    uploaded = parts_of(world, b"one", b"two", b"three")
    check_completed(world, uploaded, b"onetwothree")
    world.objects.refusals = 2
    with pytest.raises(LinkRefused):
        parts_of(world, b"one", b"two", b"three")


def test_an_expired_url_of_a_whole_file_is_renewed() -> None:
    """A new upload is begun in the place of the one that came too late."""
    world = World()
    first = iter([LinkRefused("it has expired")])

    def expire_once(url: str) -> None:
        for error in first:
            raise error

    world.objects.before_put = expire_once
    assert world.grid.submit("square", range(9_999)).results()[-1] == 9_998**2
    assert len(world.transport.asked("POST", "/uploads")) == 2


def broken_off(world: World, error: BaseException) -> Iterator[Any]:
    """Tasks whose error comes when there are some 20 MB of them, and a part has arrived."""
    arrived = threading.Event()
    world.objects.after_put = lambda url: arrived.set()
    for _ in range(20):
        yield {"text": "x" * 1_000_000}
    assert arrived.wait(PATIENCE_SECONDS)
    raise error


class OfTheCaller(Exception):
    pass


@pytest.mark.parametrize(
    "error", [OfTheCaller(), KeyboardInterrupt()], ids=["error", "interrupted"]
)
def test_tasks_that_come_to_no_end_leave_nothing(error: BaseException) -> None:
    """No session, no object, no upload that was begun."""
    world = World()
    with pytest.raises(type(error)):
        world.grid.submit("square", broken_off(world, error))
    assert world.objects.puts != []
    assert world.transport.asked("POST", "/sessions") == []
    assert world.memory.payloads.list_keys() == []
    assert world.memory.payloads.list_multiparts() == []


def join_uploads() -> None:
    """Return when the threads of all uploads have ended."""
    for thread in threading.enumerate():
        if thread.name.startswith("stepgrid-upload"):
            thread.join(PATIENCE_SECONDS)
            assert not thread.is_alive()


@pytest.mark.parametrize(
    "error", [OfTheCaller(), KeyboardInterrupt()], ids=["error", "interrupted"]
)
def test_parts_under_way_are_not_waited_for(error: BaseException) -> None:
    """The line may be slow: who gives up is told at once, and a part that comes late is no harm."""
    world = World()
    begun, released = threading.Event(), threading.Event()

    def hold(url: str) -> None:
        begun.set()
        released.wait(PATIENCE_SECONDS)
        told_late.append(not released.is_set())

    def parts() -> Iterator[bytes]:
        yield b"one"
        assert begun.wait(PATIENCE_SECONDS)
        raise error

    told_late: list[bool] = []
    world.objects.before_put = hold
    with pytest.raises(type(error)):
        upload_parts(world.grid.connection, parts())
    assert world.memory.payloads.list_multiparts() == []
    released.set()
    join_uploads()
    assert told_late == [False]
    assert world.memory.payloads.list_multiparts() == []


def test_an_upload_that_begins_too_late_is_aborted() -> None:
    """The caller gave up while the first URLs were being asked for."""
    world = World()
    asked, released = threading.Event(), threading.Event()

    def hold(sent: Sent) -> None:
        asked.set()
        assert released.wait(PATIENCE_SECONDS)

    def parts() -> Iterator[bytes]:
        yield b"one"
        assert asked.wait(PATIENCE_SECONDS)
        raise OfTheCaller

    world.transport.before = hold
    with pytest.raises(OfTheCaller):
        upload_parts(world.grid.connection, parts())
    released.set()
    join_uploads()
    assert len(world.transport.asked("POST", "/uploads")) == 1
    assert world.memory.payloads.list_multiparts() == []
    assert world.objects.puts == []


def test_a_late_task_that_is_not_json_leaves_nothing() -> None:
    """It is named, although the tasks before it are on their way."""
    world = World()
    tasks = [{"text": "x" * 1_000_000}] * 20 + [{1, 2}]
    with pytest.raises(InvalidRequest, match="task 20 is not JSON"):
        world.grid.submit("square", tasks)
    assert world.transport.asked("POST", "/sessions") == []
    assert world.memory.payloads.list_multiparts() == []


def test_a_late_task_that_is_too_large_leaves_nothing() -> None:
    """As one that is not JSON."""
    world = World()
    tasks = ["x" * 1_000_000] * 20 + ["x" * 17_000_000]
    with pytest.raises(RequestTooLarge, match="task 20 has"):
        world.grid.submit("square", tasks)
    assert world.memory.payloads.list_multiparts() == []


def test_an_upload_that_fails_is_aborted() -> None:
    """The store does not answer: the error is that of the part, not that of the cleaning up."""
    world = World()

    def fail(url: str) -> None:
        raise Unavailable("the store is down")

    world.objects.before_put = fail
    with pytest.raises(Unavailable, match="the store is down"):
        parts_of(world, b"one", b"two")
    assert world.memory.payloads.list_multiparts() == []


def test_what_can_not_be_aborted_is_left_to_the_store() -> None:
    """The caller gets his own error, whatever happens to the cleaning up."""
    world = World()

    def fail(url: str) -> None:
        raise NotFound("it is gone already")

    world.objects.before_delete = fail
    with pytest.raises(OfTheCaller):
        world.grid.submit("square", broken_off(world, OfTheCaller()))
    assert len(world.memory.payloads.list_multiparts()) == 1


def test_a_grid_that_knows_no_abort_is_no_trouble() -> None:
    """An older grid gives no URL to abort by."""
    world = World()
    grid = Grid(transport=WithoutAbort(world), objects=world.objects, clock=world.memory.clock)
    with pytest.raises(OfTheCaller):
        grid.submit("square", broken_off(world, OfTheCaller()))


class WithoutAbort:
    """Answers as a grid did before uploads could be aborted."""

    def __init__(self, world: World) -> None:
        self._world = world

    def request(self, *args: Any, **more: Any) -> dict[str, Any]:
        answer = self._world.transport.request(*args, **more)
        return {name: value for name, value in answer.items() if name != "abort_url"}


def test_a_session_of_parts() -> None:
    """The grid completes the upload when the session is submitted."""
    world = World()
    tasks = [{"text": "x" * (PART_BYTES // 8)} for _ in range(17)]
    session = world.grid.submit("square", tasks, chunk_size=1)
    assert len(world.objects.puts) == 3
    assert len(world.transport.asked("POST", "/sessions")[0].body["input"]["etags"]) == 3
    assert session.status().counts.finished == 17


def test_a_file_larger_than_the_grid_takes_is_refused_while_it_goes_up() -> None:
    """Tasks without an end: nobody has to wait for the last one to learn that."""
    world = World(settings={"max_input_mib": 100})
    most = 100 * 1024 * 1024 // MIN_PART_BYTES + 1

    def parts() -> Iterator[bytes]:
        while True:
            yield b"x"

    with pytest.raises(RequestTooLarge, match="100 MiB"):
        upload_parts(world.grid.connection, parts())
    assert len(world.objects.puts) <= most + MOST_URLS
    assert world.memory.payloads.list_multiparts() == []


def test_no_file_has_more_parts_than_the_store_takes() -> None:
    """The message says what to do, where the grid's own limit is higher."""
    world = World(settings={"max_input_mib": 1024 * 1024})
    with pytest.raises(RequestTooLarge, match="submit several sessions"):
        parts_of(world, *[b"x"] * (MAX_PARTS + 1))
    assert len(world.objects.puts) == MAX_PARTS
