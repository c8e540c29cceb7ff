"""The client's side: pack and upload the tasks, register the session, fetch results as they come.

As stepgrid.submission and stepgrid.collector do it, and the API behind them.
"""

from __future__ import annotations

from math import ceil

from stepgrid.patience import gathering_seconds
from stepgrid.uploads import FIRST_URLS, MOST_URLS

from .latch import Latch
from .plans import SessionPlan
from .resources import Process, Servers
from .rules import (
    CHUNKS_PER_SHARD,
    FIRST_PAUSE_SECONDS,
    LAST_PAUSE_SECONDS,
    MAX_WAIT_SECONDS,
    PAUSE_GROWTH,
    SHARDS_PER_PAGE,
    SHARDS_STORED_TOGETHER,
)
from .scenarios import Scenario
from .services import SHARDS_PER_READ_UNIT, Services

#: Items that the API writes at once (stepgrid_core.aws.state_table, which needs boto3).
SHARD_WRITERS = 16
#: Chunks in one page of results.
CHUNKS_PER_PAGE = SHARDS_PER_PAGE * CHUNKS_PER_SHARD
#: Session with its indexes and counters in one transaction, each item billed twice: as `stepgrid
#: bench cost` measured it. A shard is two more, and what lies beside the session by its size.
CREATE_UNITS, BLOB_BYTES_OF_CHUNK = 16, 9


class Client:
    """One `grid.map`, from the call to the last result in hand."""

    def __init__(
        self, services: Services, scenario: Scenario, plan: SessionPlan, latch: Latch
    ) -> None:
        self._services = services
        self._profile = services.profile
        self._scenario = scenario
        self._plan = plan
        self._latch = latch

    def submit(self) -> Process:
        """Until the execution was started."""
        if self._plan.inline:
            yield from self._pack(self._scenario.tasks)
        else:
            yield from self._pack_and_upload()
        yield from self._services.ask_api("POST /v1/sessions")
        yield from self._register()
        start = self._profile.start_execution_seconds
        yield from self._services.request("sfn.StartExecution", start)
        self._services.tally.events(2)

    def _pack(self, tasks: float) -> Process:
        seconds, by_byte = self._profile.client_pack_seconds, self._profile.client_byte_seconds
        yield from self._services.think(tasks * (seconds + self._scenario.task_bytes * by_byte))

    def _pack_and_upload(self) -> Process:
        """Parts travel while the next ones are packed."""
        services, profile, scenario = self._services, self._profile, self._scenario
        parts = ceil(scenario.input_bytes / profile.part_bytes)
        lanes = Servers(services.clock, "parts", profile.parts_at_once)
        running, urls = [], 0
        for part in range(parts):
            if part == urls:
                yield from services.ask_api("POST /v1/uploads")
                urls += min(max(2 * urls, FIRST_URLS), MOST_URLS)
            yield from self._pack(scenario.tasks / parts)
            place = yield from lanes.enter()
            running.append(services.clock.process(self._send(lanes, place, parts)))
        yield from running
        if parts > 1:
            services.tally.request("s3.CreateMultipartUpload")
            yield from services.request("s3.CompleteMultipartUpload", profile.put_seconds)
        yield from services.request("s3.HeadObject", profile.get_seconds)

    def _send(self, lanes: Servers, place: object, parts: int) -> Process:
        operation = "UploadPart" if parts > 1 else "PutObject"
        yield from self._services.upload(operation, self._scenario.input_bytes / parts)
        lanes.leave(place)

    def _register(self) -> Process:
        """What the API does before it starts the execution."""
        services, shards = self._services, self._plan.shards
        blob = (
            self._scenario.input_bytes
            if self._plan.inline
            else BLOB_BYTES_OF_CHUNK * len(self._plan.sizes)
        )
        together = shards <= SHARDS_STORED_TOGETHER
        yield from services.transact(CREATE_UNITS + 2 * ceil(blob / 1024) + 2 * shards * together)
        for first in range(0, 0 if together else shards, SHARD_WRITERS):
            count = min(SHARD_WRITERS, shards - first)
            yield from [services.clock.process(self._write_shard()) for _ in range(count)]

    def _write_shard(self) -> Process:
        # a submit that is answered with 503 is repeated, and finds what it wrote
        yield from self._services.persist("PutItem")

    def collect(self) -> Process:
        """Until every result is in hand, in order of the tasks; fetched as chunks become final."""
        chunks, known = len(self._plan.sizes), set[int]()
        fetched = 0
        while fetched < chunks:
            if fetched not in known:
                waited = yield from self._ask(fetched // CHUNKS_PER_PAGE, known)
                closed, missing = self._latch.closed.triggered, chunks - len(known)
                pause = 0.0 if closed else gathering_seconds(waited, missing)
                yield self._services.clock.timeout(pause)
                continue
            first = fetched
            while fetched in known:
                fetched += 1
            yield from [
                self._services.clock.process(self._fetch(chunk)) for chunk in range(first, fetched)
            ]

    def _ask(self, page: int, known: set[int]) -> Process:
        """A long-poll for chunks of a page that are not known; answers how long it took."""
        services, pause = self._services, FIRST_PAUSE_SECONDS
        yield from services.ask_api("GET /v1/sessions/{id}/results")
        asked_at = services.clock.now
        last = min((page + 1) * CHUNKS_PER_PAGE, len(self._plan.sizes))
        span = range(page * CHUNKS_PER_PAGE, last)
        while True:
            yield from self._look(page)
            news = [chunk for chunk in span if chunk in self._latch.final and chunk not in known]
            seconds = services.clock.now - asked_at
            if news or seconds >= MAX_WAIT_SECONDS:
                break
            yield services.clock.timeout(pause)
            pause = min(pause * PAUSE_GROWTH, LAST_PAUSE_SECONDS)
        known.update(news)
        services.tally.longer(seconds, self._profile.function_memory_mib)
        return seconds

    def _look(self, page: int) -> Process:
        """The API reads the session and the shards of a page, those of the first by one request."""
        services = self._services
        if page:
            yield from services.read("GetItem")
        shards = min(SHARDS_PER_PAGE, self._plan.shards - page * SHARDS_PER_PAGE)
        yield from services.read("Query", ceil(shards / SHARDS_PER_READ_UNIT))

    def _fetch(self, chunk: int) -> Process:
        tasks, profile = self._plan.sizes[chunk], self._profile
        size = tasks * self._scenario.task_bytes
        if not self._plan.inline_outputs:
            yield from self._services.download(size)
        yield from self._services.think(
            tasks * profile.client_decode_seconds
            + profile.client_chunk_seconds
            + size * profile.client_byte_seconds
        )
