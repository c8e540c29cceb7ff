"""Where the tasks of a chunk come from, and where their outcomes go."""

from collections.abc import Iterator

from ..data_plane import check, digest
from ..invocation import Invocation
from ..names import output_key
from ..records import Output
from ..task_lines import ArrivingLines, ReadAhead
from .behind import Behind
from .bench import Bench
from .claim import Claim

#: Small outputs of a burst stay in the shard's item: one request less on either side. Each write
#: of the item is billed by its whole size, so its chunks share this; an S3 PUT costs 8 KiB written.
INLINE_SHARD_BYTES = 8 * 1024


class ChunkFiles:
    """What one attempt at a chunk reads and writes."""

    def __init__(self, bench: Bench, invocation: Invocation, claim: Claim) -> None:
        self._bench = bench
        self._invocation = invocation
        self._facts = invocation.facts
        self._claim = claim
        self._parts = 0

    def open_lines(self) -> ArrivingLines:
        """A line for each task, from now on as they arrive. Raises NotFound or PayloadCorrupted."""
        layout, chunk = self._facts.layout, self._invocation.chunk
        return ArrivingLines(layout.first_task(chunk), layout.tasks_in(chunk), self._open_input())

    def _open_input(self) -> Iterator[bytes]:
        if self._invocation.lines is not None:
            return iter([self._invocation.lines.encode()])
        start, length = self._claim.shard.byte_range(self._claim.slot)
        facts, bench = self._facts, self._bench
        if facts.input_key is None:
            blob = bench.rows.read_blob(facts.session_id, facts.blob_id)
            return iter([blob[start : start + length]])
        blocks = bench.payloads.open_range(facts.input_key, start, length, facts.input_etag)
        return ReadAhead(blocks) if bench.threads > 1 else blocks

    def read_output(self) -> bytes:
        """What the row says was published before; empty if nothing was."""
        output = self._claim.chunk.output
        if output is None:
            return b""
        key = self._key(output.attempt, output.part)
        return check(self._bench.payloads.get(key), output.size, output.digest, key)

    def publish(self, data: bytes) -> Output:
        """Write an object of its own; only the row that comes after makes it count."""
        return self._store(self._next_part(), data)

    def publish_behind(self, data: bytes) -> Behind[Output]:
        """The same, while the caller goes on; who needs it no more need not wait for it."""
        part = self._next_part()
        return Behind(lambda: self._store(part, data), in_thread=self._bench.threads > 1)

    def _next_part(self) -> int:
        self._parts += 1
        return self._parts - 1

    def _store(self, part: int, data: bytes) -> Output:
        output = self._describe(part, data)
        self._bench.payloads.put(self._key(output.attempt, part), data)
        return output

    def describe(self, data: bytes) -> Output:
        """Of an output that is not published, but kept in the row."""
        return self._describe(self._parts, data)

    def _describe(self, part: int, data: bytes) -> Output:
        return Output(self._claim.chunk.attempt, part, len(data), digest(data))

    def may_inline(self, data: bytes) -> bool:
        """May the whole output of the chunk stay in the shard's item?"""
        most = INLINE_SHARD_BYTES // len(self._claim.shard.chunks)
        return self._facts.route == "burst" and len(data) <= most

    def _key(self, attempt: int, part: int) -> str:
        return output_key(self._facts.session_id, self._invocation.chunk, attempt, part)
