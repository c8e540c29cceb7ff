"""Outputs on their way: in parts, in order, bounded, and checked."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from stepgrid import ConfigurationError, PayloadCorrupted
from stepgrid.api import Api
from stepgrid.connection import TRANSFERS, Connection
from stepgrid.downloads import Downloads
from stepgrid.objects import LinkRefused
from stepgrid.pages import ResultPages
from stepgrid.parallel import map_ahead
from stepgrid_core.contract import ChunkOutput
from tests.unit.sdk_fakes import World

PATIENCE_SECONDS = 30.0


class Outputs:
    """A session of three chunks whose outputs have about 1 KB each, none of it inline."""

    def __init__(self, part_bytes: int) -> None:
        self.world = World()
        tasks = [{"n": n, "text": "x" * 5_000} for n in range(9)]
        session = self.world.grid.submit("square", tasks, chunk_size=3)
        connection = self.world.grid.connection
        self.pages = ResultPages(connection.api, session.id, 3)
        self.pages.ask(0)
        self.downloads = Downloads(connection, session.id, self.pages, part_bytes)

    def entries(self) -> Iterator[ChunkOutput]:
        return (entry for chunk in range(3) if (entry := self.pages.known(chunk)) is not None)

    def fetch(self, keep: bool = False) -> list[tuple[int, int]]:
        """Chunk and size of each output that came."""
        fetched = self.downloads.fetch(self.entries(), keep)
        return [(chunk.chunk, len(data)) for chunk, data in fetched]

    @property
    def sizes(self) -> list[tuple[int, int]]:
        return [(entry.chunk, entry.size) for entry in self.entries()]


@pytest.mark.parametrize(("part_bytes", "requests"), [(4_000, 12), (8_000, 3), (100_000, 3)])
def test_large_outputs_come_in_parts(part_bytes: int, requests: int) -> None:
    """Of more than two parts; together they are what was committed."""
    outputs = Outputs(part_bytes)
    assert outputs.fetch() == outputs.sizes
    assert len(outputs.world.objects.gets) == requests


def test_an_expired_url_is_renewed_for_each_part() -> None:
    """Parts that are refused together ask for the page once."""
    outputs = Outputs(4_000)
    pages = len(outputs.world.transport.asked("GET", "/results"))
    outputs.world.objects.refusals = 1
    assert outputs.fetch() == outputs.sizes
    assert len(outputs.world.transport.asked("GET", "/results")) <= pages + 12


class Signing:
    """Objects and pages of a world whose URLs are numbered; those before `good_from` expired."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.issued = self.good_from = 0

    def request(self, *args: Any, **more: Any) -> dict[str, Any]:
        page = self._world.transport.request(*args, **more)
        for chunk in page["chunks"]:
            chunk["url"] += f"?{self.issued}"
            self.issued += 1
        return page

    def get(self, url: str, byte_range: tuple[int, int] | None = None) -> bytes:
        path, _, number = url.partition("?")
        if int(number) < self.good_from:
            raise LinkRefused(f"{url} has expired")
        return self._world.objects.get(path, byte_range)

    def expire(self) -> None:
        self.good_from = self.issued


def test_a_url_that_another_reader_renewed_may_expire_as_well() -> None:
    """A reader that takes longer than two of them are good is given a third."""
    outputs = Outputs(100_000)
    session_id = outputs.world.transport.sent[-1].path.split("/")[3]
    signing = Signing(outputs.world)
    connection = Connection(Api(signing), signing, outputs.world.memory.clock)  # type: ignore[arg-type]
    pages = ResultPages(connection.api, session_id, 3)
    downloads = Downloads(connection, session_id, pages)
    slow, quick = pages.ask(0), pages.read(0)
    signing.expire()
    assert len(list(downloads.fetch(quick, keep=False))) == 3
    signing.expire()
    assert [
        (chunk.chunk, len(data)) for chunk, data in downloads.fetch(slow, False)
    ] == outputs.sizes
    connection.close()


def test_a_damaged_part_is_found() -> None:
    """The digest is that of the whole output."""
    outputs = Outputs(4_000)
    payloads = outputs.world.memory.payloads
    url = next(iter(outputs.entries())).url or ""
    key = url.removeprefix("memory:")
    payloads.put(key, payloads.get(key).replace(b"xxx", b"xyx", 1))
    with pytest.raises(PayloadCorrupted, match="chunk 0"):
        outputs.fetch()


def test_outputs_are_kept_where_this_is_wished() -> None:
    """Who reads once leaves nothing behind."""
    outputs = Outputs(4_000)
    for keep, requests in ((False, 12), (True, 24), (True, 24), (False, 24)):
        assert outputs.fetch(keep) == outputs.sizes
        assert len(outputs.world.objects.gets) == requests


def test_no_more_is_ahead_than_may_be() -> None:
    """However many threads there are: the weight of what has begun and was not taken is bounded."""
    begun: list[int] = []
    with ThreadPoolExecutor(8) as pool:
        answers = map_ahead(pool, _noting(begun), iter(range(100)), 8, weigh=lambda _: 10, most=25)
        for taken, answer in enumerate(answers):
            assert answer == taken
            assert len(begun) <= taken + 1 + 3


def test_what_is_too_heavy_comes_alone() -> None:
    """An item above the limit is called for all the same."""
    begun: list[int] = []
    with ThreadPoolExecutor(8) as pool:
        items = iter([100, 1, 100, 1])
        assert list(map_ahead(pool, _noting(begun), items, 8, weigh=int, most=25)) == [
            100,
            1,
            100,
            1,
        ]


def test_a_grid_that_is_closed_meanwhile_is_named() -> None:
    """Who still reads is told so in words of this library."""
    outputs = Outputs(100_000)
    connection = outputs.world.grid.connection
    released = threading.Event()
    others = [connection.pool.submit(released.wait, PATIENCE_SECONDS) for _ in range(TRANSFERS)]

    def entries() -> Iterator[ChunkOutput | None]:
        yield next(outputs.entries())
        outputs.world.grid.close()
        yield None

    with pytest.raises(ConfigurationError, match="the Grid was closed meanwhile; make another"):
        list(outputs.downloads.fetch(entries(), keep=False))
    released.set()
    assert all(other.result(PATIENCE_SECONDS) for other in others)


def _noting(begun: list[int]) -> Any:
    lock = threading.Lock()

    def call(item: int) -> int:
        with lock:
            begun.append(item)
        return item

    return call
