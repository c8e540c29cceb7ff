"""Results, page by page, and only what is new where the client says what it has.

    describe until it has ended --,
                                  +--> session and shards, read together --> page
    wait for chunks that are new -'

An output is handed on by URL, or inline where it is at hand, and never parsed; that of a federated
task never by URL, see `output_parts`. A short session
costs its client one request for its end and its results.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .contract import ChunkOutput, ResultPage, SessionReport
from .data_plane import digest
from .description import check_owner, describe_read, end_overdue, has_ended, may_exist, own_session
from .errors import InvalidRequest
from .long_poll import poll
from .names import CHUNKS_PER_SHARD
from .outputs import SHARDS_PER_PAGE, ending_error, key_of_output, read_output, with_reason
from .records import Output, Session, Shard, open_state
from .states import SessionState
from .wiring import Grid

#: Outputs at hand that travel inline in one page of results. A function's answer has 6 MB at most
#: (Lambda quotas), in which they are text within text within text: a quote takes four bytes.
PEEK_BYTES_PER_PAGE = 1_000_000


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of one page, and the session as it was then or a little before."""

    session: Session
    first_shard: int
    shards: list[Shard]

    @property
    def first_chunk(self) -> int:
        return self.first_shard * CHUNKS_PER_SHARD

    @property
    def following(self) -> int:
        """The first shard of the next page."""
        return min(self.first_shard + SHARDS_PER_PAGE, self.session.shards)

    @property
    def chunk_count(self) -> int:
        """Chunks of the page; a submit that is still at work has not written the rows of all."""
        end = min(self.following * CHUNKS_PER_SHARD, self.session.chunks)
        return end - self.first_chunk

    def all(self) -> Iterator[tuple[Shard, int]]:
        return ((shard, slot) for shard in self.shards for slot in range(len(shard.chunks)))

    def news(self, seen: int) -> Iterator[tuple[Shard, int]]:
        """The final chunks that are not among those seen: bit k stands for chunk k of the page."""
        for shard, slot in self.all():
            place = shard.number_of(slot) - self.first_chunk
            if shard.chunks[slot].terminal and not seen >> place & 1:
                yield shard, slot


def describe_to_end(
    grid: Grid, owner: str, session_id: str, wait_seconds: float = 0.0
) -> SessionReport:
    """As `describe`; once the session has ended, with the first page of its results.

    Of a session of one shard this is one request to the table for each look.
    """
    rows = poll(
        grid.clock,
        wait_seconds,
        lambda: _waited_for(grid, lambda: _read_beginning(grid, owner, session_id, 1)),
        lambda rows: has_ended(rows.session),
    )
    description = describe_read(grid, rows.session)
    page = _first_page(grid, rows) if has_ended(rows.session) else None
    return SessionReport.model_validate({**dict(description), "results": page})


def read_results(
    grid: Grid,
    owner: str,
    session_id: str,
    cursor: str | None = None,
    *,
    seen: str | None = None,
    wait_seconds: float = 0.0,
) -> ResultPage:
    """A page of chunk outputs in order; with `seen` only final ones that are not among those.

    seen: a hexadecimal number, see contract.ResultsQuery. Waits up to `wait_seconds` for a final
    chunk that was not seen, or for the session to end; who waits ends it at its deadline.
    """
    known = int(seen or "0", 16)

    def read() -> _Rows:
        return _read_rows(grid, owner, session_id, cursor)

    rows = poll(
        grid.clock,
        wait_seconds,
        lambda: _waited_for(grid, read) if wait_seconds else read(),
        lambda rows: has_ended(rows.session) or any(rows.news(known)),
    )
    return _page(grid, rows, rows.all() if seen is None else rows.news(known))


def _first_page(grid: Grid, rows: _Rows) -> ResultPage:
    if len(rows.shards) < rows.following:
        shards = grid.table.read_shards(rows.session.session_id, 0, SHARDS_PER_PAGE)
        rows = _Rows(rows.session, 0, shards)
    return _page(grid, rows, rows.all())


def _read_rows(grid: Grid, owner: str, session_id: str, cursor: str | None) -> _Rows:
    if cursor is None or cursor == "0":
        return _read_beginning(grid, owner, session_id, SHARDS_PER_PAGE)
    session = own_session(grid, owner, session_id)
    first = _shard_of(cursor, session)
    return _Rows(session, first, grid.table.read_shards(session_id, first, SHARDS_PER_PAGE))


