"""The stored outputs of a session: what they say of its tasks, and how they are removed.

Only the beginning of an output line is read, to list tasks by state; errors are parsed because
they are ours, results never.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from .contract import TaskDescription, TaskPage
from .data_plane import OutcomeHead, check, read_error, read_heads
from .description import own_session
from .errors import Conflict, InvalidRequest, NotFound, PayloadCorrupted, reason_of
from .names import (
    CHUNKS_PER_SHARD,
    job_outputs_prefix,
    output_key,
    results_prefix,
    run_output_key,
    runs_prefix,
    task_id,
)
from .records import Chunk, Session, Shard, count, open_state
from .states import ENDINGS, TERMINAL_TASKS, ChunkState, TaskState
from .wiring import Grid

#: Shards read at once.
SHARDS_PER_PAGE = 16
TASKS_PER_PAGE = 1_000
#: Outputs read for one page of tasks: an answer has 6 MiB and 29 s.
BYTES_PER_PAGE = 32 * 1024 * 1024
OUTPUTS_PER_PAGE = 200


#: Of a run whose node was lost at every attempt.
NODE_LOST = "the node that ran it was not heard of any more, at every attempt; see its log"


def ending_error(session: Session, chunk: Chunk) -> dict[str, str] | None:
    """What its unsettled tasks failed of, where they failed."""
    ending = ENDINGS.get(chunk.state)
    if ending is None or ending.error_type is None:
        return None
    message = ending.message
    if chunk.state is ChunkState.DEPENDENCY and session.reason:
        message = session.reason
    if chunk.state is ChunkState.LOST and session.federation is not None:
        message = NODE_LOST
    return {"type": ending.error_type, "message": message or "", "traceback": ""}


def with_reason(grid: Grid, session: Session, shards: Sequence[Shard]) -> Session:
    """The session with what its rows ended for, which was written after the session was read."""
    chunks = (chunk for shard in shards for chunk in shard.chunks)
    if session.reason or not any(chunk.state is ChunkState.DEPENDENCY for chunk in chunks):
        return session
    now = grid.table.read_session(session.session_id)
    return replace(session, reason=now.reason) if now else session


def task_error(grid: Grid, session: Session, shard: Shard, slot: int) -> dict[str, str] | None:
    """Why the only task of a chunk failed, as far as that is still kept."""
    try:
        lines = list(read_heads(read_output(grid, session, shard, slot)))
    except (NotFound, PayloadCorrupted):
        lines = []  # outputs may be gone before the rows
    for head, line in lines:
        if head.state == TaskState.FAILED:
            return read_error(line)
    return ending_error(session, shard.chunks[slot])


def key_of_output(session: Session, number: int, chunk: Chunk) -> str:
    """Which object holds the settled lines of a chunk. Raises NotFound while there are none."""
    if chunk.output is None:
        raise NotFound(f"chunk {number} of session {session.session_id} has no output yet")
    output = chunk.output
    if session.federation is not None:
        return run_output_key(session.session_id, number, output.attempt, output.digest)
    return output_key(session.session_id, number, output.attempt, output.part)


def read_output(grid: Grid, session: Session, shard: Shard, slot: int) -> bytes:
    """The settled lines of a chunk, checked against its row; empty if there are none."""
    chunk, number = shard.chunks[slot], shard.number_of(slot)
    if chunk.output is None:
        return b""
    key = key_of_output(session, number, chunk)
    data = shard.inline[slot] if slot in shard.inline else grid.payloads.get(key)
    return check(data, chunk.output.size, chunk.output.digest, key)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a page of tasks begins: a chunk, and a task in it."""

    chunk: int
    offset: int


def list_tasks(
    grid: Grid, owner: str, session_id: str, state: TaskState | None, cursor: str | None
) -> TaskPage:
    """Tasks of a session, in order; `state` picks those that are in it."""
    session = own_session(grid, owner, session_id)
    place = _task_cursor(cursor, session)
    found: list[TaskDescription] = []
    outputs = size = 0
    for shard, slot in _rows_from(grid, session, place.chunk):
        chunk, number = shard.chunks[slot], shard.number_of(slot)
        place = place if number == place.chunk else _Place(number, 0)
        if state is not None and not count([chunk])[state]:
            continue
        if outputs == OUTPUTS_PER_PAGE or size > BYTES_PER_PAGE:
            return _page(session, found, place)
        for task in _tasks(grid, session, shard, slot, place.offset):
            if state not in (None, task.state):
                continue
            if len(found) == TASKS_PER_PAGE:
                first = session.layout.first_task(number)
                return _page(session, found, _Place(number, task.index - first))
            found.append(task)
        outputs += chunk.output is not None
        size += chunk.output.size if chunk.output else 0
    return _page(session, found, None)


