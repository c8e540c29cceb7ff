"""The client's side: pack and upload the tasks, register the session, fetch results as they come.

As stepgrid.submission and stepgrid.collector do it.
"""

from __future__ import annotations

from math import ceil

from .latch import Latch
from .plans import SessionPlan
from .resources import Process, Servers
from .scenarios import Scenario
from .services import Services

#: URLs of parts that the API gives at once.
URLS_AT_ONCE = 64
#: Items that the API writes at once.
SHARD_WRITERS = 16
#: Chunks in one page of results.
CHUNKS_PER_PAGE = 256
#: Between two looks at an open session.
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS, PAUSE_GROWTH = 0.1, 5.0, 1.5
#: Session, blob and three counters in one transaction, each billed twice.
CREATE_UNITS = 10.0


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
        yield from self._services.ask_api()
        yield from self._register()
        start = self._profile.start_execution_seconds
        yield from self._services.request("states", "StartExecution", start)

    def _pack(self, tasks: float) -> Process:
        seconds, by_byte = self._profile.client_pack_seconds, self._profile.client_byte_seconds
        yield from self._services.think(tasks * (seconds + self._scenario.task_bytes * by_byte))

    def _pack_and_upload(self) -> Process:
        """Parts travel while the next ones are packed."""
        services, profile, scenario = self._services, self._profile, self._scenario
        parts = ceil(scenario.input_bytes / profile.part_bytes)
        lanes = Servers(services.clock, "parts", profile.parts_at_once)
        running = []
        for part in range(parts):
            if part % URLS_AT_ONCE == 0:
                yield from services.ask_api()
            yield from self._pack(scenario.tasks / parts)
            place = yield from lanes.enter()
            running.append(services.clock.process(self._send(lanes, place, parts)))
        yield from running

    def _send(self, lanes: Servers, place: object, parts: int) -> Process:
        yield from self._services.upload(self._scenario.input_bytes / parts)
        lanes.leave(place)

    def _register(self) -> Process:
        """What the API does before it starts the execution."""
        services, seconds = self._services, self._profile.table_seconds
        services.usage.write_units += CREATE_UNITS
        yield from services.request("dynamodb", "TransactWriteItems", 2 * seconds)
        for first in range(0, self._plan.shards, SHARD_WRITERS):
            count = min(SHARD_WRITERS, self._plan.shards - first)
            writes = [services.clock.process(self._write_shard()) for _ in range(count)]
            yield from writes

    def _write_shard(self) -> Process:
        # a submit that is answered with 503 is repeated, and finds what it wrote
        yield from self._services.persist("PutItem")

    def collect(self) -> Process:
        """Until every result is in hand. Chunks are fetched as they become final."""
        fetched, pause = 0, FIRST_PAUSE_SECONDS
        while fetched < len(self._plan.sizes):
            news = self._latch.final[fetched:]
            yield from self._look(len(news))
            yield from self._fetch_all(news)
            fetched += len(news)
            pause = FIRST_PAUSE_SECONDS if news else min(pause * PAUSE_GROWTH, LAST_PAUSE_SECONDS)
            if fetched < len(self._plan.sizes) and len(self._latch.final) == fetched:
                yield from self._wait(pause)

    def _wait(self, seconds: float) -> Process:
        """A long-poll, which ends early when the session is closed."""
        yield from self._services.ask_api()
        asked_at = self._services.clock.now
        if not self._latch.closed.triggered:
            yield self._latch.closed | self._services.clock.timeout(seconds)
        self._services.usage.held(
            self._services.clock.now - asked_at, self._profile.function_memory_mib
        )

    def _look(self, chunks: int) -> Process:
        """The pages on which the new chunks are."""
        for _ in range(max(1, ceil(chunks / CHUNKS_PER_PAGE))):
            yield from self._services.ask_api()
            yield from self._services.read("Query", 4)

    def _fetch_all(self, chunks: list[int]) -> Process:
        fetches = [self._services.clock.process(self._fetch(chunk)) for chunk in chunks]
        yield from fetches

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
