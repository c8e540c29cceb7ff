"""How a run ended, as it is kept and as it is read again: one output line of one task.

result or fault --> line --> in the shard's item where it is small, else an object
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from ..data_plane import TaskFault, failed_line, read_error
from ..names import run_output_key
from ..output_lines import finished_line
from ..outputs import ending_error, read_output
from ..records import Chunk, Output, Session, Shard, open_state
from ..states import TaskState
from ..wiring import Grid

#: Small outputs are kept in the shard's item: an object is a request to store and one to read. Each
#: write of the item is billed by its whole size, a renewal too: so its runs share this.
INLINE_SHARD_BYTES = 8 * 1024


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended."""

    state: TaskState
    result: str | None = None
    fault: TaskFault | None = None


def outcome_in(grid: Grid, session: Session, shard: Shard, slot: int) -> RunOutcome:
    """Of a row that is terminal, checked against it."""
    row = shard.chunks[slot]
    line = read_output(grid, session, shard, slot)
    if not line:
        return _ending(session, row)
    if row.failed:
        return RunOutcome(TaskState.FAILED, None, _fault(read_error(line)))
    return RunOutcome(TaskState.FINISHED, str(json.loads(line)["result"]))


def _ending(session: Session, row: Chunk) -> RunOutcome:
    error = ending_error(session, row)
    return RunOutcome(open_state(row), None, _fault(error) if error else None)


def _fault(error: Mapping[str, str]) -> TaskFault:
    return TaskFault(error["type"], error["message"])


def outcome_of(result: str | None, fault: TaskFault | None) -> RunOutcome:
    """As it is read again."""
    if fault is not None:
        return RunOutcome(TaskState.FAILED, None, TaskFault(fault.type, fault.message))
    return RunOutcome(TaskState.FINISHED, result or "")


def line_of(index: int, attempt: int, outcome: RunOutcome, milliseconds: float) -> bytes:
    if outcome.fault is not None:
        return failed_line(index, attempt, milliseconds, outcome.fault)
    return finished_line(index, attempt, milliseconds, json.dumps(outcome.result).encode())


def keep_line(grid: Grid, shard: Shard, slot: int, output: Output, line: bytes) -> bytes | None:
    """What goes into the shard; what is larger lies in the store before its row says so."""
    if len(line) <= INLINE_SHARD_BYTES // len(shard.chunks):
        return line
    number = shard.number_of(slot)
    grid.payloads.put(run_output_key(shard.session_id, number, output.attempt, output.digest), line)
    return None
