"""How the session that did a run of a node in the cloud has ended, read as the run's end."""

import json

from ..data_plane import read_heads
from ..errors import NotFound, PayloadCorrupted
from ..outputs import read_output, task_error
from ..records import Session, Shard
from ..states import SessionState, TaskState
from ..wiring import Grid
from .cloud_tasks import Verdict, read_answer
from .runs import MOST_LOG
from .statuses import CRASHED, KILLED


def read_verdict(grid: Grid, session: Session, *, encrypted: bool) -> Verdict:
    """Of a closed session of one task."""
    shards = grid.table.read_shards(session.session_id)
    line = _result_line(grid, session, shards[0]) if shards else None
    if line is not None:
        return read_answer(json.loads(line)["result"], encrypted=encrypted)
    if session.verdict is SessionState.CANCELLED:
        return Verdict(KILLED, f"session {session.session_id}, which did this run, was cancelled")
    error = task_error(grid, session, shards[0], 0) if shards else None
    if error is None:
        return Verdict(CRASHED, f"session {session.session_id} left no result")
    told = f"{error['type']}: {error['message']}\n{error.get('traceback') or ''}".rstrip()
    return Verdict(CRASHED, told[-MOST_LOG:])


def _result_line(grid: Grid, session: Session, shard: Shard) -> bytes | None:
    """None where its task has none, or its outputs are gone."""
    try:
        lines = list(read_heads(read_output(grid, session, shard, 0)))
    except (NotFound, PayloadCorrupted):
        return None
    return next((line for head, line in lines if head.state == TaskState.FINISHED), None)
