"""Where the tasks of a chunk come from, and where their outcomes go."""

from ..data_plane import check, digest, split_lines
from ..invocation import Invocation
from ..names import output_key
from ..records import Output
from ..wiring import Grid
from .claim import Claim

#: Small outputs of a burst stay in the shard's item: one request less on either side. Each write
#: of the item is billed by its whole size, so its chunks share this; an S3 PUT costs 8 KiB written.
INLINE_SHARD_BYTES = 8 * 1024


class ChunkFiles:
    """What one attempt at a chunk reads and writes."""

    def __init__(self, grid: Grid, invocation: Invocation, claim: Claim) -> None:
        self._grid = grid
        self._invocation = invocation
        self._facts = invocation.facts
        self._claim = claim
        self._parts = 0

    def read_lines(self) -> list[bytes]:
        """A line for each task. Raises NotFound or PayloadCorrupted."""
        return split_lines(self._read_input(), self._facts.layout.tasks_in(self._invocation.chunk))

    def _read_input(self) -> bytes:
        if self._invocation.lines is not None:
            return self._invocation.lines.encode()
        start, length = self._claim.shard.byte_range(self._claim.slot)
        facts = self._facts
        if facts.input_key is not None:
            return self._grid.payloads.get_range(facts.input_key, start, length, facts.input_etag)
        blob = self._grid.table.read_blob(facts.session_id, facts.blob_id)
        return blob[start : start + length]

    def read_output(self) -> bytes:
        """What the row says was published before; empty if nothing was."""
        output = self._claim.chunk.output
        if output is None:
            return b""
        key = self._key(output.attempt, output.part)
        return check(self._grid.payloads.get(key), output.size, output.digest, key)

    def publish(self, data: bytes) -> Output:
        """Write an object of its own; only the row that comes after makes it count."""
        output = self.describe(data)
        self._grid.payloads.put(self._key(output.attempt, output.part), data)
        self._parts += 1
        return output

    def describe(self, data: bytes) -> Output:
        return Output(self._claim.chunk.attempt, self._parts, len(data), digest(data))

    def may_inline(self, data: bytes) -> bool:
        """May the whole output of the chunk stay in the shard's item?"""
        most = INLINE_SHARD_BYTES // len(self._claim.shard.chunks)
        return self._facts.route == "burst" and len(data) <= most

    def _key(self, attempt: int, part: int) -> str:
        return output_key(self._facts.session_id, self._invocation.chunk, attempt, part)
