"""Data that all tasks of a session share: sent once, stored once, the same for every task."""

import hashlib
from typing import Any

import pytest

from stepgrid import Conflict, GridExecutor, InvalidRequest, RequestTooLarge
from stepgrid.common_input import INLINE_COMMON_BYTES
from stepgrid.testing import InMemoryGrid
from stepgrid_core import common_cache, common_input
from stepgrid_core.common_cache import CommonCache
from stepgrid_core.contract import MAX_COMMON_BYTES, SubmitRequest, UploadRequest
from stepgrid_core.invocation import SessionFacts, facts_of
from stepgrid_core.memory import MemoryPayloadStore
from stepgrid_core.ports import CommonInput
from stepgrid_core.submission import create_upload
from tests.submitting import submit
from tests.unit.sdk_fakes import World

RATES = {"EUR": 1.08, "CHF": 1.12}
#: Too large for the request, so it is uploaded.
LARGE = {"curve": "x" * INLINE_COMMON_BYTES}
OWNER = "owner"


def scale(event: Any, context: Any) -> Any:
    return [event, context.common]


def request(**changes: Any) -> SubmitRequest:
    return SubmitRequest.model_validate(
        {"client_token": "t", "worker": "square", "tasks": [1, 2], **changes}
    )


# --- the SDK --------------------------------------------------------------------------------------


@pytest.mark.parametrize("common", [RATES, LARGE, [], "text", 0, False], ids=type)
def test_every_task_is_given_the_common_input(common: Any) -> None:
    """It arrives as it was given, small or large, and false values are values."""
    world = World(scale)
    assert world.grid.submit("square", [1, 2], common=common).results() == [
        [1, common],
        [2, common],
    ]


def test_a_session_without_one_has_none() -> None:
    """`context.common` is None, also on a worker that has just run a session with one."""
    world = World(scale)
    world.grid.submit("square", [1], common=RATES).results()
    assert world.grid.submit("square", [1]).results() == [[1, None]]


def test_map_takes_one_as_well() -> None:
    """`common` is for all tasks of the map."""
    world = World(scale)
    assert list(world.grid.map("square", [1], common=RATES)) == [[1, RATES]]


def test_an_executor_gives_it_to_all_its_sessions() -> None:
    """Whatever session a task goes with, and it is uploaded once."""
    world = World(scale)
    with GridExecutor(world.grid, "square", common=LARGE, batch_tasks=1) as executor:
        assert list(executor.map([1, 2])) == [[1, LARGE], [2, LARGE]]
    assert len(world.transport.asked("POST", "/v1/sessions")) == 2
    assert len(world.objects.puts) == 1


def test_a_small_one_travels_in_the_request() -> None:
    """No upload is asked for."""
    world = World(scale)
    world.grid.submit("square", [1], common=RATES)
    assert world.transport.asked("POST", "/v1/uploads") == []


def test_a_large_one_is_uploaded_once_for_many_sessions() -> None:
    """The grid answers that it has it; another day it is sent again, as objects expire."""
    world = World(scale)
    for _ in range(2):
        world.grid.submit("square", [1], common=LARGE)
    assert len(world.objects.puts) == 1
    world.memory.clock.advance(common_input.DAY_SECONDS)
    world.grid.submit("square", [1], common=LARGE)
    assert len(set(world.objects.puts)) == 2


def test_an_expired_url_is_asked_for_again() -> None:
    """As with every upload."""
    world = World(scale)
    world.objects.refusals = 1
    assert world.grid.submit("square", [1], common=LARGE).results() == [[1, LARGE]]


@pytest.mark.parametrize(
    ("common", "error", "words"),
    [
        (float("nan"), InvalidRequest, "common is not JSON"),
        ({1, 2}, InvalidRequest, "common is not JSON"),
        ("\ud800", InvalidRequest, "common is not JSON"),
        ("x" * MAX_COMMON_BYTES, RequestTooLarge, "common has 67,108,866 bytes"),
    ],
    ids=["nan", "set", "half a pair", "too large"],
)
def test_what_can_not_be_one_is_refused(common: Any, error: type[Exception], words: str) -> None:
    """By name, and before anything is sent."""
    world = World()
    with pytest.raises(error, match=words):
        world.grid.submit("square", [1], common=common)
    assert world.transport.sent == []


def test_a_token_belongs_to_its_common_input() -> None:
    """The same again is the same session; another common input is another request."""
    world = World(scale)
    first = world.grid.submit("square", [1], client_token="t", common=RATES)
    again = world.grid.submit("square", [1], client_token="t", common=RATES)
    assert again.id == first.id
    for common in ({"EUR": 2}, LARGE, None):
        with pytest.raises(Conflict):
            world.grid.submit("square", [1], client_token="t", common=common)


# --- the control plane ----------------------------------------------------------------------------