def _read_beginning(grid: Grid, owner: str, session_id: str, limit: int) -> _Rows:
    """The session and its first shards, by one request. Raises as `own_session`."""
    if not may_exist(session_id):
        check_owner(grid, None, owner, session_id)
    found, shards = grid.table.read_session_and_shards(session_id, limit)
    session = check_owner(grid, found, owner, session_id)
    if session.verdict and not all(shard.terminal for shard in shards):
        # Closed and committed by one write, of which a Query may see a part (DynamoDB,
        # "Isolation levels": read-committed).
        shards = grid.table.read_shards(session_id, 0, limit)
    return _Rows(session, 0, shards)


def _waited_for(grid: Grid, read: Callable[[], _Rows]) -> _Rows:
    """Read for somebody who waits, and so not beyond the session's deadline: see `describe`."""
    rows = read()
    return read() if end_overdue(grid, rows.session) else rows


def _shard_of(cursor: str, session: Session) -> int:
    if not (cursor.isascii() and cursor.isdigit()) or not int(cursor[:9]) < session.shards:
        raise InvalidRequest(f"cursor {cursor[:32]!r} is not one that this session gave")
    return int(cursor[:9])


def _page(grid: Grid, rows: _Rows, chosen: Iterator[tuple[Shard, int]]) -> ResultPage:
    session, places = with_reason(grid, rows.session, rows.shards), list(chosen)
    find = _peek if session.federation is None else _fetch
    hot = find(grid, session, places)
    return ResultPage(
        session_id=session.session_id,
        state=session.verdict or SessionState.RUNNING,
        first_chunk=rows.first_chunk,
        chunk_count=rows.chunk_count,
        chunks=[_output(grid, session, shard, slot, hot) for shard, slot in places],
        cursor=str(rows.following) if rows.following < session.shards else None,
    )


def _peek(grid: Grid, session: Session, places: list[tuple[Shard, int]]) -> dict[int, bytes]:
    """Outputs that need no request of the client, by chunk: those at hand, as many as fit."""
    keys: dict[str, tuple[int, Output]] = {}
    size = 0
    for shard, slot in places:
        output, number = shard.chunks[slot].output, shard.number_of(slot)
        if output is None or slot in shard.inline or size + output.size > PEEK_BYTES_PER_PAGE:
            continue
        keys[key_of_output(session, number, shard.chunks[slot])] = (number, output)
        size += output.size
    found = grid.payloads.peek(list(keys))
    return {keys[key][0]: data for key, data in found.items() if _is(data, keys[key][1])}


def _fetch(grid: Grid, session: Session, places: list[tuple[Shard, int]]) -> dict[int, bytes]:
    """Outputs of a federated task, by chunk, as many as fit: there are no URLs of the others."""
    chosen: list[tuple[Shard, int]] = []
    size = 0
    for shard, slot in places:
        output = shard.chunks[slot].output
        if output is not None and size + output.size <= PEEK_BYTES_PER_PAGE:
            chosen.append((shard, slot))
            size += output.size
    found = grid.each(lambda place: read_output(grid, session, *place), chosen)
    numbers = [shard.number_of(slot) for shard, slot in chosen]
    return dict(zip(numbers, found, strict=True))


def _is(data: bytes, output: Output) -> bool:
    return (len(data), digest(data)) == (output.size, output.digest)


def _output(
    grid: Grid, session: Session, shard: Shard, slot: int, hot: dict[int, bytes]
) -> ChunkOutput:
    chunk, number = shard.chunks[slot], shard.number_of(slot)
    by_parts, lines = session.federation is not None, hot.get(number)
    if not by_parts:
        lines = shard.inline.get(slot, lines)
    url = None
    if chunk.output is not None and lines is None and not by_parts:
        url = grid.payloads.presign_get(key_of_output(session, number, chunk))
    return ChunkOutput(
        chunk=number,
        first_task=session.layout.first_task(number),
        tasks=chunk.tasks,
        final=chunk.terminal,
        finished=chunk.finished,
        failed=chunk.failed,
        others=open_state(chunk) if chunk.unsettled else None,
        error=ending_error(session, chunk) if chunk.unsettled else None,
        lines=None if lines is None else lines.decode(),
        url=url,
        size=chunk.output.size if chunk.output else 0,
        digest=chunk.output.digest if chunk.output else None,
        by_parts=by_parts,
    )
