"""The payload cache is down, dies, is full, forgets or lies: every answer is still right."""

import logging
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from stepgrid_core.errors import NotFound
from stepgrid_core.memory import MemoryPayloadStore, VirtualClock
from stepgrid_core.payload_cache import PAUSE_SECONDS, CachedPayloadStore, CacheFault
from stepgrid_core.redis_cache import RedisCache
from tests.redis_bench import RedisBench

BODY = b"x" * 10_000


def key(number: int) -> str:
    return f"results/session/{number:05d}/1-0.jsonl"


class Cached:
    """A cached store over a server of its own."""

    def __init__(self, server: RedisBench, cache: RedisCache) -> None:
        self.server = server
        self.clock = VirtualClock()
        self.truth = MemoryPayloadStore()
        self.store = CachedPayloadStore(self.truth, cache, self.clock)

    def put_and_read(self, count: int) -> None:
        """Each object is put, and all are there afterwards."""
        for number in range(count):
            self.store.put(key(number), BODY + b"%d" % number)
        for number in range(count):
            assert self.store.get(key(number)) == BODY + b"%d" % number
            etag = self.truth.put(key(number), self.truth.get(key(number))).etag
            assert list(self.store.open_range(key(number), 10_000, 9, etag)) == [b"%d" % number]


@contextmanager
def serving(folder: Path, *memory: str, started: bool = True) -> Iterator[Cached]:
    server = RedisBench(folder, memory)
    if started:
        server.start()
    with closing(RedisCache(server.url, uuid.uuid4().hex)) as cache:
        yield Cached(server, cache)
    server.stop()


def test_down_at_the_start(tmp_path: Path) -> None:
    """Everything works without it, and it is used as soon as it is there."""
    with serving(tmp_path, started=False) as cached:
        cached.put_and_read(20)
        assert cached.store.faults == 1  # after which it was left alone
        cached.server.start()
        assert cached.store.peek([key(0)]) == {}
        cached.clock.advance(PAUSE_SECONDS)
        cached.put_and_read(20)
        assert len(cached.store.peek([key(n) for n in range(20)])) == 20


def test_it_dies_in_the_middle(tmp_path: Path) -> None:
    """What was only read from it before comes from the store now; what it forgot comes back."""
    with serving(tmp_path) as cached:
        cached.put_and_read(20)
        cached.server.stop()
        cached.put_and_read(20)
        assert cached.store.peek([key(0)]) == {}
        cached.server.start()
        cached.clock.advance(PAUSE_SECONDS)
        assert cached.store.peek([key(0)]) == {}
        assert cached.store.get(key(0)) == BODY + b"0"
        assert cached.store.peek([key(0)]) == {key(0): BODY + b"0"}


def test_it_is_full_and_evicts_nothing(tmp_path: Path) -> None:
    """A refused write is counted, and fails no call; what it has it goes on to give."""
    with serving(tmp_path, "--maxmemory", "3mb", "--maxmemory-policy", "noeviction") as cached:
        cached.put_and_read(400)
        assert cached.store.faults > 0
        hot = cached.store.peek([key(number) for number in range(400)])
        assert 0 < len(hot) < 400


def test_it_evicts(tmp_path: Path) -> None:
    """What it forgot without a word is in the store."""
    with serving(tmp_path, "--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru") as cached:
        cached.put_and_read(400)
        hot = cached.store.peek([key(number) for number in range(400)])
        assert 0 < len(hot) < 400
        assert cached.store.faults == 0


def test_no_log_line_tells_where_it_is(caplog: pytest.LogCaptureFixture) -> None:
    """The URL holds a password; a fault is named by its kind."""
    with closing(RedisCache("redis://user:secret@127.0.0.1:1/0", "n")) as cache:
        store = CachedPayloadStore(MemoryPayloadStore(), cache, VirtualClock())
        with caplog.at_level(logging.DEBUG):
            store.put(key(0), BODY)
        assert store.faults == 1
        assert "secret" not in caplog.text + repr(cache) + repr(store)


# --- any order of faults --------------------------------------------------------------------------


class FaultyCache:
    """A cache that does what the next fault says."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.fault: str | None = None

    def _begin(self) -> None:
        if self.fault == "unreachable":
            raise CacheFault("ConnectionError", reachable=False)
        if self.fault == "evict":
            self.values.clear()
        if self.fault == "spoil":
            self.values = {name: value[::-1] for name, value in self.values.items()}
        if self.fault == "mix" and self.values:
            names = sorted(self.values)
            self.values = dict(zip(names, [self.values[n] for n in reversed(names)], strict=True))

    def read(self, keys: Sequence[str]) -> list[bytes | None]:
        self._begin()
        return [self.values.get(name) for name in keys]

    def write(self, key: str, value: bytes, seconds: int) -> None:
        self._begin()
        if self.fault == "full":
            raise CacheFault("OutOfMemoryError", reachable=True)
        if self.fault != "lose":
            self.values[key] = value

    def delete(self, keys: Sequence[str]) -> None:
        self._begin()
        for name in keys:
            self.values.pop(name, None)


steps = st.lists(
    st.tuples(
        st.sampled_from(["put", "get", "range", "peek", "delete"]),
        st.integers(0, 3),
        st.sampled_from([None, None, "unreachable", "full", "lose", "evict", "spoil", "mix"]),
        st.sampled_from([0, PAUSE_SECONDS]),
    ),
    max_size=30,
)


@given(steps)
def test_every_answer_is_the_stores(script: list[tuple[str, int, str | None, float]]) -> None:
    """Outputs are written once, and after their delete nobody asks: so the grid uses them."""
    truth, cache, clock = MemoryPayloadStore(), FaultyCache(), VirtualClock()
    store = CachedPayloadStore(truth, cache, clock)
    generation = [0, 0, 0, 0]
    for action, number, cache.fault, seconds in script:
        clock.advance(seconds)
        name = key(100 * generation[number] + number)
        there = truth.head(name)
        if action == "put" and there is None:
            store.put(name, name.encode())
        elif action == "delete":
            store.delete_prefix(name)
            generation[number] += 1
        elif there is None:
            with pytest.raises(NotFound):
                store.get(name)
        elif action == "get":
            assert store.get(name) == name.encode()
        elif action == "range":
            assert list(store.open_range(name, 8, 7, there.etag)) == [b"session"]
        else:
            assert store.peek([name]) in ({}, {name: name.encode()})