def _rows_from(grid: Grid, session: Session, first: int) -> Iterator[tuple[Shard, int]]:
    """The rows from chunk `first` on; one request for many shards."""
    for number in range(first // CHUNKS_PER_SHARD, session.shards, SHARDS_PER_PAGE):
        for shard in grid.table.read_shards(session.session_id, number, SHARDS_PER_PAGE):
            for slot in range(len(shard.chunks)):
                if shard.number_of(slot) >= first:
                    yield shard, slot


def _page(session: Session, found: list[TaskDescription], rest: _Place | None) -> TaskPage:
    return TaskPage(
        session_id=session.session_id,
        tasks=found,
        cursor=None if rest is None else f"{rest.chunk}.{rest.offset}",
    )


def _task_cursor(cursor: str | None, session: Session) -> _Place:
    if cursor is None:
        return _Place(0, 0)
    chunk, dot, offset = cursor[:32].partition(".")
    good = dot and all(part.isascii() and part.isdigit() for part in (chunk, offset))
    layout = session.layout
    if not good or int(chunk) >= layout.chunks or int(offset) >= layout.tasks_in(int(chunk)):
        raise InvalidRequest(f"cursor {cursor[:32]!r} is not one that this session gave")
    return _Place(int(chunk), int(offset))


def _tasks(
    grid: Grid, session: Session, shard: Shard, slot: int, offset: int
) -> list[TaskDescription]:
    """Tasks of one chunk from `offset` on: by its output where that has a line of them, else by its
    row. A line "retrying" holds as long as the chunk is open.
    """
    session, chunk = with_reason(grid, session, [shard]), shard.chunks[slot]
    first = session.layout.first_task(shard.number_of(slot))
    lines = {
        head.index: (head, line)
        for head, line in read_heads(read_output(grid, session, shard, slot))
        if head.state in TERMINAL_TASKS or not chunk.terminal
    }
    others, error = open_state(chunk) if chunk.unsettled else None, ending_error(session, chunk)
    tasks = []
    for index in range(first + offset, first + chunk.tasks):
        if index in lines:
            tasks.append(_describe_line(session, *lines[index]))
        elif others is not None:
            tasks.append(_describe(session, index, others, error))
    return tasks


def _describe_line(session: Session, head: OutcomeHead, line: bytes) -> TaskDescription:
    state = TaskState(head.state)
    error = None if state is TaskState.FINISHED else read_error(line)
    task = _describe(session, head.index, state, error)
    return task.model_copy(update={"attempts": head.attempts, "milliseconds": head.milliseconds})


def _describe(
    session: Session, index: int, state: TaskState, error: dict[str, str] | None
) -> TaskDescription:
    return TaskDescription(
        task_id=task_id(session.session_id, index),
        index=index,
        state=state,
        error=_summary(error),
        reason=reason_of(error["type"]) if error and state is TaskState.FAILED else None,
    )


def _summary(error: dict[str, str] | None) -> dict[str, str] | None:
    """A list names the error; its traceback is in the results, else a page could pass 6 MiB."""
    return error and {name: error[name] for name in ("type", "message")}


def delete_session(grid: Grid, owner: str, session_id: str) -> None:
    """Forget a closed session and its outputs. Raises Conflict while it is open."""
    forget_session(grid, own_session(grid, owner, session_id))


def forget_session(grid: Grid, session: Session) -> None:
    """As `delete_session`, whoever may ask for it."""
    session_id = session.session_id
    if session.verdict is None:
        raise Conflict(f"session {session_id} is still open; cancel it first")
    of_runs = session.federation is not None
    grid.payloads.delete_prefix((runs_prefix if of_runs else results_prefix)(session_id))
    if session.output_days:
        prefix = job_outputs_prefix(session.output_days, session.owner, session_id)
        grid.payloads.delete_prefix(prefix)
    grid.table.delete_session(session)
