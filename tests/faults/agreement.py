"""What a session says of its tasks, in its three ways at once: they must never contradict."""

import base64
from collections import Counter

from stepgrid.outcomes import read_chunk
from stepgrid.testing import InMemoryGrid
from stepgrid.testing.transport import MemoryObjects
from stepgrid_core.contract import ChunkOutput, TaskCounts, TaskDescription
from stepgrid_core.output_parts import read_part
from stepgrid_core.outputs import list_tasks
from stepgrid_core.records import count
from stepgrid_core.result_pages import read_results
from stepgrid_core.states import TaskState


def agreed_counts(memory: InMemoryGrid, owner: str, session_id: str) -> TaskCounts:
    """The counts of its rows, which are also those of its list of tasks and of its result pages."""
    shards = memory.table.read_shards(session_id)
    counts = TaskCounts.model_validate(count(chunk for shard in shards for chunk in shard.chunks))
    listed = {task.index: task.state for task in list_all(memory, owner, session_id)}
    assert tally(listed) == counts
    assert states_of_results(memory, owner, session_id) == listed
    return counts


def tally(states: dict[int, TaskState]) -> TaskCounts:
    return TaskCounts.model_validate(Counter(str(state) for state in states.values()))


def list_all(memory: InMemoryGrid, owner: str, session_id: str) -> list[TaskDescription]:
    found, cursor = [], None
    while True:
        page = list_tasks(memory.wiring, owner, session_id, None, cursor)
        found += page.tasks
        cursor = page.cursor
        if cursor is None:
            return found


def states_of_results(memory: InMemoryGrid, owner: str, session_id: str) -> dict[int, TaskState]:
    """As the SDK reads them."""
    states, cursor = {}, None
    while True:
        page = read_results(memory.wiring, owner, session_id, cursor)
        for chunk in page.chunks:
            outcomes = read_chunk(chunk, _output(memory, owner, session_id, chunk))
            states.update({outcome.index: outcome.state for outcome in outcomes})
        cursor = page.cursor
        if cursor is None:
            return states


def _output(memory: InMemoryGrid, owner: str, session_id: str, chunk: ChunkOutput) -> bytes:
    if chunk.by_parts and chunk.size:
        part = read_part(memory.wiring, owner, session_id, str(chunk.chunk), 0)
        assert part.next_offset is None
        return base64.b64decode(part.data)
    if chunk.lines is not None:
        return chunk.lines.encode()
    return MemoryObjects(memory).get(chunk.url) if chunk.url else b""
