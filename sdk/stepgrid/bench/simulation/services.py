"""The services that a session uses, each with its latency, its limit and what it is billed for.

On the local cloud all of it is work of the emulator's one interpreter: for an API call, for a chunk
with all its requests, and for each byte that passes.
"""

from __future__ import annotations

import math
from random import Random

from stepgrid.bench.cost.bill import API

from .functions import WorkerFunctions
from .profiles import Profile
from .resources import Clock, Machine, Meter, Process, Rate, Servers
from .scenarios import Scenario
from .usage import Tally

#: Of botocore's standard mode, as the core sets it up (stepgrid_core.aws.translate).
TABLE_ATTEMPTS = 3
MAX_BACKOFF_SECONDS = 20.0
#: An item of a shard is under 1 KB; a strongly consistent read unit is 4 KB of a query.
SHARDS_PER_READ_UNIT = 4


class Throttled(Exception):
    """The table refused a write so often that the SDK gave up."""


class Services:
    """What AWS offers, for one session in one simulation."""

    def __init__(self, clock: Clock, profile: Profile, scenario: Scenario, random: Random) -> None:
        self.clock = clock
        self.profile = profile
        self.tally = Tally()
        self.random = random
        self.machine = Machine(clock, profile.cores, profile.core_speed)
        writes, reads = profile.partition_writes_per_second, profile.partition_reads_per_second
        self._writes = Rate(clock, "partition writes", writes, writes)
        self._reads = Rate(clock, "partition reads", reads, reads)
        gets, puts = profile.prefix_gets_per_second, profile.prefix_puts_per_second
        self._gets = Rate(clock, "S3 reads", gets, gets)
        self._puts = Rate(clock, "S3 writes", puts, puts)
        self._up = Servers(clock, "client upload", 1)
        self._down = Servers(clock, "client download", 1)
        self._client = Servers(clock, "client CPU", 1)
        self._transfers = Servers(clock, "client transfers", profile.transfers_at_once)
        self.functions = WorkerFunctions(
            clock,
            profile,
            random,
            copies=scenario.copies,
            account_concurrency=scenario.account_concurrency or math.inf,
            warm=scenario.warm,
        )

    def meters(self) -> list[tuple[Meter, float]]:
        """Each resource with its capacity: busy seconds in a second."""
        found: list[tuple[Meter, float]] = [
            (self._client.meter, 1),
            (self._up.meter, 1),
            (self._down.meter, 1),
            (self._transfers.meter, self._transfers.count),
            (self._writes.meter, 1),
            (self._reads.meter, 1),
            (self._gets.meter, 1),
            (self._puts.meter, 1),
            (self.functions.starts, 1),
        ]
        if not math.isinf(self.profile.cores):
            found.append((self.machine.interpreter.meter, 1))
            found.append((self.machine.cores.meter, self.profile.cores))
        return found

    # --- the client's side ---

    def think(self, seconds: float) -> Process:
        """CPU work of the client, which is one interpreter."""
        place = yield from self._client.enter()
        yield from self.machine.work(seconds)
        self._client.leave(place)

    def ask_api(self, call: str) -> Process:
        """One request of the client to the API, up to its function."""
        self.tally.request(f"{API}.{call}")
        self.tally.invocation(self.profile.api_seconds, self.profile.function_memory_mib)
        yield self.clock.timeout(self.profile.api_seconds)
        yield from self.machine.emulate(self.profile.emulator_api_seconds)

    def upload(self, operation: str, size: float) -> Process:
        """One object or part from the client to S3."""
        yield from self._up.serve(size / self.profile.client_bytes_per_second)
        yield from self._store(operation, size)

    def download(self, size: float) -> Process:
        """One object from S3 to the client, which has only so many under way at once."""
        place = yield from self._transfers.enter()
        yield from self._fetch(size)
        yield from self._down.serve(size / self.profile.client_bytes_per_second)
        self._transfers.leave(place)

    # --- S3 ---

    def get(self, size: float) -> Process:
        """Open a range of an object for a worker; the bytes follow while it works."""
        yield from self._fetch(size)

    def put(self, size: float) -> Process:
        """An object, from a worker."""
        yield self.clock.timeout(size / self.profile.worker_bytes_per_second)
        yield from self._store("PutObject", size)

    def _fetch(self, size: float) -> Process:
        self.tally.request("s3.GetObject")
        yield from self._gets.wait()
        yield self.clock.timeout(self.profile.get_seconds)
        yield from self._carry(size)

    def _store(self, operation: str, size: float) -> Process:
        self.tally.request(f"s3.{operation}")
        yield from self._puts.wait()
        yield self.clock.timeout(self.profile.put_seconds)
        yield from self._carry(size)

    def _carry(self, size: float) -> Process:
        """Bytes pass through the emulator, if there is one."""
        yield from self.machine.emulate(size * self.profile.emulator_byte_seconds)

    # --- DynamoDB, on the session's own partition ---

    def write(self, operation: str, units: int = 1) -> Process:
        """One write. Raises Throttled when the SDK gives up."""
        for attempt in range(TABLE_ATTEMPTS):
            if attempt:
                backoff = min(2.0 ** (attempt - 1), MAX_BACKOFF_SECONDS) * self.random.random()
                self._writes.meter.waited_seconds += backoff
                yield self.clock.timeout(backoff)
            self.tally.request(f"dynamodb.{operation}")
            yield self.clock.timeout(self.profile.table_seconds)
            if self._writes.take(units):
                self.tally.write(units)
                return
        raise Throttled

    def transact(self, units: int) -> Process:
        """A transaction, which takes two rounds. `units`: of its writes, each billed twice."""
        self.tally.write(units)
        yield from self.request("dynamodb.TransactWriteItems", 2 * self.profile.table_seconds)

    def persist(self, operation: str, units: int = 1) -> Process:
        """A write that whoever asked for it repeats until it is done."""
        while True:
            try:
                yield from self.write(operation, units)
                return
            except Throttled:
                continue

    def read(self, operation: str, units: int = 1) -> Process:
        """One read: by design far from the partition's limit, so it waits for its turn."""
        self.tally.request(f"dynamodb.{operation}")
        self.tally.read(units)
        yield from self._reads.wait(units)
        yield self.clock.timeout(self.profile.table_seconds)

    def watch(self, times: int) -> None:
        """A worker's looks at its row, which cost a unit each and hold nobody up."""
        if not times:
            return
        self.tally.request("dynamodb.GetItem", times)
        self.tally.read(times)
        self._reads.meter.record(0.0, times / self._reads.per_second, times)

    # --- others ---

    def request(self, name: str, seconds: float) -> Process:
        """A request that no limit of this model touches."""
        self.tally.request(name)
        yield self.clock.timeout(seconds)