@pytest.fixture
def memory() -> InMemoryGrid:
    return InMemoryGrid({"square": scale})


def test_both_ways_at_once_are_refused() -> None:
    """A session has one common input."""
    upload = {"upload_id": "0" * 32, "size": 1, "sha256": "0" * 64}
    with pytest.raises(ValueError, match="either common or common_upload"):
        request(common=RATES, common_upload=upload)


def test_parts_of_a_common_input_are_refused() -> None:
    """It is one PUT."""
    file = {"size": 1, "sha256": "0" * 64}
    with pytest.raises(ValueError, match="one PUT"):
        UploadRequest.model_validate({"common": file, "parts": 2})


def test_a_large_one_in_the_request_is_refused(memory: InMemoryGrid) -> None:
    """The answer names the way to send it."""
    common = "x" * common_input.INLINE_COMMON_BYTES
    with pytest.raises(RequestTooLarge, match="common_upload"):
        submit(memory.wiring, OWNER, request(common=common))


def upload(memory: InMemoryGrid, owner: str, text: bytes) -> dict[str, Any]:
    """Upload a common input; answers the common_upload of a request."""
    file = {"size": len(text), "sha256": hashlib.sha256(text).hexdigest()}
    target = create_upload(memory.wiring, owner, UploadRequest.model_validate({"common": file}))
    for url in target.urls:
        memory.payloads.put(url.removeprefix("memory:"), text)
    return {"upload_id": target.upload_id, **file}


def test_what_was_not_uploaded_is_refused(memory: InMemoryGrid) -> None:
    """Nothing there, another size, or somebody else's: each is an error of the caller."""
    mine = upload(memory, OWNER, b"[1]")
    for wrong in ({**mine, "upload_id": "0" * 32}, {**mine, "size": 4}):
        with pytest.raises(InvalidRequest, match=r"were\s+announced"):
            submit(memory.wiring, OWNER, request(common_upload=wrong))
    with pytest.raises(InvalidRequest, match="nothing uploaded"):
        submit(memory.wiring, "mallory", request(common_upload=mine))


def test_nobody_learns_what_another_uploaded(memory: InMemoryGrid) -> None:
    """Another owner with the same bytes is given a URL, as if they were new."""
    upload(memory, OWNER, b"[1]")
    file = {"size": 3, "sha256": hashlib.sha256(b"[1]").hexdigest()}
    asked = UploadRequest.model_validate({"common": file})
    assert create_upload(memory.wiring, OWNER, asked).urls == []
    assert len(create_upload(memory.wiring, "mallory", asked).urls) == 1


# --- the cache of an environment ------------------------------------------------------------------


class CountingStore(MemoryPayloadStore):
    """Counts what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []

    def get(self, key: str) -> bytes:
        self.reads.append(key)
        return super().get(key)


def facts(memory: InMemoryGrid, common: Any, token: str) -> SessionFacts:
    return facts_of(submit(memory.wiring, OWNER, request(common=common, client_token=token)))


def test_an_environment_reads_it_once(memory: InMemoryGrid) -> None:
    """Another chunk, or another session with the same value, costs no request."""
    store, cache = CountingStore(), CommonCache()
    sessions = [facts(memory, RATES, token) for token in "ab"]
    key = str(sessions[0].common_key)
    store.put(key, memory.payloads.get(key))
    texts = {cache.read(store, session) for session in [*sessions, *sessions]}
    text = b'{"EUR":1.08,"CHF":1.12}'
    assert texts == {CommonInput(session.session_id, text) for session in sessions}
    assert store.reads == [key]


def test_only_a_few_are_kept(memory: InMemoryGrid) -> None:
    """The one that was not used for longest goes first, by number and by bytes."""
    store, cache = CountingStore(), CommonCache()
    sessions = [facts(memory, [n], str(n)) for n in range(common_cache.CACHE_ENTRIES + 1)]
    for session in sessions:
        store.put(str(session.common_key), memory.payloads.get(str(session.common_key)))
        cache.read(store, session)
        cache.read(store, sessions[0])
    cache.read(store, sessions[1])
    assert store.reads.count(str(sessions[0].common_key)) == 1
    assert store.reads.count(str(sessions[1].common_key)) == 2


@pytest.mark.parametrize(("size_bytes", "reads"), [(5, 2), (4, 4)])
def test_large_ones_are_not_kept_together(
    memory: InMemoryGrid, size_bytes: int, reads: int
) -> None:
    """The memory of an environment is for its tasks."""
    store, cache = CountingStore(), CommonCache(size_bytes=size_bytes)
    sessions = [facts(memory, value, str(value)) for value in (11, 222)]
    for session in sessions * 2:
        store.put(str(session.common_key), memory.payloads.get(str(session.common_key)))
        cache.read(store, session)
    assert len(store.reads) == reads
