"""What a payload cache adds to the PayloadStore's contract, on a real server."""

import uuid
from collections.abc import Iterator
from contextlib import closing

import pytest

from stepgrid_core.memory import MemoryPayloadStore, VirtualClock
from stepgrid_core.payload_cache import CachedPayloadStore, seal
from stepgrid_core.redis_cache import RedisCache
from tests.redis_bench import RedisBench

OUTPUT = "results/session/00000/1-0.jsonl"
INPUT = "inputs/owner/upload.jsonl"
LIMIT = 1024


class Bench:
    """A cached store; `truth` is what lies behind, `drop` removes an object from it alone."""

    def __init__(self, cache: RedisCache, server: RedisBench, namespace: str) -> None:
        self.truth = MemoryPayloadStore()
        self.store = CachedPayloadStore(self.truth, cache, VirtualClock(), LIMIT, seconds=60)
        self.client = server.client()
        self.namespace = namespace

    def drop(self, key: str) -> None:
        self.truth.delete_prefix(key)

    def name(self, key: str) -> str:
        return f"{self.namespace}:{key}"


@pytest.fixture
def bench(redis_server: RedisBench) -> Iterator[Bench]:
    namespace = uuid.uuid4().hex
    with closing(RedisCache(redis_server.url, namespace)) as cache:
        made = Bench(cache, redis_server, namespace)
        yield made
        made.client.close()


def test_an_output_is_read_without_the_store(bench: Bench) -> None:
    """What was put is hot."""
    bench.store.put(OUTPUT, b"line\n")
    bench.drop(OUTPUT)
    assert bench.store.get(OUTPUT) == b"line\n"
    assert bench.store.peek([OUTPUT, INPUT]) == {OUTPUT: b"line\n"}


def test_an_output_that_was_read_is_hot_again(bench: Bench) -> None:
    """The first reader after it was forgotten fills the cache for the others."""
    bench.truth.put(OUTPUT, b"line\n")
    assert bench.store.peek([OUTPUT]) == {}
    assert bench.store.get(OUTPUT) == b"line\n"
    assert bench.store.peek([OUTPUT]) == {OUTPUT: b"line\n"}


def test_a_range_of_an_input_is_read_without_the_store(bench: Bench) -> None:
    """By its ETag: a worker gets the very bytes that were submitted."""
    stored = bench.store.put(INPUT, b"0123456789")
    bench.drop(INPUT)
    assert list(bench.store.open_range(INPUT, 2, 3, stored.etag)) == [b"234"]


def test_a_range_of_a_replaced_input_is_the_stores(bench: Bench) -> None:
    """What is kept under another ETag is another object."""
    bench.store.put(INPUT, b"0123456789")
    replaced = bench.truth.put(INPUT, b"abcdefghij")
    assert list(bench.store.open_range(INPUT, 2, 3, replaced.etag)) == [b"cde"]


def test_an_input_without_its_etag_is_the_stores(bench: Bench) -> None:
    """Whoever has a URL may have replaced it."""
    bench.store.put(INPUT, b"old")
    bench.truth.put(INPUT, b"new")
    assert bench.store.get(INPUT) == b"new"
    assert bench.store.peek([INPUT]) == {}


@pytest.mark.parametrize(("size", "hot"), [(0, True), (LIMIT, True), (LIMIT + 1, False)])
def test_only_small_objects_are_kept(bench: Bench, size: int, hot: bool) -> None:
    """Up to the limit, the empty one included."""
    bench.store.put(OUTPUT, b"x" * size)
    assert (OUTPUT in bench.store.peek([OUTPUT])) is hot
    assert bench.store.get(OUTPUT) == b"x" * size


def test_everything_kept_expires(bench: Bench) -> None:
    """A cache that nobody cleans does not grow for ever."""
    bench.store.put(OUTPUT, b"line\n")
    assert 0 < int(bench.client.ttl(bench.name(OUTPUT))) <= 60  # type: ignore[arg-type]


def test_a_delete_reaches_the_cache(bench: Bench) -> None:
    """The outputs under the prefix, and no others."""
    other = "results/other/00000/1-0.jsonl"
    for key in (OUTPUT, other):
        bench.store.put(key, b"line\n")
    bench.store.delete_prefix("results/session/")
    assert bench.store.peek([OUTPUT, other]) == {other: b"line\n"}


def test_two_grids_may_share_a_server(bench: Bench, redis_server: RedisBench) -> None:
    """Each has its own names."""
    with closing(RedisCache(redis_server.url, uuid.uuid4().hex)) as cache:
        neighbour = CachedPayloadStore(MemoryPayloadStore(), cache, VirtualClock())
        bench.store.put(OUTPUT, b"line\n")
        assert neighbour.peek([OUTPUT]) == {}


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"line\n", id="not sealed"),
        pytest.param(seal(OUTPUT, "e", b"line\n")[:-1], id="cut"),
        pytest.param(seal(OUTPUT, "e", b"line\n")[:-1] + b"\0", id="changed"),
        pytest.param(seal(INPUT, "e", b"line\n"), id="another's"),
    ],
)
def test_damaged_values_count_for_nothing(bench: Bench, value: bytes) -> None:
    """The store answers instead."""
    bench.truth.put(OUTPUT, b"true\n")
    bench.client.set(bench.name(OUTPUT), value)
    assert bench.store.peek([OUTPUT]) == {}
    assert bench.store.get(OUTPUT) == b"true\n"


def test_many_are_deleted(bench: Bench) -> None:
    """More than go into one request."""
    keys = [f"results/session/{number:05d}/1-0.jsonl" for number in range(1_001)]
    for key in keys:
        bench.store.put(key, b"")
    assert len(bench.store.peek(keys)) == len(keys)
    bench.store.delete_prefix("results/session/")
    assert bench.store.peek(keys) == {}
