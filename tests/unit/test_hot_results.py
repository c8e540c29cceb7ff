"""Results that a payload cache has at hand travel in the answer; the others by URL, as ever."""

import json
from collections.abc import Sequence
from dataclasses import replace

from stepgrid.testing import InMemoryGrid
from stepgrid_core.contract import ChunkOutput, SubmitRequest
from stepgrid_core.data_plane import check
from stepgrid_core.memory import MemoryPayloadStore
from stepgrid_core.result_pages import PEEK_BYTES_PER_PAGE, read_results
from tests.submitting import submit

OWNER = "owner"


class HotStore(MemoryPayloadStore):
    """Has every output of another store at hand, as a cache does; or something in its place."""

    def __init__(self, real: MemoryPayloadStore, spoiled: bool) -> None:
        super().__init__()
        self._real = real
        self._step = -1 if spoiled else 1
        self.peeks: list[int] = []

    def peek(self, keys: Sequence[str]) -> dict[str, bytes]:
        self.peeks.append(len(keys))
        return {key: self._real.get(key)[:: self._step] for key in keys}


def read(
    chunks: int, result_bytes: int, spoiled: bool = False, text: str = "x"
) -> list[ChunkOutput]:
    """The first page of results of a session of so many chunks."""
    grid = InMemoryGrid({"fill": lambda event, context: text * result_bytes})
    options = {"chunk_size": 1}
    request = {"client_token": "t", "worker": "fill", "tasks": [1] * chunks, "options": options}
    session = submit(grid.wiring, OWNER, SubmitRequest.model_validate(request))
    grid.run()
    store = HotStore(grid.payloads, spoiled)
    page = read_results(replace(grid.wiring, payloads=store), OWNER, session.session_id, None)
    assert store.peeks == [chunks] or result_bytes * chunks > PEEK_BYTES_PER_PAGE
    assert len(store.peeks) == 1
    return page.chunks


def test_hot_outputs_travel_in_the_answer() -> None:
    """The client saves a request for each chunk; the cache is asked once for all."""
    for chunk in read(3, 9_000):
        assert chunk.url is None
        assert check((chunk.lines or "").encode(), chunk.size, chunk.digest or "", "output")


def test_an_output_that_is_not_the_committed_one_goes_by_url() -> None:
    """The row's digest decides."""
    (chunk,) = read(1, 9_000, spoiled=True)
    assert chunk.lines is None
    assert chunk.url is not None


def test_an_answer_stays_under_its_limit() -> None:
    """Some outputs of many travel in it; the rest goes by URL."""
    chunks = read(256, 12_000)
    hot = [chunk.size for chunk in chunks if chunk.lines is not None]
    assert PEEK_BYTES_PER_PAGE - 13_000 < sum(hot) <= PEEK_BYTES_PER_PAGE
    assert all((chunk.lines is None) is (chunk.url is not None) for chunk in chunks)


def test_quotes_in_results_make_no_answer_too_long() -> None:
    """Lambda takes 6 MB, in which each of them is escaped once by us and once by the proxy."""
    chunks = read(256, 1_500, text='"')
    body = json.dumps([chunk.model_dump(mode="json") for chunk in chunks])
    assert sum(chunk.lines is not None for chunk in chunks) > 200
    assert len(json.dumps(body)) < 5_000_000
